package timeline

import (
	"strconv"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/terminal"
)

// MinWidth is the least width of a terminal that Text is made for.
const MinWidth = 60

// TextOptions say how a picture is drawn with characters.
type TextOptions struct {
	// Width is that of the terminal; less than MinWidth counts as that.
	Width int
	// ASCII is for terminals that have no other characters.
	ASCII bool
	// Color is for terminals that have colours.
	Color bool
}

// What a cell may be drawn as, beside outcomes, which are Mark.
const (
	empty = int(Bad) + 1 + iota
	now
	span
	gate
	off
	together
	dense  // and the levels of density above it
	glyphs = dense + len(levels)
)

// The characters that a picture is made of, those of marks first.
var (
	unicodeGlyphs = [glyphs]string{
		Skipped: "s", Good: "✓", Waiting: ">", Uncertain: "?", Missed: "m", Bad: "✗",
		empty: "·", now: "│", span: "░", gate: "╌", off: "◦", dense + 1: "▂", dense + 2: "▄", dense + 3: "▆", dense + 4: "█",
	}
	asciiGlyphs = [glyphs]string{
		Skipped: "s", Good: "+", Waiting: ">", Uncertain: "?", Missed: "m", Bad: "x",
		empty: ".", now: "|", span: "~", gate: "-", off: "o", dense + 1: "1", dense + 2: "2", dense + 3: "4", dense + 4: "#",
	}
)

// colors are those of glyphs. They say nothing that the characters do not.
var colors = [glyphs]string{
	Skipped: terminal.Dim, Good: terminal.Green, Waiting: terminal.Cyan, Uncertain: terminal.Yellow, Missed: terminal.Yellow, Bad: terminal.Red,
	empty: terminal.Dim, now: terminal.Cyan, gate: terminal.Dim, off: terminal.Dim,
}

// Color is the colour in which a mark, or a word for it, is shown.
func (m Mark) Color() string { return colors[m] }

// labelWidth is how many of a terminal's columns names get.
func labelWidth(crons []string, columns int) int {
	const least = 11
	longest := least
	for _, name := range crons {
		longest = max(longest, terminal.Width(name))
	}
	if columns < 72 { // so that a day has half-hours in 60 columns
		return least
	}
	return min(longest, columns/4, 40)
}

// TextColumns is how many columns Text has room for beside the names of crons.
func TextColumns(crons []*Cron, columns int) int {
	var all []string
	for _, c := range crons[:min(len(crons), MaxRows)] {
		all = append(all, c.Name)
	}
	columns = max(columns, MinWidth)
	return min(columns-labelWidth(all, columns)-1, 400)
}

// painter draws text.
type painter struct {
	p      *Picture
	o      TextOptions
	glyphs *[glyphs]string
	more   string // what stands for text that was cut off
	label  int    // how wide names are
	now    int    // the column of now, or -1
	used   [glyphs]bool
	b      strings.Builder
}

// Text draws a picture that was made for TextColumns with characters.
func (p *Picture) Text(o TextOptions) string {
	o.Width = max(o.Width, MinWidth)
	t := painter{p: p, o: o, glyphs: &unicodeGlyphs, more: ellipsis, now: p.column(p.Now.Unix())}
	if o.ASCII {
		t.glyphs, t.more = &asciiGlyphs, ".."
	}
	var all []string
	for _, r := range p.Rows {
		all = append(all, r.Name)
	}
	t.label = labelWidth(all, o.Width)
	t.say(p.title() + "; one column is " + length(int(p.step/time.Minute)))
	t.say(p.heading())
	t.put("\n", "")
	days, times := p.axis(100)
	t.labels(days)
	t.labels(times)
	if t.now >= 0 {
		t.used[now] = true
		t.put(strings.Repeat(" ", t.label+1+t.now), "")
		t.put(t.glyphs[now]+"\n", colors[now])
	}
	for _, g := range p.groups {
		t.group(g)
	}
	t.legend()
	for i, line := range p.asides() {
		if i == 0 {
			t.put("\n", "")
		}
		t.say(line)
	}
	return t.b.String()
}

// say writes a sentence.
func (t *painter) say(text string) {
	t.put(strings.Join(terminal.Wrap(t.plain(text), t.o.Width, 2), "\n")+"\n", "")
}

// plain is text with the characters that there are.
func (t *painter) plain(text string) string {
	if !t.o.ASCII {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r > 0x7e {
			return '?'
		}
		return r
	}, text)
}

// put writes text in a colour, if it has one.
//
//go:noinline
func (t *painter) put(text, color string) {
	if t.o.Color {
		text = terminal.Paint(color, text)
	}
	t.b.WriteString(text)
}

// labels writes a line above the columns.
func (t *painter) labels(all []label) {
	line := ""
	for _, l := range all {
		line = fit(line, t.label+1+l.column, "") + l.text
	}
	if line != "" {
		t.put(line, terminal.Dim)
		t.put("\n", "")
	}
}

// group writes the rows of one scheduler, and where they meet.
func (t *painter) group(g *group) {
	t.put(g.scheduler, terminal.Strong)
	t.put("\n", "")
	for _, r := range g.rows {
		t.put(fit(t.plain(r.Name), t.label, t.more)+" ", "")
		for i := range r.cells {
			what := r.cells[i].drawn()
			if what == empty && i == t.now {
				what = now
			}
			t.used[what] = true
			t.put(t.glyphs[what], colors[what])
		}
		t.put("\n", "")
	}
	if len(g.meetings) == 0 {
		return
	}
	t.used[together] = true
	t.put(fit("together", t.label+1, ""), terminal.Dim)
	for i, n := range g.together {
		switch {
		case n > 9:
			t.put("#", terminal.Yellow)
		case n > 0:
			t.put(strconv.Itoa(n), terminal.Yellow)
		case i == t.now:
			t.put(t.glyphs[now], colors[now])
		default:
			t.put(t.glyphs[empty], terminal.Dim)
		}
	}
	t.put("\n", "")
}

// drawn is what is most worth knowing of a cron in a column.
func (c *cell) drawn() int {
	switch {
	case c.mark != None:
		return int(c.mark)
	case c.off:
		return off
	case c.gated:
		return gate
	case c.reached && c.count <= 1:
		return span
	case c.count > 0:
		return dense + c.level()
	}
	return empty
}

// legend says what the characters mean that were used.
func (t *painter) legend() {
	line, sep := "", "\n"
	for i := range t.used {
		what := (dense + i) % glyphs // how dense comes first, then how it ended
		glyph, means := t.glyphs[what], ""
		switch {
		case !t.used[what] || what == empty:
			continue
		case what <= int(Bad):
			means = outcomes[what]
		case what == now:
			means = "now"
		case what == span:
			means = "once in this range"
		case what == gate:
			means = "not acted on"
		case what == off:
			means = "due, not acted on"
		case what == together:
			glyph, means = "2-9 #", "so many together"
		default:
			means = levels[what-dense]
		}
		item := glyph + " " + means
		if line != "" && terminal.Width(line)+3+terminal.Width(item) > t.o.Width {
			t.put(sep+line+"\n", "")
			line, sep = "", ""
		}
		if line != "" {
			line += "   "
		}
		line += item
	}
	if line != "" {
		t.put(sep+line+"\n", "")
	}
}
