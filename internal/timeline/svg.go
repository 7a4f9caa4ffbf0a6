package timeline

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/cronagent/cronagent/internal/terminal"
)

// DrawColumns is how many columns a picture for SVG and HTML should have at the most:
// a day has them of ten minutes, a week of an hour.
const DrawColumns = 192

// Measures of the drawing, in pixels as long as it is not scaled.
const (
	drawWidth  = 1200
	rowHeight  = 24
	charWidth  = 7.3 // of the font, which has characters of one width
	margin     = 16
	lineHeight = 18
)

// style is that of the drawing. It needs no variables and no functions, which not
// everything that shows SVG knows. Outcomes and density have a shape of their own
// beside their colour.
const style = `.tl text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328;unicode-bidi:isolate}
.tl .bg{fill:#fff}.tl .dim{fill:#59636e}.tl .strong{font-weight:bold}.tl .grid{fill:#d1d9e0}.tl .day{fill:#9198a1}
.tl .due{fill:#0969da}.tl .span{fill:#0969da;fill-opacity:.35;stroke:#0969da}.tl .off{fill:none;stroke:#59636e}.tl .gate{fill:#59636e;fill-opacity:.14}
.tl .now{fill:#8250df}.tl .together{fill:#bf8700}
.tl .good{fill:#1a7f37}.tl .bad{fill:none;stroke:#d1242f;stroke-width:3}.tl .missed{fill:none;stroke:#9a6700;stroke-width:2}
.tl .uncertain{fill:none;stroke:#9a6700;stroke-width:2.5}.tl .waiting{fill:#1b7c83}.tl .skipped{fill:none;stroke:#59636e;stroke-width:1.5}
@media (prefers-color-scheme:dark){.tl text{fill:#e6edf3}.tl .bg{fill:#0d1117}.tl .dim{fill:#9198a1}.tl .grid{fill:#2f363e}.tl .day{fill:#656c76}
.tl .due{fill:#58a6ff}.tl .span{fill:#58a6ff;stroke:#58a6ff}.tl .off{stroke:#9198a1}.tl .gate{fill:#9198a1;fill-opacity:.2}
.tl .now{fill:#bc8cff}.tl .together{fill:#bb8009}
.tl .good{fill:#3fb950}.tl .bad{stroke:#ff7b72}.tl .missed{stroke:#e3b341}.tl .uncertain{stroke:#e3b341}.tl .waiting{fill:#39c5cf}.tl .skipped{stroke:#9198a1}}
`

// shapes are what marks are drawn as: a class, and a path around the origin.
var shapes = [...][2]string{
	Skipped:   {"skipped", "M-3.5 0a3.5 3.5 0 1 1 7 0a3.5 3.5 0 1 1 -7 0"},
	Good:      {"good", "M-5 0a5 5 0 1 1 10 0a5 5 0 1 1 -10 0"},
	Waiting:   {"waiting", "M-4 -5.5l9 5.5l-9 5.5z"},
	Uncertain: {"uncertain", "M-3.5 -3a3.5 3.5 0 1 1 4.5 3.4q-1 .6 -1 2.6m0 2v2"},
	Missed:    {"missed", "M0 -6l6 6l-6 6l-6 -6z"},
	Bad:       {"bad", "M-5 -5l10 10m0 -10l-10 10"},
}

// escape makes text part of XML and HTML. Control characters are not its business, but
// what no XML may hold is taken out in any case.
func escape(text string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r&0xfffe == 0xfffe {
			return utf8.RuneError
		}
		return r
	}, text))
}

// SVG draws a picture as an image of its own.
func (p *Picture) SVG() string { return p.draw("<style>\n" + style + "</style>\n") }

// drawing is an SVG as it is drawn.
type drawing struct {
	p     *Picture
	b     []byte
	left  int // where columns begin
	chars int // how much of a name is shown
	y     int // the top of what is drawn next
	shown map[string]bool
	alone bool // it is an image of its own, not part of a page that says the rest
}

