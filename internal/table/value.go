package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Object is a JSON object whose keys keep their order: what the API sends is
// printed in the order in which it sends it.
type Object struct {
	Keys   []string
	Values map[string]any
}

// Set sets a key, behind the others if it is new.
func (o *Object) Set(key string, value any) {
	if _, known := o.Values[key]; !known {
		o.Keys = append(o.Keys, key)
	}
	o.Values[key] = value
}

// Delete takes a key out.
func (o *Object) Delete(key string) {
	delete(o.Values, key)
	o.Keys = slices.DeleteFunc(o.Keys, func(k string) bool { return k == key })
}

// Find is the value behind a path of keys with dots between, or the place of one in
// a list. A key that has dots itself is found as well.
func (o *Object) Find(path string) (value any, ok bool) {
	if value, ok := o.Values[path]; ok {
		return value, true
	}
	for i := range path {
		if path[i] != '.' {
			continue
		}
		if below, is := o.Values[path[:i]].(*Object); is {
			if value, ok := below.Find(path[i+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// Text is the text behind a path; empty if there is none.
func (o *Object) Text(path string) string {
	value, _ := o.Find(path)
	text, _ := value.(string)
	return text
}

// Plain is the object for those who want an ordinary map, its nested objects left as
// they are.
func (o *Object) Plain() map[string]any { return o.Values }

// maxDepth bounds how deep JSON may be nested.
const maxDepth = 100

// Decode reads JSON: objects as *Object, lists as []any, numbers as json.Number.
func Decode(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := decode(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON")
	}
	return value, nil
}

func decode(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errors.New("the JSON is nested too deep")
	}
	switch token {
	case json.Delim('{'):
		o := &Object{Values: map[string]any{}}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := decode(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			o.Set(key.(string), value)
		}
		_, err = decoder.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			value, err := decode(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = decoder.Token()
		return list, err
	}
	return token, nil
}

// dates are the properties that the platform CLI takes for dates.
var dates = []string{"created_at", "updated_at", "expires_at", "started_at", "completed_at"}

// Value is a property as it is printed: dates in a PHP format, null as nothing,
// objects and lists as YAML.
func Value(name string, value any, dateFormat string) string {
	switch v := value.(type) {
	case nil:
		if name == "parent" {
			return "null"
		}
		return ""
	case string:
		if slices.Contains(dates, name) {
			return DateText(v, dateFormat)
		}
		return v
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return v.String()
	}
	return strings.TrimSuffix(YAML(value), "\n")
}

// DateText is a date of the API in a PHP format; what is no date stays as it is.
func DateText(text, format string) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return Date(at.UTC(), format)
}

var tags = regexp.MustCompile(`<[^>]*>`)

// WithoutTags is the text of HTML.
func WithoutTags(text string) string { return html.UnescapeString(tags.ReplaceAllString(text, "")) }
