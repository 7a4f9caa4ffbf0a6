package appconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// elements estimates, from above, what a file makes the YAML parser build: each
// line, list item and bracket is an element at most.
func elements(data []byte) int {
	n := bytes.Count(data, []byte("- ")) + bytes.Count(data, []byte("? "))
	for _, c := range data {
		switch c {
		case '\n', '\r', ',', '[', '{':
			n++
		}
	}
	return n
}

// parseYAML returns the root node of a file's one document; of an empty file, a
// null. Nil means that it cannot be parsed, and errs say why.
func parseYAML(data []byte, name string) (root *yaml.Node, errs Errors) {
	defer func() {
		// The parser is not ours, and what it is given comes from outside: its bugs
		// must not become ours.
		if p := recover(); p != nil {
			root, errs = nil, Errors{{Position: Position{File: name}, Message: fmt.Sprintf("not valid YAML: the parser gave up: %v", p)}}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}, nil
	case err != nil:
		return nil, diagnose(data, name, err)
	}
	for {
		var next yaml.Node
		err := decoder.Decode(&next)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, diagnose(data, name, err)
		}
		if len(next.Content) > 0 && !null(next.Content[0]) {
			at := Position{name, next.Content[0].Line, next.Content[0].Column}
			return nil, Errors{{Position: at, Message: "a second YAML document begins here; a configuration is one document",
				Hint: "remove the line --- above it"}}
		}
	}
	return doc.Content[0], nil
}

// pattern is a regular expression that is compiled when it is first needed: most
// are for files that are wrong, and every command would wait for all of them.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// parserError takes apart the text of the parser's errors, which have no type.
var parserError = pattern(`^yaml: (?:line (\d+): )?(.*)$`)

// diagnose says what is wrong with a file that is no YAML, and where. The parser
// itself names the line roughly, the column never, and the cause in words that
// nobody knows who does not write YAML parsers.
func diagnose(data []byte, name string, err error) Errors {
	line, problem := 1, err.Error()
	if m := parserError().FindStringSubmatch(problem); m != nil {
		problem = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
			// It counts from 0 where the parser, not the scanner, complains.
			if strings.HasPrefix(problem, "did not find expected") && !strings.Contains(problem, "alphabetic") {
				line++
			}
		}
	}
	if strings.Contains(problem, "UTF-8") || strings.Contains(problem, "control characters") || strings.Contains(problem, "UTF-16") {
		return Errors{badByte(data, name, problem)}
	}
	lines := contentLines(string(data))
	var found Errors
	switch {
	case strings.Contains(problem, "alphabetic or numeric"):
		found = unquotedSpecs(lines, name)
		if len(found) == 0 {
			found = unquotedValues(lines, name, '*', "begins an alias")
		}
	case strings.HasPrefix(problem, "unknown anchor"):
		found = unknownAnchor(lines, name, problem)
	case strings.Contains(problem, "cannot start any token") || strings.Contains(problem, "tab character"):
		found = tabs(lines, name, line)
		for _, c := range "@`%" {
			found = append(found, unquotedValues(lines, name, byte(c), "means something else")...)
		}
	case problem == "did not find expected key", strings.HasPrefix(problem, "mapping values are not allowed"),
		strings.HasPrefix(problem, "could not find expected ':'"), strings.Contains(problem, "'-' indicator"):
		found = misindented(lines, name)
	case strings.Contains(problem, "unexpected end of stream"):
		problem = "a quote opens here and is never closed"
		// Of a quote on the first line, the parser tells the file's last line.
		all := strings.Split(string(data), "\n")
		if line >= len(all) && !strings.ContainsAny(all[len(all)-1], `'"`) {
			line = 1
		}
	}
	if len(found) > 0 {
		return found
	}
	hint, mark := "", ""
	switch {
	case strings.HasPrefix(problem, "mapping values are not allowed"):
		hint = "put a value that holds a colon and a blank in quotes"
	case strings.HasPrefix(problem, "a quote opens here"):
		hint, mark = "close it on the same line, or double a quote that belongs to the text", `'"`
	}
	return Errors{{Position: Position{File: name, Line: line, Column: columnOf(data, line, mark)}, Message: "not valid YAML: " + problem, Hint: hint, cause: err}}
}

