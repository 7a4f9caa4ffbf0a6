package appconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/schedule"
)

const (
	// maxEntries bounds the map entries that are looked at, those that merges
	// repeat included: a few lines of merges can stand for billions of entries.
	maxEntries = 1_000_000
	// maxNested bounds merges inside merges and aliases of aliases.
	maxNested = 64
)

// document is what nodes belong to: a file, or a part of a variable.
type document struct {
	// name is how positions call it.
	name string
	// variable is set for JSON from a variable: its nodes have no lines.
	variable bool
	// path is the file's path and dir its directory, both relative to the root.
	path, dir string
	// parent is the document that includes this one.
	parent *document
	// text is what was read; nil for what is included.
	text []byte
}

// value is a node and the document it stands in.
type value struct {
	*yaml.Node
	doc *document
}

func (v value) position() Position {
	if v.doc.variable {
		return Position{File: v.doc.name}
	}
	return Position{File: v.doc.name, Line: v.Line, Column: v.Column}
}

// below is v, named in positions by a key more if it has no lines.
func (v value) below(key string) value {
	if !v.doc.variable {
		return v
	}
	separator := "."
	if v.doc.parent == nil {
		separator = ":"
	}
	return value{v.Node, &document{name: v.doc.name + separator + key, variable: true, parent: v.doc}}
}

// entry is one key of a map with its value.
type entry struct {
	name       string
	key, value value
	// twice says that the map has another entry of this name, after it.
	twice bool
}

func find(all []entry, name string) (entry, bool) {
	i := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, false
	}
	return all[i], true
}

// reader reads one app.
type reader struct {
	// tree holds the files; nil if a variable is read.
	tree *tree
	// lenient accepts what a variable may have been through: numbers and booleans
	// as strings, empty maps as empty lists, null for what is not there.
	lenient bool
	// appDir is where the app is, relative to the root; empty until that is known.
	appDir       string
	project, app string
	// loaded are the time zones that were asked for, by name.
	loaded map[string]*time.Location
	// parsed are the schedules that are the same for every cron: those without an H
	// that was drawn. Of thousands of crons, most have the spec of another one.
	parsed map[timing]*schedule.Schedule
	// budget is the number of map entries that may still be looked at. Once it is
	// spent, spent is what there is to say and nothing else counts.
	budget int
	spent  *Error
	nested int
	errs   Errors
}

func newReader(t *tree) *reader {
	return &reader{tree: t, lenient: t == nil, budget: maxEntries, loaded: map[string]*time.Location{}, parsed: map[timing]*schedule.Schedule{}}
}

// timing is when a cron is due, as it is written.
type timing struct {
	spec  string
	zone  *time.Location
	drawn bool // each cron draws its own H
}

func (r *reader) result() Errors {
	if r.spent != nil {
		return Errors{r.spent}
	}
	r.errs.sort()
	return r.errs
}

// scope is a reader on its way through one thing, the settings or one cron, and
// collects the problems there.
type scope struct {
	*reader
	cron string
	errs *Errors
}