// draw draws everything: with its style, if it is an image of its own.
func (p *Picture) draw(style string) string {
	d := drawing{p: p, shown: map[string]bool{}, chars: 11, alone: style != ""}
	for _, r := range p.Rows {
		d.chars = max(d.chars, min(terminal.Width(r.Name), 28))
	}
	d.left = margin + int(float64(d.chars+1)*charWidth)
	d.body()
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" class="tl" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="tl-title tl-desc">
<title id="tl-title">%[3]s</title>
<desc id="tl-desc">%[4]s</desc>
%[5]s<path class="bg" d="M0 0h%[1]dv%[2]dh-%[1]dz"/>
%[6]s</svg>
`, drawWidth, d.y, escape(p.title()), escape(strings.Join(append([]string{p.heading()}, p.asides()...), ". ")), style, d.b)
}

// title is what the picture is called.
func (p *Picture) title() string {
	if p.Title == "" {
		return "What fires when"
	}
	return p.Title
}

func (d *drawing) text(x, y int, class, text, hover string) {
	if hover != "" {
		hover = "<title>" + escape(hover) + "</title>"
	}
	d.b = fmt.Appendf(d.b, `<text class="%s" x="%d" y="%d">%s%s</text>`+"\n", class, x, y, hover, escape(text))
}

// rect draws a rectangle, of which the mouse tells what it is.
func (d *drawing) rect(class string, x, y, width, height int, hover string) {
	d.shown[class] = true
	if hover != "" {
		hover = "<title>" + escape(hover) + "</title>"
	}
	d.b = fmt.Appendf(d.b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d">%s</rect>`+"\n", class, x, y, max(width, 1), height, hover)
}

// mark draws what became of runs around a point.
func (d *drawing) mark(m Mark, x, y int, hover string) {
	d.shown[shapes[m][0]] = true
	d.b = fmt.Appendf(d.b, `<path class="%s" transform="translate(%d,%d)" d="%s"><title>%s</title></path>`+"\n", shapes[m][0], x, y, shapes[m][1], escape(hover))
}

// x is where an instant is.
func (d *drawing) x(at int64) int {
	bounds := d.p.bounds
	n := len(bounds) - 1
	at = min(max(at, bounds[0]), bounds[n])
	i := d.p.column(at)
	if i < 0 {
		return drawWidth - margin
	}
	part := float64(at-bounds[i]) / float64(bounds[i+1]-bounds[i])
	return d.left + int((float64(i)+part)*float64(drawWidth-margin-d.left)/float64(n))
}

// body draws all but the head, and leaves its height in y.
func (d *drawing) body() {
	p := d.p
	top := margin + 28
	if d.alone {
		d.text(margin, margin+12, "strong", p.title(), "")
		d.text(margin, margin+12+lineHeight, "dim", p.heading(), "")
		top += 2*lineHeight + 6
	}
	bottom := top
	for _, g := range p.groups {
		bottom += g.height()
	}
	d.axis(top, bottom)
	d.y = top
	for _, g := range p.groups {
		y := d.y
		d.group(g)
		d.y = y + g.height()
	}
	if at := p.Now.Unix(); p.column(at) >= 0 {
		x := d.x(at)
		d.rect("now", x, top-6, 2, bottom-top+6, "now: "+clock(p.Now))
		d.text(x-10, bottom+12, "now", "now", "")
	}
	d.y += 22
	d.legend()
	for i, line := range p.asides() {
		if i == 12 || !d.alone {
			break
		}
		for _, part := range terminal.Wrap(line, 158, 2) {
			d.text(margin, d.y+12, "dim", strings.TrimSpace(part), "")
			d.y += lineHeight
		}
	}
	d.y += margin
}

// axis draws what stands above the columns, and lines down from there.
func (d *drawing) axis(top, bottom int) {
	p := d.p
	days, times := p.axis(int(float64(drawWidth-margin-d.left) / charWidth * 100 / float64(len(p.bounds)-1)))
	for i, labels := range [][]label{times, days} {
		class, y := "grid", top-8
		if i > 0 {
			class, y = "day", top-26
		}
		for _, l := range labels {
			x := d.x(p.bounds[l.column])
			d.rect(class, x, y-10, 1, bottom-y+10, "")
			d.text(x+4, y, "dim", l.text, "")
		}
	}
}

