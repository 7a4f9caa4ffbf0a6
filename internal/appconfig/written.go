package appconfig

import (
	"bytes"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Written is a value as it stands in a file: for whoever judges how something is
// written, and not only what it means. Includes are not followed. The zero Written is a value
// that is not there.
type Written struct{ v value }

// nothing stands for what is not there.
var nothing = value{&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, &document{}}

func (w Written) value() value {
	if w.v.Node == nil {
		return nothing
	}
	return w.v
}

// WrittenKey is one key of a map.
type WrittenKey struct {
	Name string
	// Key is where the key stands.
	Key   Written
	Value Written
	// Twice says that the map has it once more.
	Twice bool
}

// Written is an app as it is written; false if there is no such app.
func (s *Source) Written(app string) (Written, bool) {
	chosen, err := s.pick(app)
	if err != nil || chosen.value.Node == nil {
		return Written{}, false
	}
	return Written{chosen.value}, true
}

// Upsun tells whether the source has the form of .upsun/*.yaml.
func (s *Source) Upsun() bool { return s.upsun }

// Project is the directory that what is configured together lies in: the nearest
// one above with .platform, .upsun or a Git repository. It is absolute.
func (s *Source) Project() string {
	if s.place == nil {
		return ""
	}
	return projectOf(filepath.Join(s.place.root, s.place.base))
}

// resolved follows aliases.
func (w Written) resolved() (value, bool) {
	r := newReader(nil)
	r.lenient = false
	return scope{reader: r, errs: new(Errors)}.resolve(w.value())
}

// Target is what an alias names; anything else is itself. What is the same value is
// equal then, however often it is named.
func (w Written) Target() Written {
	v := w.value()
	for n := 0; v.Kind == yaml.AliasNode && n < maxNested; n++ {
		v.Node = v.Alias
	}
	return Written{v}
}

// Tag is what kind of value it is, as YAML writes it: !!map, !!seq, !!str, !!int, !!float,
// !!bool, !!timestamp, !!null, or a tag that stands there, such as !include.
func (w Written) Tag() string { return w.Target().v.ShortTag() }

// Position is where it stands.
func (w Written) Position() Position { return w.value().position() }

// Keys are the keys of a map, merged ones too; nil if it is none.
func (w Written) Keys() []WrittenKey {
	r := newReader(nil)
	r.lenient = false
	v, ok := w.resolved()
	if !ok || v.Kind != yaml.MappingNode {
		return nil
	}
	all, _ := scope{reader: r, errs: new(Errors)}.entries(v, "this")
	keys := make([]WrittenKey, len(all))
	for i, e := range all {
		keys[i] = WrittenKey{e.name, Written{e.key}, Written{e.value}, e.twice}
	}
	return keys
}

// Get is the value below keys, one below the other; false if there is none.
func (w Written) Get(path ...string) (Written, bool) {
	for _, name := range path {
		found := false
		for _, k := range w.Keys() {
			if k.Name == name {
				w, found = k.Value, true
				break
			}
		}
		if !found {
			return Written{}, false
		}
	}
	return w, true
}

// Items are the items of a list; nil if it is none.
func (w Written) Items() []Written {
	v, ok := w.resolved()
	if !ok || v.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Written, len(v.Content))
	for i, n := range v.Content {
		items[i] = Written{value{n, v.doc}}
	}
	return items
}

// IsMap tells whether it is a map.
func (w Written) IsMap() bool {
	v, ok := w.resolved()
	return ok && v.Kind == yaml.MappingNode
}

// Text is a string's value; false if it is none.
func (w Written) Text() (string, bool) {
	v, ok := w.resolved()
	if !ok || v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
		return "", false
	}
	return v.Value, true
}

// Scalar is the value of a string, a number or a boolean, as it is written.
func (w Written) Scalar() (string, bool) {
	v, ok := w.resolved()
	if !ok || v.Kind != yaml.ScalarNode || null(v.Node) {
		return "", false
	}
	return v.Value, true
}

// Comment is what is written about it: above, beside and below it.
func (w Written) Comment() string {
	v := w.value()
	return v.HeadComment + v.LineComment + v.FootComment
}

// Include tells whether it stands in another file.
func (w Written) Include() bool {
	v := w.value()
	if v.Kind == yaml.AliasNode {
		v.Node = v.Alias
	}
	return v.Tag == includeTag
}

// File is the text of the file that it stands in.
func (w Written) File() []byte { return w.value().doc.text }

// Start is the byte of the file at which it begins; false if that is not known.
func (w Written) Start() (int, bool) {
	v := w.value()
	return offsetOf(v.doc.text, v.Line, v.Column)
}

// Alias tells whether it is written elsewhere, and only named here.
func (w Written) Alias() bool { return w.value().Kind == yaml.AliasNode }

