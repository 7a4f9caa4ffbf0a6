package terminal

import (
	"slices"
	"strings"
)

// Table is how rows are laid out in columns, two blanks apart.
type Table struct {
	// Columns is how wide the terminal is. Zero: it is none, each row is one line.
	Columns int
	// Flow are the columns of text that may be broken into lines, for which there is
	// less room then. The others hold what is copied or compared: names, times,
	// outcomes. They are broken only if they are wider than the whole terminal.
	Flow []int
	// Color is the colour of a cell. Nil: there are none.
	Color func(row, column int) string
}

// gap is what stands between columns, below is by how much the columns are indented
// for which there was no room beside the others, and leastFlow is the least room that
// text is given before it is put there.
const (
	gap       = 2
	below     = 4
	leastFlow = 24
)

// Text lays out rows, a header among them or not. Where the columns do not fit side by
// side, the last ones of each row stand below its first ones, in columns of their own.
func (t Table) Text(rows [][]string) string {
	wanted := widths(rows)
	lines := t.fold(wanted)
	var b strings.Builder
	for i, row := range rows {
		before := b.Len()
		for _, line := range lines {
			t.write(&b, i, row, line)
		}
		if b.Len() == before {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// widths are those of the widest cells.
func widths(rows [][]string) (all []int) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(all) {
				all = append(all, 0)
			}
			all[i] = max(all[i], Width(cell))
		}
	}
	return all
}

// span is the columns that stand side by side.
type span struct {
	first  int
	indent int
	widths []int
}

// fold decides which columns stand side by side, and how wide each is.
func (t Table) fold(wanted []int) []span {
	if sum(wanted) <= t.Columns || t.Columns <= 0 {
		return []span{{widths: wanted}}
	}
	least := make([]int, len(wanted))
	for i, n := range wanted {
		least[i] = n
		if slices.Contains(t.Flow, i) { // some three lines, if that is not half of the screen
			least[i] = min(n, max(leastFlow, min(n/3, t.Columns/2)))
		}
	}
	var lines []span
	for first := 0; first < len(wanted); {
		line := span{first: first}
		if first > 0 {
			line.indent = min(below, t.Columns/4)
		}
		room := t.Columns - line.indent
		least[first] = min(least[first], room)
		end := first + 1
		for end < len(wanted) && sum(least[first:end+1]) <= room {
			end++
		}
		want := slices.Clone(wanted[first:end])
		for i := range want {
			if !slices.Contains(t.Flow, first+i) {
				want[i] = least[first+i]
			}
		}
		line.widths = Share(want, least[first:end], room-gap*(end-first-1))
		lines = append(lines, line)
		first = end
	}
	return lines
}

// sum is how many columns cells take side by side.
func sum(widths []int) int {
	n := gap * (len(widths) - 1)
	for _, width := range widths {
		n += width
	}
	return n
}

// write writes the cells of a row that stand side by side; nothing if they are empty.
func (t Table) write(b *strings.Builder, number int, row []string, line span) {
	cells := make([][]string, len(line.widths))
	height := 0
	for i := range cells {
		if column := line.first + i; column < len(row) && row[column] != "" {
			cells[i] = Wrap(row[column], line.widths[i], 0)
			height = max(height, len(cells[i]))
		}
	}
	for n := range height {
		at, written := line.indent, 0
		for i, cell := range cells {
			if n < len(cell) {
				b.WriteString(strings.Repeat(" ", at-written))
				text := cell[n]
				written = at + Width(text)
				if t.Color != nil {
					text = Paint(t.Color(number, line.first+i), text)
				}
				b.WriteString(text)
			}
			at += line.widths[i] + gap
		}
		b.WriteByte('\n')
	}
}