// columnOf is where the first of the marks is on a line, else where its text
// begins; 0 if it has none.
func columnOf(data []byte, line int, marks string) int {
	lines := strings.Split(string(data), "\n")
	if line < 1 || line > len(lines) {
		return 0
	}
	text := lines[line-1]
	if i := strings.IndexAny(text, marks); i >= 0 {
		return i + 1
	}
	return strings.IndexFunc(text, func(r rune) bool { return r != ' ' && r != '\t' }) + 1
}

// contentLine is a line with more than blanks and comments, outside of the
// blocks of text that | and > begin.
type contentLine struct {
	number int
	// indent is the number of blanks and tabs before text.
	indent  int
	leading string
	text    string
}

// blockStart is the end of a line that begins a block of text.
var blockStart = pattern(`(?:^|[:\-]\s+(?:[!&]\S+\s+)*)[|>][-+0-9]{0,2}\s*(?:#.*)?$`)

func contentLines(text string) []contentLine {
	var lines []contentLine
	block := -1
	for number, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimRight(line, " \t\r")
		rest := strings.TrimLeft(line, " \t")
		indent := len(line) - len(rest)
		if rest == "" || block >= 0 && indent > block {
			continue
		}
		block = -1
		if rest[0] == '#' {
			continue
		}
		lines = append(lines, contentLine{number + 1, indent, line[:indent], rest})
		if blockStart().MatchString(rest) {
			block = indent
		}
	}
	return lines
}

var (
	// unquoted finds the value of a key that begins with one of the characters that
	// YAML gives a meaning. Groups: the key, and the value up to the line's end.
	unquoted = pattern(`(?:^|[\s{,\-])["']?([A-Za-z_][\w.-]*)["']?[ \t]*:[ \t]+([*@` + "`" + `%].*)$`)
	// alias is a value that is a well-formed alias.
	alias = pattern(`^\*[\w-]+\s*(?:[,}\]].*|#.*)?$`)
	// trailing is what ends a plain value: a comment, or in braces the next key.
	comment  = pattern(`\s+#.*$`)
	inBraces = pattern(`\s*(?:,\s+["']?\w+["']?\s*:.*|\}.*)$`)
)

// value returns the key and the unquoted value of a line that has one of the
// kind that unquoted finds, and the column of the value.
func (l contentLine) value() (key, text string, column int) {
	m := unquoted().FindStringSubmatchIndex(l.text)
	if m == nil {
		return "", "", 0
	}
	key, text = l.text[m[2]:m[3]], comment().ReplaceAllString(l.text[m[4]:m[5]], "")
	if strings.Contains(l.text[:m[4]], "{") {
		text = inBraces().ReplaceAllString(text, "")
	}
	return key, text, l.indent + utf8.RuneCountInString(l.text[:m[4]]) + 1
}

// unquotedSpecs finds specs such as * * * * *, which stand without quotes even
// in the vendor's own documentation.
func unquotedSpecs(lines []contentLine, name string) Errors {
	var found Errors
	for _, l := range lines {
		key, text, column := l.value()
		if key != "spec" || text[0] != '*' || alias().MatchString(text) {
			continue
		}
		found = append(found, &Error{Position: Position{name, l.number, column},
			Message: fmt.Sprintf("the spec %s is not in quotes; without them * begins a YAML alias", text),
			Hint:    fmt.Sprintf("write spec: '%s'", text)})
	}
	return found
}

func unquotedValues(lines []contentLine, name string, first byte, why string) Errors {
	var found Errors
	for _, l := range lines {
		key, text, column := l.value()
		if key == "" || text[0] != first || alias().MatchString(text) {
			continue
		}
		found = append(found, &Error{Position: Position{name, l.number, column},
			Message: fmt.Sprintf("the value of %s is not in quotes; without them %c at its start %s in YAML", key, first, why),
			Hint:    fmt.Sprintf("write %s: '%s'", key, strings.ReplaceAll(text, "'", "''"))})
	}
	return found
}

