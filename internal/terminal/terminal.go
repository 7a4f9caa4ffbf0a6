// Package terminal lays text out for a terminal: how many columns a text takes, how
// it is broken into lines, and tables that fit. Nothing is cut off: what is too wide
// goes on below. It is pure; what a stream can show is known to cmd/cronagent. Text
// from outside has to be made safe before: an escape in it counts as a colour, which
// takes no column.
package terminal

import (
	"cmp"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Colours, as Paint takes them. They say nothing that the words do not.
const (
	Red    = "31"
	Green  = "32"
	Yellow = "33"
	Cyan   = "36"
	Strong = "1"
	Dim    = "2"
)

const escape = '\x1b'

// Paint is a text in a colour; the empty one is none.
func Paint(color, text string) string {
	if color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// Width is how many columns a text takes: two for the wide characters of East Asia,
// none for those that stand above or below another one.
func Width(text string) (n int) {
	painted := false
	for _, r := range text {
		n += step(r, &painted)
	}
	return n
}

// step is how many columns a character of a painted text takes.
func step(r rune, painted *bool) int {
	switch {
	case *painted:
		*painted = r != 'm'
		return 0
	case r == escape:
		*painted = true
		return 0
	}
	return RuneWidth(r)
}

// RuneWidth is Width for a character. What moves the cursor counts as one.
func RuneWidth(r rune) int {
	switch {
	case r < 0x7f:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Wrap breaks a text into lines of so many columns at the most, at blanks where it can
// and else anywhere; zero columns means no limit. The lines after the first begin as
// the text does, and with hang more blanks, as long as that leaves them half of the
// room.
func Wrap(text string, columns, hang int) []string {
	if columns <= 0 || Width(text) <= columns {
		return []string{text}
	}
	indent := strings.Repeat(" ", min(len(text)-len(strings.TrimLeft(text, " "))+hang, columns/2))
	var lines []string
	for begin := ""; ; begin = indent {
		at := cut(text, columns-len(begin))
		lines = append(lines, begin+strings.TrimRight(text[:at], " "))
		if text = strings.TrimLeft(text[at:], " "); text == "" {
			return lines
		}
	}
}

// cut is where a text is broken so that what stands before takes so many columns at the
// most, but for blanks at its end: where two blanks separate things, if that is far enough,
// else at a blank, else anywhere, but not before the second character.
func cut(text string, columns int) int {
	used, blank, blanks, painted, words := 0, 0, 0, false, false
	for i, r := range text {
		if r == ' ' && words {
			blank = i
			if used >= columns/2 && strings.HasPrefix(text[i+1:], " ") {
				blanks = i
			}
		}
		words = words || r != ' '
		if used += step(r, &painted); used > columns && i > 0 {
			return cmp.Or(blanks, blank, i)
		}
	}
	return len(text)
}

// Share gives columns to several texts that want them: to each what it needs at least,
// and then to the narrowest first until each has what it wants, or nothing is left.
func Share(wanted, least []int, columns int) []int {
	widths := append([]int{}, least...)
	for _, n := range least {
		columns -= n
	}
	for ; columns > 0; columns-- {
		narrowest := -1
		for i, n := range widths {
			if n < wanted[i] && (narrowest < 0 || n < widths[narrowest]) {
				narrowest = i
			}
		}
		if narrowest < 0 {
			break
		}
		widths[narrowest]++
	}
	return widths
}
