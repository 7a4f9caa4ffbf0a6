package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// jsonPage is docs/json.md: what it promises, and what of that was seen.
type jsonPage struct {
	t *testing.T
	// sections are its sections by their anchors; titles those that a command has.
	sections map[string]*jsonSection
	titles   []string
}

// jsonSection is a section with a table of fields, or one of a command whose fields
// are in another section.
type jsonSection struct {
	title string
	// how is what a command prints: one value, a list of them, or one on each line.
	how string
	// of is the section that has the fields; nil: this one.
	of       string
	fields   map[string]*jsonField
	order    []string
	examples []string
	printed  bool
}

// jsonField is a row of a table.
type jsonField struct {
	// kind is "string", "time", "list of objects", ..., "one of" the values, or "link"
	// and "list of links" to the section of.
	kind, of      string
	values        []string
	null, missing bool
	// What was seen of it: something that is not empty, null, its absence, its values.
	seen, seenNull, seenMissing bool
	seenValues                  map[string]bool
}

const (
	printsOne   = "one"
	printsList  = "a list of"
	printsLines = "on each line one"
)

var (
	jsonHeading = regexp.MustCompile("^#{3,4} (.*)$")
	jsonRow     = regexp.MustCompile("^\\| `([^`]+)` \\| (.+?) \\| (.*) ?\\|$")
	jsonPrints  = regexp.MustCompile(`^Prints (one|a list of|on each line one) (?:\[\w+\]\(#([\w-]+)\)|objects?\b)`)
	jsonLink    = regexp.MustCompile(`^(list of )?\[\w+\]\(#([\w-]+)\)$`)
	jsonValue   = regexp.MustCompile("`\"([^\"]*)\"`")
)

// readJSONPage reads the tables and examples of docs/json.md.
func readJSONPage(t *testing.T) *jsonPage {
	text, err := os.ReadFile("../../docs/json.md")
	require.NoError(t, err)
	page := &jsonPage{t: t, sections: map[string]*jsonSection{}}
	section := &jsonSection{}
	example := -1 // the line at which one began
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if heading := jsonHeading.FindStringSubmatch(line); heading != nil {
			section = &jsonSection{title: strings.Trim(heading[1], "`"), fields: map[string]*jsonField{}}
			anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
			page.sections[strings.ReplaceAll(anchor, " ", "-")] = section
		} else if prints := jsonPrints.FindStringSubmatch(line); prints != nil {
			section.how, section.of = prints[1], prints[2]
			page.titles = append(page.titles, section.title)
		} else if row := jsonRow.FindStringSubmatch(line); row != nil && section.fields != nil {
			require.NotContains(t, section.fields, row[1], "%s has %s twice", section.title, row[1])
			section.fields[row[1]] = readJSONField(t, section.title+": "+row[1], row[2])
			section.order = append(section.order, row[1])
		} else if line == "```json" {
			example = i + 1
		} else if line == "```" && example >= 0 {
			section.examples = append(section.examples, strings.Join(lines[example:i], "\n"))
			example = -1
		}
	}
	for _, s := range page.sections {
		for name, f := range s.fields {
			assert.True(t, f.of == "" || page.sections[f.of] != nil && len(page.sections[f.of].fields) > 0, "docs/json.md: %s: %s: there is no table #%s", s.title, name, f.of)
		}
		if s.how != "" {
			assert.NotEmpty(t, page.fieldsOf(s), "docs/json.md: %s has no table of fields", s.title)
		}
	}
	return page
}

// readJSONField reads the second cell of a row.
func readJSONField(t *testing.T, where, cell string) *jsonField {
	f := &jsonField{seenValues: map[string]bool{}}
	for rest := true; rest; {
		switch {
		case strings.HasSuffix(cell, " or null"):
			cell, f.null = strings.TrimSuffix(cell, " or null"), true
		case strings.HasSuffix(cell, " or missing"):
			cell, f.missing = strings.TrimSuffix(cell, " or missing"), true
		default:
			rest = false
		}
	}
	if link := jsonLink.FindStringSubmatch(cell); link != nil {
		f.kind, f.of = link[1]+"link", link[2]
		return f
	}
	for _, value := range jsonValue.FindAllStringSubmatch(cell, -1) {
		f.kind, f.values = "one of", append(f.values, value[1])
	}
	if f.values == nil {
		f.kind = cell
		known := []string{"string", "boolean", "integer", "number", "time", "time in UTC", "object", "object of strings", "list of objects", "list of strings", "list of times"}
		require.Contains(t, known, cell, "docs/json.md: %s: an unknown type", where)
	}
	return f
}

// fieldsOf is the section that has the fields of what a command prints.
func (p *jsonPage) fieldsOf(s *jsonSection) *jsonSection {
	for s != nil && s.of != "" {
		s = p.sections[s.of]
	}
	return s
}

// command is the section of a command by its title.
func (p *jsonPage) command(title string) *jsonSection {
	for _, s := range p.sections {
		if s.title == title && s.how != "" {
			return s
		}
	}
	return nil
}

// decodeAll reads JSON values that follow each other, as complete ones and no more.
func decodeAll(text string) ([]any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var all []any
	for {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, value)
	}
}

