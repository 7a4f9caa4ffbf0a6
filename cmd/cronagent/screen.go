package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/terminal"
)

// screen is a stream for people, and what it can show. Colours, wide lines and other
// characters than ASCII are decided on here, and nowhere else: our own words are ASCII
// everywhere, and whoever draws with more asks unicode first.
type screen struct {
	io.Writer
	// columns is how wide the terminal is. Zero: it is none, and nothing is broken
	// into lines.
	columns int
	// colors says that it takes colours, and whoever reads it wants them.
	colors bool
}

// screen is standard output.
func (p proc) screen() screen { return p.screenOn(p.stdout) }

func (p proc) screenOn(w io.Writer) screen {
	s := screen{Writer: w}
	if m, ok := w.(masked); ok {
		w = m.w
	}
	if file, ok := w.(*os.File); ok && isTerminal(file) {
		s.columns = columns(file)
		s.colors = p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb" && p.getenv("TERM") != ""
	}
	return s
}

// unicode tells whether the locale has characters beyond ASCII. Where nothing is set
// it is POSIX's, which has none.
func (p proc) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(p.getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// width is how many columns wide a picture may be: as asked for, else as wide as the
// terminal is, else as COLUMNS says, else 80.
func (p proc) width(asked int) int {
	if asked > 0 {
		return asked
	}
	if n := p.screen().columns; n > 0 {
		return n
	}
	if n, err := strconv.Atoi(p.getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 80
}

// paint is a text in a colour, where there are colours.
func (s screen) paint(color, text string) string {
	if !s.colors {
		return text
	}
	return terminal.Paint(color, text)
}

// colorOf is the colour of the words that say how grave something is: those of doctor's
// lines, of check's severities, and of what is said on standard error.
func colorOf(word string) string {
	switch word {
	case isOK:
		return terminal.Green
	case "notice":
		return terminal.Cyan
	case isWarning:
		return terminal.Yellow
	case isProblem, "error":
		return terminal.Red
	}
	return ""
}

// outcome is how a run ended, in its colour.
func (s screen) outcome(run ledger.Run) string {
	return s.paint(markOf(&run).Color(), safe(string(run.Outcome)))
}

// lines prints lines of text that is safe already, with colours or without. What goes on
// in the next line is indented.
func (s screen) lines(lines ...string) error {
	var b strings.Builder
	for _, line := range lines {
		for _, part := range terminal.Wrap(line, s.columns, 4) {
			b.WriteString(part + "\n")
		}
	}
	_, err := io.WriteString(s, b.String())
	return err
}

// table prints rows in aligned columns, of which flow may be broken into lines.
func (s screen) table(rows [][]string, flow ...int) error { return s.coloredTable(rows, nil, flow...) }

// coloredTable is table with the colour of each cell.
func (s screen) coloredTable(rows [][]string, color func(row, column int) string, flow ...int) error {
	harmless := make([][]string, len(rows))
	for i, row := range rows {
		for _, cell := range row {
			harmless[i] = append(harmless[i], safe(cell))
		}
	}
	t := terminal.Table{Columns: s.columns, Flow: flow}
	if s.colors {
		t.Color = color
	}
	_, err := io.WriteString(s, t.Text(harmless))
	return err
}
