package terminal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/cronagent/cronagent/internal/terminal"
)

// FuzzText lays out any texts for any terminal: it ends, and loses nothing but blanks.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", "a b", "  a", "é\u0301\u0301", "漢字", "\x1b[31mred\x1b[0m", "\x1b", "\xff\xfe", strings.Repeat("x", 300), strings.Repeat("\u0301", 300), "a\nb\tc"} {
		for _, columns := range []int{-1, 0, 1, 2, 7, 20} {
			f.Add(text, "b  c", columns, 3, uint8(2))
		}
	}
	blank := strings.NewReplacer(" ", "", "\n", "")
	f.Fuzz(func(t *testing.T, a, b string, columns, hang int, flow uint8) {
		hang, columns = max(0, hang%50), columns%300
		assert.Equal(t, strings.ReplaceAll(a, " ", ""), strings.ReplaceAll(strings.Join(terminal.Wrap(a, columns, hang), ""), " ", ""))
		table := terminal.Table{Columns: columns, Flow: []int{int(flow % 4)}, Color: func(row, _ int) string { return []string{"", terminal.Red}[row%2] }}
		plain := table
		plain.Color = nil
		rows := [][]string{{a, b, a}, {b}, {"", a}, {}}
		table.Text(rows)
		text := blank.Replace(plain.Text(rows))
		for _, part := range []string{a, b} {
			if rest := blank.Replace(part); len([]rune(rest)) == 1 {
				assert.Contains(t, text, rest)
			}
		}
	})
}
