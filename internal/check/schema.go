package check

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/appconfig"
)

//go:embed schema.yaml
var schemaText []byte

// shape is what the platform takes at one place of its configuration.
type shape struct {
	// words are what a value may be, in the words of schema.yaml, those of other shapes
	// among them; empty for a map with keys and a list of items.
	words []string
	keys  []schemaKey
	items *shape
}

// schemaKey is a key of a map; the name "*" stands for all others.
type schemaKey struct {
	name string
	// required says that it must be there, and older that Upsun does not take it.
	required, older bool
	shape           *shape
}

// shapes are those of schema.yaml, by their names.
var shapes = sync.OnceValue(func() map[string]*shape {
	var file yaml.Node
	if err := yaml.Unmarshal(schemaText, &file); err != nil {
		panic(err)
	}
	all := map[string]*shape{}
	for _, k := range shapeOf(file.Content[0]).keys {
		all[k.name] = k.shape
	}
	return all
})

func shapeOf(n *yaml.Node) *shape {
	s := &shape{}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			name := n.Content[i].Value
			bare := strings.TrimRight(name, "!~")
			s.keys = append(s.keys, schemaKey{bare, strings.Contains(name, "!"), strings.Contains(name, "~"), shapeOf(n.Content[i+1])})
		}
	case yaml.SequenceNode:
		s.items = shapeOf(n.Content[0])
	default:
		s.words = strings.Split(n.Value, "|")
	}
	return s
}

// schema compares what is written with what the platform takes.
type schema struct {
	*checker
	app   string
	upsun bool
	// said is a key of the app that has been reported already.
	said string
	// seen are the values that were looked at: aliases lead to the same ones.
	seen map[seenAs]bool
}

type seenAs struct {
	value appconfig.Written
	shape *shape
}

// mostSeen bounds what is looked at in one app.
const mostSeen = 100_000

// look compares one value, at the path that its keys make.
func (s *schema) look(path string, w appconfig.Written, want *shape) {
	w = w.Target()
	tag := w.Tag()
	if s.seen[seenAs{w, want}] || len(s.seen) > mostSeen || tag == "!!null" || !strings.HasPrefix(tag, "!!") {
		return // what tags of its own make of a value, only the platform knows
	}
	s.seen[seenAs{w, want}] = true
	var took []string
	for _, word := range want.words {
		name := strings.TrimSuffix(word, "~")
		if name != word && s.upsun {
			continue
		}
		took = append(took, name)
		if named := shapes()[name]; named != nil && tag == "!!map" {
			s.keys(path, w, named)
			return
		} else if named == nil && fits(w, tag, name) {
			return
		}
	}
	switch {
	case want.keys != nil && tag == "!!map":
		s.keys(path, w, want)
	case want.items != nil && tag == "!!seq":
		for i, item := range w.Items() {
			s.look(path+"["+strconv.Itoa(i)+"]", item, want.items)
		}
	default:
		s.wrong(path, w, tag, want, took)
	}
}

// fits tells whether a value is what a word of the table says.
func fits(w appconfig.Written, tag, word string) bool {
	text, _ := w.Scalar()
	kind, least, limited := strings.Cut(word, ">=")
	switch kind {
	case "any":
		return true
	case "map":
		return tag == "!!map"
	case "list":
		return tag == "!!seq"
	case "text": // a date is one as well
		return tag == "!!str" || tag == "!!timestamp" || tag == "!!binary"
	case "boolean": // to the platform's parser, which reads YAML 1.1, yes and off are
		return tag == "!!bool" || slices.Contains([]string{"yes", "no", "on", "off"}, strings.ToLower(text))
	case "integer":
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 64)
		low, _ := strconv.ParseInt(least, 10, 64)
		return tag == "!!int" && (!limited || err != nil || n >= low)
	}
	return strings.HasPrefix(word, "=") && text == word[1:]
}

// keys compares the keys of a map.
func (s *schema) keys(path string, w appconfig.Written, want *shape) {
	var known, missing []string
	var others *shape
	byName := map[string]schemaKey{}
	for _, k := range want.keys {
		switch byName[k.name] = k; {
		case k.name == "*":
			others = k.shape
		case !k.older || !s.upsun:
			known = append(known, k.name)
			if k.required {
				missing = append(missing, k.name)
			}
		}
	}
	for _, k := range w.Keys() {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == k.Name })
		below := path + "." + pathWord(k.Name)
		if path == "" {
			below = pathWord(k.Name)
		}
		if k.Twice && path != "" { // of an app's own keys it has been said
			s.add("schema", s.app, "", k.Key.Position(), "remove one of them", "%s is there twice, and which one counts is not known", below)
		}
		one, ok := byName[k.Name]
		switch {
		case path == "" && k.Name == s.said:
		case ok && k.Name != "*" && (!one.older || !s.upsun):
			s.look(below, k.Value, one.shape)
		case others != nil:
			s.look(below, k.Value, others)
		default:
			s.unknown(path, k, known, ok)
			missing = nil // what is missing may be what is meant
		}
	}
	for _, name := range missing {
		s.add("schema", s.app, "", w.Position(), "add "+name+": to it", "%s has no %s", path, name)
	}
}

func pathWord(name string) string {
	if strings.ContainsAny(name, ". :{}") || name == "" {
		return strconv.Quote(name)
	}
	return name
}

