package table

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/terminal"
)

// framed draws a table. Where it is wider than the terminal, text is broken at blanks,
// and dates before their times; an id that is broken cannot be copied. If that does not
// suffice, each row stands alone, its cells one below the other beside their heads.
func framed(columns int, header []string, rows [][]string) string {
	all := rows
	if header != nil {
		all = append([][]string{header}, rows...)
	}
	widths, fits := fit(all, columns)
	if !fits && len(header) > 2 {
		return stacked(columns, header, rows)
	}
	b := frame{widths: widths}
	b.rule()
	for i, row := range all {
		b.row(row)
		if i == 0 && header != nil {
			b.rule()
		}
	}
	b.rule()
	return b.String()
}

// stacked draws a frame for each row, with a line for each cell.
func stacked(columns int, header []string, rows [][]string) string {
	var all [][]string
	for _, row := range rows {
		for i, head := range header {
			all = append(all, []string{head, row[i]})
		}
	}
	b := frame{}
	b.widths, _ = fit(all, columns)
	b.rule()
	for i, row := range all {
		b.row(row)
		if (i+1)%len(header) == 0 {
			b.rule()
		}
	}
	return b.String()
}

// fit finds the widths of columns for a terminal, and tells whether nothing is broken
// that must not be.
func fit(rows [][]string, columns int) (widths []int, fits bool) {
	var wanted, least []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(wanted) {
				wanted, least = append(wanted, 0), append(least, 0)
			}
			for line := range strings.SplitSeq(cell, "\n") {
				wanted[i] = max(wanted[i], terminal.Width(line))
				for piece := range strings.FieldsSeq(parted(line)) {
					least[i] = max(least[i], terminal.Width(piece))
				}
			}
		}
	}
	room := columns - len("| ") - len(" |") - len(" | ")*(len(wanted)-1)
	if columns <= 0 || sum(wanted) <= room {
		return wanted, true
	}
	if sum(least) <= room {
		return terminal.Share(wanted, least, room), true
	}
	// The last column is the one that is broken, if that helps.
	const readable = 10
	if last := len(least) - 1; room-sum(least[:last]) >= readable {
		least[last] = readable
	} else {
		least = slices.Repeat([]int{1}, len(wanted))
	}
	return terminal.Share(wanted, least, max(room, len(wanted))), false
}

func sum(all []int) (n int) {
	for _, one := range all {
		n += one
	}
	return n
}

var date = regexp.MustCompile(`([0-9]{4}-[0-9]{2}-[0-9]{2}T)([0-9]{2}:)`)

var blankDate = regexp.MustCompile(`([0-9]{4}-[0-9]{2}-[0-9]{2}T) ([0-9]{2}:)`)

// parted is a line with a blank where a date may be broken, and joined is what is left of
// it without the blanks at which none was.
func parted(line string) string { return date.ReplaceAllString(line, "$1 $2") }
func joined(line string) string { return blankDate.ReplaceAllString(line, "$1$2") }

// frame is a table that is being drawn.
type frame struct {
	strings.Builder
	widths []int
}

func (f *frame) rule() {
	for _, width := range f.widths {
		f.WriteString("+" + strings.Repeat("-", width+2))
	}
	f.WriteString("+\n")
}

func (f *frame) row(row []string) {
	for _, line := range f.physical(row) {
		for j, cell := range line {
			f.WriteString("| " + cell + strings.Repeat(" ", max(f.widths[j]-terminal.Width(cell), 0)+1))
		}
		f.WriteString("|\n")
	}
}

// physical are the lines that a row takes.
func (f *frame) physical(row []string) [][]string {
	cells := make([][]string, len(f.widths))
	height := 1
	for i := range cells {
		if i >= len(row) {
			continue
		}
		for line := range strings.SplitSeq(row[i], "\n") {
			if terminal.Width(line) <= f.widths[i] {
				cells[i] = append(cells[i], line)
				continue
			}
			for _, part := range terminal.Wrap(parted(line), f.widths[i], 0) {
				cells[i] = append(cells[i], joined(part))
			}
		}
		height = max(height, len(cells[i]))
	}
	lines := make([][]string, height)
	for i := range lines {
		lines[i] = make([]string, len(cells))
		for j, cell := range cells {
			if i < len(cell) {
				lines[i][j] = cell[i]
			}
		}
	}
	return lines
}
