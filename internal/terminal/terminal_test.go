package terminal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/cronagent/cronagent/internal/terminal"
)

func TestWidthCountsColumns(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "plain": 5, "größe": 5, "e\u0301": 1, "東京": 4, "ｱ": 1, "Ａ": 2, "🚀": 2, "\x1b[31mred\x1b[0m": 3, "a\x1b[1m\x1b[0mb": 2,
	} {
		assert.Equal(t, want, terminal.Width(text), "%q", text)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text          string
		columns, hang int
		want          string
	}{
		{"as long as it likes", 0, 4, "as long as it likes"},
		{"it fits", 7, 4, "it fits"},
		{"at the blank", 8, 0, "at the|blank"},
		{"at the blank", 6, 0, "at the|blank"},
		{"at the blank", 5, 0, "at|the|blank"},
		{"two  blanks stay", 11, 0, "two  blanks|stay"},
		{"outcome  took 1s", 15, 0, "outcome|took 1s"}, // they separate things
		{"lost   at the end", 5, 0, "lost|at|the|end"},
		{"hangs a little", 8, 2, "hangs a|  little"},
		{"  as it begins", 8, 0, "  as it|  begins"},
		{"  and more so", 9, 2, "  and|    more|    so"},
		{"          f in", 12, 0, "          f|      in"}, // half the room stays
		{"unbreakable", 4, 0, "unbr|eaka|ble"},
		{"to unbreakable", 4, 0, "to|unbr|eaka|ble"},
		{"東京大阪", 5, 0, "東京|大阪"},
		{"東京", 1, 0, "東|京"},
		{"e\u0301e\u0301e\u0301", 2, 0, "e\u0301e\u0301|e\u0301"},
		{"\x1b[31mred\x1b[0m word", 5, 0, "\x1b[31mred\x1b[0m|word"},
		{"   ", 2, 0, ""},
	} {
		got := terminal.Wrap(c.text, c.columns, c.hang)
		assert.Equal(t, c.want, strings.Join(got, "|"), "%q", c.text)
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []int{10, 20}, terminal.Share([]int{10, 20}, []int{1, 1}, 99))
	assert.Equal(t, []int{10, 15}, terminal.Share([]int{10, 20}, []int{1, 1}, 25), "the narrow one first")
	assert.Equal(t, []int{13, 12}, terminal.Share([]int{50, 20}, []int{1, 1}, 25))
	assert.Equal(t, []int{9, 9}, terminal.Share([]int{50, 20}, []int{9, 9}, 5), "not less than the least")
}

var crons = [][]string{
	{"NAME", "SPEC", "NEXT", "DOES"},
	{"backup", "H 5 * * *", "Sat 2026-11-28 05:12 CET", "fire backup:create"},
	{"import-of-prices", "*/10 8-18 * * mon-fri", "disabled", "php bin/console app:import --all --quiet, then php bin/console cache:clear"},
}

func TestTable(t *testing.T) {
	t.Parallel()
	for columns, want := range map[int]string{
		0: `
NAME              SPEC                   NEXT                      DOES
backup            H 5 * * *              Sat 2026-11-28 05:12 CET  fire backup:create
import-of-prices  */10 8-18 * * mon-fri  disabled                  php bin/console app:import --all --quiet, then php bin/console cache:clear
`,
		// Where there is room beside the others, text is broken there.
		94: `
NAME              SPEC                   NEXT                      DOES
backup            H 5 * * *              Sat 2026-11-28 05:12 CET  fire backup:create
import-of-prices  */10 8-18 * * mon-fri  disabled                  php bin/console app:import
                                                                   --all --quiet, then php
                                                                   bin/console cache:clear
`,
		// Else columns stand below.
		80: `
NAME              SPEC                   NEXT
    DOES
backup            H 5 * * *              Sat 2026-11-28 05:12 CET
    fire backup:create
import-of-prices  */10 8-18 * * mon-fri  disabled
    php bin/console app:import --all --quiet, then php bin/console cache:clear
`,
		60: `
NAME              SPEC
    NEXT                      DOES
backup            H 5 * * *
    Sat 2026-11-28 05:12 CET  fire backup:create
import-of-prices  */10 8-18 * * mon-fri
    disabled                  php bin/console app:import
                              --all --quiet, then php
                              bin/console cache:clear
`,
	} {
		got := terminal.Table{Columns: columns, Flow: []int{3}}.Text(crons)
		assert.Equal(t, want[1:], got, columns)
	}
}

// TestTableFits: however narrow the terminal is, no line is wider, and nothing is lost.
func TestTableFits(t *testing.T) {
	t.Parallel()
	rows := slices.Concat(crons, [][]string{
		{"東京のバックアップ", "0 3 * * *", "", "日本語の長い説明がここに続きます。改行できる空白はありません。", "more than the others"},
		{"a-name-that-is-longer-than-a-small-terminal-is-wide-and-has-no-blank", "@daily"},
		{""},
	})
	for columns := 10; columns < 160; columns++ {
		for _, flow := range [][]int{nil, {3}, {2, 3, 4}, {0, 1, 2, 3, 4}} {
			got := terminal.Table{Columns: columns, Flow: flow, Color: func(_, column int) string { return []string{"", "31"}[column%2] }}.Text(rows)
			for line := range strings.Lines(got) {
				line = strings.TrimSuffix(line, "\n")
				assert.LessOrEqual(t, terminal.Width(line), columns, "%q", line)
				assert.Equal(t, strings.TrimRight(line, " "), line)
			}
			assert.Equal(t, characters(strings.Join(slices.Concat(rows...), "")), characters(strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(got)), columns)
		}
	}
}

// characters are those of a text but for blanks, in order of the alphabet.
func characters(text string) string {
	all := []rune(strings.Join(strings.Fields(text), ""))
	slices.Sort(all)
	return string(all)
}