func (s *schema) unknown(path string, k appconfig.WrittenKey, known []string, older bool) {
	where := path
	rest := "the keys are " + strings.Join(known, ", ")
	if path == "" {
		where, rest = "an app", "the platform refuses keys that it does not know; settings of other tools belong below variables:"
		if s.upsun {
			where = "an app on Upsun"
		}
	}
	if older {
		rest = "Upsun sets it elsewhere: remove it"
	}
	s.add("schema", s.app, "", k.Key.Position(), appconfig.Suggest(k.Name, known, rest), "unknown key %q of %s", k.Name, where)
}

// called are the words of the table as people say them, and of tags.
var called = map[string]string{
	"text": "a string", "integer": "a whole number", "boolean": "true or false", "list": "a list", "map": "a map",
	"!!str": "a string", "!!int": "a number", "!!float": "a number", "!!bool": "true or false", "!!seq": "a list", "!!map": "a map",
}

// wrong reports a value of the wrong kind. Values are not shown: they may be secrets.
func (s *schema) wrong(path string, w appconfig.Written, tag string, want *shape, took []string) {
	text, _ := w.Scalar()
	is := called[tag]
	if is == "" {
		is = "something else"
	}
	var says, choices []string
	hint := ""
	for _, word := range took {
		kind, least, limited := strings.Cut(word, ">=")
		switch {
		case strings.HasPrefix(word, "="):
			choices = append(choices, word[1:])
			if tag == "!!str" && len(text) < 40 {
				is = strconv.Quote(text)
			}
		case limited:
			says = append(says, "a whole number from "+least)
			if tag == "!!int" {
				is = text
			}
		case called[kind] != "":
			says = append(says, called[kind])
		default:
			says = append(says, "a map")
			want = shapes()[word]
		}
		switch {
		case kind == "text" && (tag == "!!int" || tag == "!!float" || tag == "!!bool"):
			hint = "put it in quotes"
		case kind == "integer" && tag == "!!str" && fitsBare(text, "!!int"), kind == "boolean" && tag == "!!str" && fitsBare(text, "!!bool"):
			hint = "write it without quotes"
		}
	}
	switch {
	case len(choices) > 0:
		says = append(says, choices...)
		hint = appconfig.Suggest(text, choices, hint)
	case want.items != nil:
		says = append(says, "a list")
		if !strings.HasSuffix(tag, "map") {
			hint = "write it in brackets: [ ... ]"
		}
	case want.keys != nil:
		if len(took) == 0 {
			says = append(says, "a map")
		}
		for _, k := range want.keys {
			if k.required && hint == "" {
				hint = fmt.Sprintf("below it, write %s: and then what is meant", k.name)
			}
		}
	}
	s.add("schema", s.app, "", w.Position(), hint, "%s must be %s, not %s", path, alternatives(says), is)
}

// fitsBare tells whether a text without its quotes would be of that kind.
func fitsBare(text, tag string) bool {
	return (&yaml.Node{Kind: yaml.ScalarNode, Value: text}).ShortTag() == tag
}

// alternatives is a, b or c.
func alternatives(all []string) string {
	all = slices.Compact(all)
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// checkSchema compares an app with what the platform takes. A container's own variables
// hold what the platform has taken already, and more that it makes of it.
func (a *app) checkSchema() {
	if len(a.source.Roots()) == 0 {
		return
	}
	s := &schema{checker: a.checker, app: a.name, upsun: a.source.Upsun(), seen: map[seenAs]bool{}}
	if a.config.Problem != nil {
		s.said = "cron"
	}
	s.keys("", a.written, shapes()["app"])
}

// checkRoots compares what stands beside the apps: in the same files for Upsun, in files
// of its own elsewhere.
func (c *checker) checkRoots(source *appconfig.Source) {
	s := &schema{checker: c, upsun: source.Upsun(), seen: map[seenAs]bool{}}
	for _, root := range source.Roots() {
		if source.Beside() != "" {
			s.beside(source.Beside(), root)
			continue
		}
		if !s.upsun {
			continue
		}
		for _, k := range root.Keys() {
			if k.Name == "routes" || k.Name == "services" {
				s.beside(k.Name, k.Value)
			} else if k.Name != "applications" && k.Name >= "A" { // what begins with a dot holds anchors
				if meant := appconfig.Suggest(k.Name, []string{"applications", "services", "routes"}, ""); meant != "" {
					s.add("schema", "", "", k.Key.Position(), meant, "unknown key %q beside applications", k.Name)
				}
			}
		}
	}
}

// beside compares routes, or services, by their names.
func (s *schema) beside(kind string, all appconfig.Written) {
	before := len(s.findings)
	s.look(kind, all, &shape{keys: []schemaKey{{name: "*", shape: &shape{words: []string{strings.TrimSuffix(kind, "s")}}}}})
	if kind == "routes" && len(s.findings) == before { // a key that is wrong may be the one that is missing
		for _, r := range all.Keys() {
			s.route(r)
		}
	}
}

// route looks for where a route leads: which key says so depends on its type.
func (s *schema) route(r appconfig.WrittenKey) {
	kind, _ := r.Value.Get("type")
	name := map[string]string{"redirect": "to", "upstream": "upstream"}
	text, _ := kind.Text()
	if _, there := r.Value.Get(name[text]); !there && name[text] != "" {
		s.add("schema", "", "", r.Key.Position(), "add "+name[text]+": to it", "routes.%s is of type %s and has no %s", pathWord(r.Name), text, name[text])
	}
}
