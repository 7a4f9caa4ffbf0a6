package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// safe makes text from outside (the API's words, a branch name, what a job
// printed) harmless on a terminal and in a log: on one line, and without
// characters that move the cursor, hide text or turn its direction.
func safe(text string) string {
	if !strings.ContainsFunc(text, unsafeRune) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteByte(' ')
		case !unsafeRune(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// writeJSON prints a value for scripts: all of it, or nothing.
func writeJSON(w io.Writer, value any) error { return encodeJSON(w, value, "  ") }

// writeJSONLine prints one of many values for scripts, each on a line of its own.
func writeJSONLine(w io.Writer, value any) error { return encodeJSON(w, value, "") }

// encodeJSON writes characters that safe takes out as their codes, which mean the same:
// a person may look at it in a terminal.
func encodeJSON(w io.Writer, value any, indent string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var b []byte
	for _, r := range text.String() {
		switch {
		case r == '\n' || r == utf8.RuneError || !unsafeRune(r):
			b = utf8.AppendRune(b, r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	_, err := w.Write(b)
	return err
}

// shortened is a text on one line that has so many characters at the most, for who
// shows the whole elsewhere.
func shortened(text string, most int) string {
	all := []rune(oneLine(text))
	if len(all) <= most {
		return string(all)
	}
	return strings.TrimSpace(string(all[:most-3])) + "..."
}
