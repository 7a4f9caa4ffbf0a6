package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// published is a part of the vendor's schema, as far as the table has it.
type published struct {
	Ref        string                `json:"$ref"`
	Type       any                   `json:"type"`
	Properties map[string]*published `json:"properties"`
	Required   []string              `json:"required"`
	Additional json.RawMessage       `json:"additionalProperties"`
	Items      *published            `json:"items"`
	Enum       []string              `json:"enum"`
	OneOf      []*published          `json:"oneOf"`
	AnyOf      []*published          `json:"anyOf"`
	Minimum    *int                  `json:"minimum"`
}

// flat writes what is taken at each path into one list, so that two lists can be compared.
type flat map[string][]string

func (f flat) add(path string, words ...string) {
	for _, word := range words {
		if !slices.Contains(f[path], word) {
			f[path] = append(f[path], word)
		}
	}
}

func (f flat) table(path string, s *shape, older bool) {
	for _, word := range s.words {
		name := strings.TrimSuffix(word, "~")
		if named := shapes()[name]; named != nil {
			f.table(path, named, older)
		} else if name == word || older {
			f.add(path, name)
		}
	}
	if s.items != nil {
		f.add(path, "list")
		f.table(path+"[]", s.items, older)
	}
	if s.keys == nil {
		return
	}
	f.add(path, "map")
	open := false
	for _, k := range s.keys {
		if k.older && !older {
			continue
		}
		open = open || k.name == "*"
		f.table(path+"."+k.name, k.shape, older)
		if k.required {
			f.add(path+"."+k.name, "required")
		}
	}
	if !open {
		f.add(path, "closed")
	}
}

func (f flat) schema(t *testing.T, path string, p *published, root map[string]json.RawMessage) {
	t.Helper()
	if p.Ref != "" && !strings.HasPrefix(p.Ref, "#") {
		return
	}
	if p.Ref != "" {
		raw := json.RawMessage(nil)
		level := root
		for _, name := range strings.Split(strings.TrimPrefix(p.Ref, "#/"), "/") {
			raw = level[name]
			level = nil
			_ = json.Unmarshal(raw, &level)
		}
		p = &published{}
		require.NoError(t, json.Unmarshal(raw, p), path)
	}
	for _, one := range p.OneOf {
		f.schema(t, path, one, root)
	}
	words := map[string]string{"string": "text", "integer": "integer", "boolean": "boolean", "array": "list", "object": "map"}
	types, _ := p.Type.([]any)
	if one, ok := p.Type.(string); ok {
		types = []any{one}
	}
	for _, one := range types {
		word := words[fmt.Sprint(one)]
		switch {
		case word == "":
			assert.Equal(t, "null", one, path)
		case word == "text" && len(p.Enum)+len(p.AnyOf) > 0:
			for _, choice := range p.Enum {
				f.add(path, "="+choice)
			}
			for _, any := range p.AnyOf {
				for _, choice := range any.Enum {
					f.add(path, "="+choice)
				}
			}
		case p.Minimum != nil:
			f.add(path, fmt.Sprint(word, ">=", *p.Minimum))
		default:
			f.add(path, word)
		}
	}
	for name, one := range p.Properties {
		f.schema(t, path+"."+name, one, root)
		if slices.Contains(p.Required, name) {
			f.add(path+"."+name, "required")
		}
	}
	if p.Items != nil {
		f.schema(t, path+"[]", p.Items, root)
	}
	switch rest := string(p.Additional); {
	case rest == "false":
		f.add(path, "closed")
	case rest == "{}" && len(p.Properties) == 0, rest == "" || rest == "true":
		if len(p.Properties) > 0 {
			f.add(path+".*", "any")
		}
	default:
		one := &published{}
		require.NoError(t, json.Unmarshal(p.Additional, one))
		f.schema(t, path+".*", one, root)
	}
}

// TestTable: schema.yaml says of Upsun what the vendor's published schema says, but for
// what is listed here. What it says of Platform.sh besides is from the schema of the
// vendor's tool platformify.
func TestTable(t *testing.T) {
	t.Parallel()
	file := os.Getenv("CRONAGENT_APP_SCHEMA")
	if file == "" {
		t.Skip("CRONAGENT_APP_SCHEMA, the path of the vendor's schema of app configurations, is not set")
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var root map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &root))
	var top struct {
		Properties map[string]struct {
			Additional *published `json:"additionalProperties"`
		} `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(text, &top))
	want, got := flat{}, flat{}
	for key, name := range map[string]string{"applications": "app", "services": "service", "routes": "route"} {
		want.schema(t, name, top.Properties[key].Additional, root)
		got.table(name, shapes()[name], false)
	}
	// Crons are read by appconfig, and TestSchema compares that.
	maps.DeleteFunc(want, func(path string, _ []string) bool { return strings.HasPrefix(path, "app.crons") })
	delete(got, "app.crons")
	// The vendor's schema has one where it refers to a list that is kept elsewhere.
	delete(got, "app.type")
	// What a map holds that may be anything is said by "map" alone.
	maps.DeleteFunc(got, func(path string, _ []string) bool { return strings.HasSuffix(path, "stack") })
	maps.DeleteFunc(want, func(path string, _ []string) bool { return strings.Contains(path, "stack") })

	differences := map[string]string{}
	for path := range want {
		slices.Sort(want[path])
		slices.Sort(got[path])
		if !slices.Equal(want[path], got[path]) {
			differences[path] = strings.Join(got[path], "|") + " instead of " + strings.Join(want[path], "|")
		}
	}
	for path := range got {
		if want[path] == nil {
			differences[path] = strings.Join(got[path], "|")
		}
	}
	for _, one := range taken {
		found := false
		for path := range differences {
			if strings.HasPrefix(path, one.path) {
				found = true
				delete(differences, path)
			}
		}
		assert.True(t, found, "%s is as published", one.path)
	}
	assert.Empty(t, differences)
}

// taken is where the table takes more than the schema that is published for Upsun.
var taken = []struct{ path, since string }{
	{"app.build.caches", "the schema for Platform.sh has it, and nothing says that Upsun refuses it"},
	{"app.web.firewall", "the schema for Platform.sh has it, and on Upsun workers do"},
	{"app.web.commands.post_start", "the schema for Platform.sh has it, and on Upsun workers do"},
	{"app.mounts.*.source", "local is what Upsun called instance and storage when it began"},
	{"app.web.mounts.*.source", "as above"},
	{"app.workers.*.mounts.*.source", "as above"},
	{"app.web.locations.*.request_buffering.max_request_size", "its default is published as a number"},
	{"route.to", "which of the two a route must have depends on its type"},
	{"route.upstream", "as above"},
}
