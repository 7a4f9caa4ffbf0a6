package table

import (
	"encoding/json"
	"regexp"
	"strings"
)

// YAML is a value as Symfony's dumper writes it, with two levels expanded and what
// lies deeper on one line.
func YAML(value any) string { return dump(value, 2, 0) }

func dump(value any, levels, indent int) string {
	empty := true
	switch v := value.(type) {
	case *Object:
		empty = len(v.Keys) == 0
	case []any:
		empty = len(v) == 0
	}
	if levels <= 0 || empty {
		return strings.Repeat(" ", indent) + inline(value)
	}
	var b strings.Builder
	write := func(before string, value any) {
		nested := false
		switch v := value.(type) {
		case *Object:
			nested = len(v.Keys) > 0
		case []any:
			nested = len(v) > 0
		}
		b.WriteString(strings.Repeat(" ", indent) + before)
		if nested && levels > 1 {
			b.WriteString("\n" + dump(value, levels-1, indent+4))
			return
		}
		b.WriteString(" " + inline(value) + "\n")
	}
	switch v := value.(type) {
	case *Object:
		for _, key := range v.Keys {
			write(scalar(key)+":", v.Values[key])
		}
	case []any:
		for _, element := range v {
			write("-", element)
		}
	}
	return b.String()
}

// inline is a value on one line.
func inline(value any) string {
	var parts []string
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return v.String()
	case string:
		return scalar(v)
	case *Object:
		for _, key := range v.Keys {
			parts = append(parts, scalar(key)+": "+inline(v.Values[key]))
		}
		if len(parts) > 0 {
			return "{ " + strings.Join(parts, ", ") + " }"
		}
	case []any:
		for _, element := range v {
			parts = append(parts, inline(element))
		}
		if len(parts) > 0 {
			return "[" + strings.Join(parts, ", ") + "]"
		}
	}
	return "{  }" // the dumper cannot tell an empty list from an empty object
}

var (
	needsDouble = regexp.MustCompile("[\x00-\x1f\x7f\u0085\u00a0\u2028\u2029\ufeff]")
	needsSingle = regexp.MustCompile("[\\s'\":{}\\[\\],&*#?]|^[-?|<>=!%@`\\pZ]")
	likeNumber  = regexp.MustCompile(`^([-+]?([0-9][0-9_]*)?\.?[0-9]+([eE][-+]?[0-9]+)?|0[xo][0-9a-fA-F_]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|[0-9][0-9_]*\.)$`)
)

// scalar is a text with the quotes that it needs.
func scalar(text string) string {
	switch strings.ToLower(text) {
	case "", "null", "~", "true", "false", "y", "n", "yes", "no", "on", "off":
		return "'" + text + "'"
	}
	switch {
	case needsDouble.MatchString(text):
		quoted, _ := json.Marshal(text) // a text can always be encoded
		return string(quoted)
	case needsSingle.MatchString(text), likeNumber.MatchString(text):
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return text
}