// Flow tells whether it stands between braces or brackets of its own.
func (w Written) Flow() bool { return w.value().Style&yaml.FlowStyle != 0 }

// Block tells whether it is a block of text, begun by | or >.
func (w Written) Block() bool { return w.value().Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 }

// Layout says where each byte of a string stands in its file.
type Layout struct {
	// offsets has one more than the string: where it ends.
	offsets []int
	text    []byte
	file    string
}

// Layout finds where the bytes of a string stand; false if they do not stand there
// one by one: in a folded text, or behind escapes.
func (w Written) Layout() (Layout, bool) {
	v, ok := w.resolved()
	if !ok || v.Kind != yaml.ScalarNode || v.doc.text == nil {
		return Layout{}, false
	}
	l := Layout{text: v.doc.text, file: v.doc.name}
	start, ok := offsetOf(l.text, v.Line, v.Column)
	if !ok {
		return l, false
	}
	if v.Style&yaml.LiteralStyle != 0 {
		return l.block(start, v.Value)
	}
	if v.Style&yaml.FoldedStyle != 0 {
		return l, false
	}
	quote := byte(0)
	if v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		// A tag or an anchor may stand before it.
		for start < len(l.text) && l.text[start] != '\'' && l.text[start] != '"' {
			start++
		}
		if start == len(l.text) {
			return l, false
		}
		quote = l.text[start]
		start++
	}
	at := start
	for i := 0; i < len(v.Value); i++ {
		l.offsets = append(l.offsets, at)
		c := v.Value[i]
		switch {
		case at+1 < len(l.text) && quote == '\'' && c == '\'' && l.text[at] == '\'' && l.text[at+1] == '\'',
			at+1 < len(l.text) && quote == '"' && (c == '"' || c == '\\') && l.text[at] == '\\' && l.text[at+1] == c:
			at += 2
		case at < len(l.text) && l.text[at] == c && c != '\n':
			at++
		default:
			return l, false
		}
	}
	if quote != 0 && (at >= len(l.text) || l.text[at] != quote) {
		return l, false
	}
	l.offsets = append(l.offsets, at)
	return l, true
}

// block finds the lines of a literal block that begins, with its |, at start.
func (l Layout) block(start int, text string) (Layout, bool) {
	at := start
	for at < len(l.text) && l.text[at] != '|' {
		at++
	}
	next := func() (line []byte, from int, ok bool) {
		if at >= len(l.text) {
			return nil, at, false
		}
		from = at
		end := bytes.IndexByte(l.text[at:], '\n')
		if end < 0 {
			end = len(l.text) - at
		}
		at += end + 1
		return l.text[from : from+end], from, true
	}
	if _, _, ok := next(); !ok {
		return l, false
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	indent := -1
	for _, want := range lines {
		line, from, ok := next()
		if !ok {
			return l, false
		}
		bare := strings.TrimSuffix(want, "\n")
		if bare == "" {
			l.offsets = append(l.offsets, from)
			continue
		}
		have := strings.TrimSuffix(string(line), "\r")
		if indent < 0 {
			indent = len(have) - len(bare)
		}
		if indent < 0 || indent > len(have) || have[indent:] != bare || strings.Trim(have[:indent], " ") != "" {
			return l, false
		}
		for i := range len(want) {
			l.offsets = append(l.offsets, from+indent+i)
		}
	}
	l.offsets = append(l.offsets, min(at, len(l.text)))
	return l, len(l.offsets) == len(text)+1
}

// Offset is where a byte of the string stands in the file.
func (l Layout) Offset(i int) int {
	if len(l.offsets) == 0 {
		return 0
	}
	return l.offsets[max(0, min(i, len(l.offsets)-1))]
}

// Position is where a byte of the string stands, for people.
func (l Layout) Position(i int) Position {
	at := l.Offset(i)
	before := l.text[:at]
	line := bytes.Count(before, []byte("\n")) + 1
	last := before[bytes.LastIndexByte(before, '\n')+1:]
	if line == 1 {
		last = bytes.TrimPrefix(last, []byte("\ufeff"))
	}
	return Position{l.file, line, utf8.RuneCount(last) + 1}
}

// offsetOf is the byte at which a line and column of the YAML parser are, which
// counts characters.
func offsetOf(text []byte, line, column int) (int, bool) {
	if text == nil || line < 1 {
		return 0, false
	}
	at := 0
	for ; line > 1; line-- {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return 0, false
		}
		at += end + 1
	}
	if at == 0 {
		at = len(text) - len(bytes.TrimPrefix(text, []byte("\ufeff")))
	}
	for ; column > 1; column-- {
		if at >= len(text) {
			return 0, false
		}
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return at, true
}