// compare says what of a command's output is not as its section has it, and notes what
// was seen of the fields.
func (p *jsonPage) compare(title, text string) (problems []string) {
	s := p.command(title)
	if s == nil {
		return []string{fmt.Sprintf("docs/json.md has no section %q that begins with: Prints one object", title)}
	}
	problem := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(problems, text) {
			problems = append(problems, text)
		}
	}
	values, err := decodeAll(text)
	if err != nil {
		problem("it is not JSON: %v", err)
		return problems
	}
	if s.how == printsLines {
		for line := range bytes.Lines([]byte(text)) {
			if !json.Valid(line) {
				problem("a line is no object: %s", line)
			}
		}
	} else if len(values) != 1 {
		problem("it is not one value, but %d", len(values))
		return problems
	}
	if s.how == printsList {
		list, ok := values[0].([]any)
		if !ok {
			problem("it is no list")
			return problems
		}
		values = list
	}
	for _, value := range values {
		p.object(p.fieldsOf(s), "", value, problem)
	}
	return problems
}

// object compares an object with the fields of a section that begin with a prefix.
func (p *jsonPage) object(s *jsonSection, prefix string, value any, problem func(string, ...any)) {
	object, ok := value.(map[string]any)
	if !ok {
		problem("%s%s is no object", s.title, prefix)
		return
	}
	for name := range object {
		if s.fields[prefix+name] == nil {
			problem("it has a field %q, which the section %q of docs/json.md has no row for", prefix+name, s.title)
		}
	}
	for path, f := range s.fields {
		name, inside := strings.CutPrefix(path, prefix)
		if !inside || strings.ContainsAny(name, ".[") {
			continue
		}
		value, there := object[name]
		switch {
		case !there && !f.missing:
			problem("%s: %s is missing", s.title, path)
		case !there:
			f.seenMissing = true
		case value == nil && !f.null:
			problem("%s: %s is null", s.title, path)
		case value == nil:
			f.seenNull = true
		default:
			p.value(s, path, f, value, problem)
		}
	}
}

// value compares what is not null.
func (p *jsonPage) value(s *jsonSection, path string, f *jsonField, value any, problem func(string, ...any)) {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	list, isList := value.([]any)
	object, isObject := value.(map[string]any)
	ok, something := false, true
	switch f.kind {
	case "string":
		ok, something = isText, text != ""
	case "one of":
		ok = isText && slices.Contains(f.values, text)
		f.seenValues[text] = true
	case "boolean":
		_, ok = value.(bool)
		f.seenValues[fmt.Sprint(value)] = true
	case "integer":
		_, err := number.Int64()
		ok = isNumber && err == nil
	case "number":
		ok = isNumber
	case "time":
		ok = isText && isTime(text)
	case "time in UTC":
		ok = isText && isTime(text) && strings.HasSuffix(text, "Z")
	case "object":
		ok = isObject
		p.object(s, path+".", value, problem)
	case "object of strings":
		ok, something = isObject, len(object) > 0
		for _, v := range object {
			_, text := v.(string)
			ok = ok && text
		}
	case "link":
		ok = isObject
		p.object(p.fieldsOf(p.sections[f.of]), "", value, problem)
	default: // lists
		ok, something = isList, len(list) > 0
		for _, element := range list {
			text, isText := element.(string)
			switch f.kind {
			case "list of objects":
				p.object(s, path+"[].", element, problem)
			case "list of link":
				p.object(p.fieldsOf(p.sections[f.of]), "", element, problem)
			case "list of times":
				ok = ok && isText && isTime(text)
			case "list of strings":
				ok = ok && isText
			}
		}
	}
	f.seen = f.seen || something
	if !ok {
		problem("%s: %s is %v, and not %s %s", s.title, path, value, f.kind, strings.Join(f.values, ", "))
	}
}

// isTime is true for RFC 3339 with an offset.
func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339Nano, text)
	return err == nil
}

// promises are its fields with their types, a line for each.
func (p *jsonPage) promises() (all []string) {
	for _, s := range p.sections {
		if s.how != "" {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s: prints %s %s", s.title, s.how, s.of)))
		}
		for path, f := range s.fields {
			line := s.title + ": " + path + ": " + f.kind
			if f.of != "" {
				line += " to " + f.of
			}
			if f.null {
				line += " or null"
			}
			if f.missing {
				line += " or missing"
			}
			for _, value := range f.values { // at the end, where more may come
				line += fmt.Sprintf(" %q", value)
			}
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}

// unseen are the promises of the page that nothing printed has kept.
func (p *jsonPage) unseen() (all []string) {
	for _, s := range p.sections {
		if s.how != "" && !s.printed {
			all = append(all, s.title+": no fixture prints it")
		}
		for _, path := range s.order {
			f := s.fields[path]
			say := func(what string) { all = append(all, s.title+": "+path+": "+what) }
			if !f.seen {
				say("it is never there, or always empty")
				continue
			}
			if f.null && !f.seenNull {
				say("it is never null")
			}
			if f.missing && !f.seenMissing {
				say("it is never missing")
			}
			values := f.values
			if f.kind == "boolean" {
				values = []string{"true", "false"}
			}
			for _, value := range values {
				if !f.seenValues[value] {
					say(fmt.Sprintf("it is never %q", value))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