func (s scope) fail(at value, hint, format string, args ...any) {
	s.add(&Error{Position: at.position(), Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (s scope) add(e *Error) {
	e.App, e.Cron = s.app, s.cron
	*s.errs = append(*s.errs, e)
}

// resolve follows aliases and includes to the value that is meant. If it cannot,
// it has said why.
func (s scope) resolve(v value) (value, bool) {
	for range maxNested {
		switch {
		case v.Kind == yaml.AliasNode:
			v.Node = v.Alias
		case v.Tag == includeTag:
			included, ok := s.include(v)
			if !ok {
				return v, false
			}
			v = included
		default:
			return v, true
		}
	}
	s.fail(v, "", "files that include files, more than %d deep", maxIncludes)
	return v, false
}

// null tells whether a key has no value.
func null(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// entries returns the keys of a map in their order, merges applied: a map's own
// keys win over merged ones, earlier merges over later ones.
func (s scope) entries(v value, what string) ([]entry, bool) {
	v, ok := s.resolve(v)
	if !ok {
		return nil, false
	}
	if s.lenient && v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
		return nil, true
	}
	if !s.known(v, what) {
		return nil, false
	}
	if v.Kind != yaml.MappingNode {
		s.fail(v, "", "%s must be a map, not %s", what, describe(v.Node))
		return nil, false
	}
	if s.nested++; s.nested > maxNested {
		s.nested--
		s.fail(v, "", "%s merges maps in a circle, or too deep", what)
		return nil, false
	}
	defer func() { s.nested-- }()

	count := len(v.Content) / 2
	own := make(map[string]int, count)
	doubles := map[string]bool{}
	for i := 0; i+1 < len(v.Content); i += 2 {
		key := v.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		at := value{v.Content[i], v.doc}
		switch first, twice := own[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			s.fail(at, "", "a key of %s must be a name, not %s", what, describe(key))
			return nil, false
		case twice && v.doc.variable:
			doubles[key.Value] = true
			s.fail(at, "", "%s has %q twice", what, key.Value)
		case twice:
			doubles[key.Value] = true
			s.fail(at, "remove one of them", "%s has %q twice, first on line %d", what, key.Value, v.Content[first].Line)
		default:
			own[key.Value] = i
		}
	}
	all := make([]entry, 0, count)
	for i := 0; i+1 < len(v.Content); i += 2 {
		key := v.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if own[key.Value] != i {
			continue
		}
		if !s.spend(v, 1) {
			return nil, false
		}
		if key.ShortTag() == "!!merge" && !v.doc.variable {
			if all, ok = s.merge(all, own, value{v.Content[i+1], v.doc}, what); !ok {
				return nil, false
			}
			continue
		}
		all = append(all, entry{key.Value, value{v.Content[i], v.doc}, value{v.Content[i+1], v.doc}, doubles[key.Value]})
	}
	return all, true
}

// merge adds the entries of what stands behind a <<. It marks them in own, as
// -1, so that later merges do not replace them.
func (s scope) merge(all []entry, own map[string]int, from value, what string) ([]entry, bool) {
	from, ok := s.resolve(from)
	if !ok {
		return nil, false
	}
	sources := []value{from}
	if from.Kind == yaml.SequenceNode {
		sources = sources[:0]
		for _, n := range from.Content {
			sources = append(sources, value{n, from.doc})
		}
	}
	for _, source := range sources {
		merged, ok := s.entries(source, "what << merges into "+what)
		if !ok || !s.spend(from, len(merged)+1) {
			return nil, false
		}
		for _, e := range merged {
			if _, there := own[e.name]; !there {
				own[e.name] = -1
				all = append(all, e)
			}
		}
	}
	return all, true
}

func (s scope) spend(at value, n int) bool {
	if s.budget -= n; s.budget < 0 {
		if s.spent == nil {
			s.spent = &Error{Position: at.position(), App: s.app, Cron: s.cron,
				Message: fmt.Sprintf("aliases and merges stand for more than %d entries", maxEntries)}
		}
		return false
	}
	return true
}

// known refuses a tag that changes the meaning of a value in a way that only
// the platform knows.
func (s scope) known(v value, what string) bool {
	if v.Tag == "" || strings.HasPrefix(v.Tag, "!!") || v.Tag == includeTag {
		return true
	}
	s.fail(v, "only !include is understood here", "%s has the tag %s", what, clip(v.Tag))
	return false
}

// text reads a string.
func (s scope) text(v value, what string) (string, bool) {
	v, ok := s.resolve(v)
	if !ok || !s.known(v, what) {
		return "", false
	}
	if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" {
		return v.Value, true
	}
	hint := ""
	if v.Kind == yaml.ScalarNode && v.Style == 0 && !null(v.Node) && !v.doc.variable {
		hint = "put it in quotes: '" + clip(v.Value) + "'"
	}
	s.fail(v, hint, "%s must be a string, not %s", what, describe(v.Node))
	return "", false
}

// integerText is how a whole number is written so that every YAML parser, old
// or new, and JSON read the same.
var integerText = pattern(`^(0|-?[1-9][0-9]*)$`)

// integer reads a whole number from least to most.
func (s scope) integer(v value, what string, least, most int) (int, bool) {
	v, ok := s.resolve(v)
	if !ok || !s.known(v, what) {
		return 0, false
	}
	tag := v.ShortTag()
	number := v.Kind == yaml.ScalarNode && integerText().MatchString(v.Value) &&
		// A number beyond 64 bits is a float to the YAML parser.
		(tag == "!!int" || tag == "!!float" || tag == "!!str" && s.lenient)
	if number {
		n, err := strconv.Atoi(v.Value)
		if err == nil && n >= least && n <= most {
			return n, true
		}
	}
	hint := ""
	if tag == "!!str" && !s.lenient && integerText().MatchString(v.Value) {
		hint = "write it without quotes"
	}
	s.fail(v, hint, "%s must be a whole number from %d to %d, not %s", what, least, most, describe(v.Node))
	return 0, false
}

// boolean reads true or false. In a file, yes, no, on and off count as well: the
// platform's parser reads YAML 1.1, where they are booleans.
func (s scope) boolean(v value, what string) (yes, ok bool) {
	v, ok = s.resolve(v)
	if !ok || !s.known(v, what) {
		return false, false
	}
	if v.Kind == yaml.ScalarNode {
		word, tag := strings.ToLower(v.Value), v.ShortTag()
		old := tag == "!!str" && v.Style == 0 && !v.doc.variable
		switch {
		case tag == "!!bool" || tag == "!!str" && s.lenient && (v.Value == "true" || v.Value == "false"):
			return word == "true", true
		case old && (word == "yes" || word == "on"):
			return true, true
		case old && (word == "no" || word == "off"):
			return false, true
		}
	}
	s.fail(v, "", "%s must be true or false, not %s", what, describe(v.Node))
	return false, false
}

// texts reads a list of strings.
func (s scope) texts(v value, what string) ([]value, bool) {
	v, ok := s.resolve(v)
	if !ok || !s.known(v, what) {
		return nil, false
	}
	if v.Kind != yaml.SequenceNode {
		return nil, false
	}
	list := make([]value, 0, len(v.Content))
	for _, n := range v.Content {
		item, ok := s.resolve(value{n, v.doc})
		if !ok {
			return nil, false
		}
		if _, ok := s.text(item, "an item of "+what); !ok {
			return nil, false
		}
		list = append(list, item)
	}
	return list, true
}

// describe says in plain words what a value is.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case null(n):
		return "empty"
	case n.ShortTag() == "!!str":
		return "the text " + strconv.Quote(clip(n.Value))
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "the number " + clip(n.Value)
	case n.ShortTag() == "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return clip(n.Value)
}

// kindOf is describe for values that must not be shown.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode, n.Kind == yaml.SequenceNode, null(n):
		return describe(n)
	case n.ShortTag() == "!!str":
		return "a string"
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "a number"
	case n.ShortTag() == "!!bool":
		return "true or false"
	}
	return "something else"
}

// clip shortens what somebody wrote to what fits into a message.
func clip(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