// height is how high the rows of one scheduler are.
func (g *group) height() int {
	height := (len(g.rows)+1)*rowHeight + 6
	if len(g.meetings) > 0 {
		height += rowHeight
	}
	return height
}

// group draws the rows of one scheduler, and where they meet.
func (d *drawing) group(g *group) {
	d.text(margin, d.y+16, "strong", g.scheduler, "")
	for _, r := range g.rows {
		d.y += rowHeight
		d.row(r)
	}
	d.y += rowHeight
	for i, m := range g.meetings {
		if i == 0 {
			d.text(margin, d.y+16, "dim", "together", "")
		}
		x := d.x(m.From.Unix())
		d.rect("together", x, d.y+3, max(d.x(m.To.Unix())-x, 4), rowHeight-6, m.words()+": "+m.when())
	}
}

// row draws a cron.
func (d *drawing) row(r *Row) {
	d.text(margin, d.y+16, "", strings.TrimRight(fit(r.Name, d.chars, ellipsis), " "), r.Name+": "+r.Spec)
	gate := r.Paused
	if r.Off != "" {
		gate = Span{d.p.bounds[0], d.p.bounds[len(d.p.bounds)-1]}
	}
	if gate.To > d.p.bounds[0] && gate.From < d.p.To.Unix() {
		x := d.x(gate.From)
		d.rect("gate", x, d.y+2, d.x(gate.To)-x, rowHeight-4, r.Name+": not acted on: "+r.why())
	}
	for _, due := range r.Due {
		if due.cell >= 0 && r.cells[due.cell].mark != None && d.p.bounds[due.cell+1] <= d.p.Now.Unix() {
			continue // what became of it is shown
		}
		class, x, hover := "due", d.x(due.From.Unix()), r.Name+": "+due.words()
		width, height := max(d.x(due.To.Unix())-x, 3), 5+4*due.level
		if due.Off {
			class = "off"
			hover += "; not acted on: " + r.why()
		} else if due.Count == 1 && due.To.After(due.From) {
			class, height = "span", 12
		}
		d.rect(class, x, d.y+rowHeight-2-height, width, height, hover)
	}
	for m := Skipped; m <= Bad; m++ { // what is worse lies above the others
		for i := range r.cells {
			if c := &r.cells[i]; c.mark == m {
				d.runs(r, c)
			}
		}
	}
}

// runs draws what became of the runs of a cell.
func (d *drawing) runs(r *Row, c *cell) {
	at := int64(0)
	hover := r.Name
	for i, run := range c.runs {
		if run.Mark == c.mark && at == 0 {
			if at = run.At.Unix(); c.count > 0 && !run.Until.IsZero() {
				at = max(at, c.first.From)
			}
		}
		switch {
		case i < 5:
			hover += "; " + clock(run.At) + " " + run.Text
		case i == 5:
			hover += "; and " + count(len(c.runs)-i, "more run")
		}
	}
	d.mark(c.mark, d.x(at), d.y+rowHeight/2, hover)
}

// legend draws what the shapes mean that are there.
func (d *drawing) legend() {
	x := margin
	item := func(class, text string, draw func()) {
		if !d.shown[class] {
			return
		}
		width := 24 + int(float64(terminal.Width(text)+3)*charWidth)
		if x+width > drawWidth {
			x = margin
			d.y += lineHeight + 4
		}
		draw()
		d.text(x+24, d.y+12, "dim", text, "")
		x += width
	}
	item("due", "due, the higher the more often", func() {
		for i := range 3 {
			d.rect("due", x+2+5*i, d.y+5-4*i, 3, 9+4*i, "")
		}
	})
	box := func(class, text string) {
		item(class, text, func() { d.rect(class, x+2, d.y+1, 16, 13, "") })
	}
	box("span", "once in this range")
	box("off", "due, not acted on")
	box("gate", "not acted on")
	box("together", "several together")
	for m := Bad; m > None; m-- {
		item(shapes[m][0], outcomes[m], func() { d.mark(m, x+9, d.y+8, outcomes[m]) })
	}
	d.y += lineHeight + 8
}