func unknownAnchor(lines []contentLine, name, problem string) Errors {
	_, anchor, _ := strings.Cut(problem, "'")
	anchor, _, _ = strings.Cut(anchor, "'")
	e := &Error{Position: Position{File: name},
		Message: fmt.Sprintf("*%s stands for what &%s marks, and nothing above is marked so", anchor, anchor)}
	use := regexp.MustCompile(`\*` + regexp.QuoteMeta(anchor) + `(?:[\s,}\]]|$)`)
	for _, l := range lines {
		at := use.FindStringIndex(l.text)
		if at == nil {
			continue
		}
		e.Position.Line, e.Position.Column = l.number, l.indent+utf8.RuneCountInString(l.text[:at[0]])+1
		if key, text, _ := l.value(); key == "spec" {
			e.Hint = fmt.Sprintf("if it is meant to be a spec, write spec: '%s'", text)
		}
		break
	}
	return Errors{e}
}

// tabs finds the line that the parser stumbled over if a tab indents it.
func tabs(lines []contentLine, name string, near int) Errors {
	for _, l := range lines {
		tab := strings.IndexByte(l.leading, '\t')
		if tab >= 0 && l.number >= near-1 && l.number <= near+1 {
			return Errors{{Position: Position{name, l.number, tab + 1},
				Message: "a tab indents this line; YAML is indented by spaces only",
				Hint:    "replace the tabs by spaces"}}
		}
	}
	return nil
}

var (
	keyLine = pattern(`^["']?([^\s"':{}\[\]#,&*!|>][^"':#]*)["']?\s*:(?:\s+(.*))?$`)
	// noScalar is what may stand behind a key whose value begins on the next line.
	noScalar = pattern(`^(?:[!&]\S+\s*)*(?:#.*|[|>][-+0-9]*\s*(?:#.*)?)?$`)
)

// misindented finds the first key whose column fits nothing above it: deeper
// than a key that already has a value, or between two columns.
func misindented(lines []contentLine, name string) Errors {
	type open struct {
		indent int
		key    string
		number int
		full   bool
	}
	var stack []open
	for _, l := range lines {
		indent, text := l.indent, l.text
		for strings.HasPrefix(text, "- ") {
			rest := strings.TrimLeft(text[2:], " ")
			indent, text = indent+len(text)-len(rest), rest
		}
		m := keyLine().FindStringSubmatch(text)
		if m == nil {
			continue
		}
		this := open{indent, strings.TrimSpace(m[1]), l.number, !noScalar().MatchString(m[2])}
		at := Position{name, l.number, indent + 1}
		var popped *open
		for len(stack) > 0 && stack[len(stack)-1].indent > l.indent {
			popped, stack = &stack[len(stack)-1], stack[:len(stack)-1]
		}
		top := open{indent: -1}
		if len(stack) > 0 {
			top = stack[len(stack)-1]
		}
		switch {
		case indent > top.indent && top.full:
			return Errors{{Position: at,
				Message: fmt.Sprintf("%q is indented deeper than %q on line %d, which has its value already", this.key, top.key, top.number),
				Hint:    "keys of the same cron begin in the same column"}}
		case popped != nil && indent > top.indent:
			return Errors{{Position: at,
				Message: fmt.Sprintf("%q is indented less than %q on line %d and more than what is above that", this.key, popped.key, popped.number),
				Hint:    "keys of the same cron begin in the same column"}}
		}
		if len(stack) > 0 && top.indent == indent {
			stack[len(stack)-1] = this
		} else {
			stack = append(stack, this)
		}
	}
	return nil
}

// badByte finds the first byte that no YAML file may hold.
func badByte(data []byte, name, problem string) *Error {
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Error{Position: Position{name, line, column},
				Message: "not UTF-8 text", Hint: "save the file as UTF-8"}
		case r == '\n':
			line, column = line+1, 0
		case r < ' ' && r != '\t' && r != '\r' || r == 0x7f:
			return &Error{Position: Position{name, line, column},
				Message: fmt.Sprintf("a control character (%U) stands here", r), Hint: "remove it"}
		}
		i, column = i+size, column+1
	}
	return &Error{Position: Position{File: name}, Message: "not valid YAML: " + problem}
}
