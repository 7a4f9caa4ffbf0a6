package appconfig

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// includeTag marks a value that stands in another file. It is the one tag of the
// platform's that occurs inside crons.
const includeTag = "!include"

// include reads what an !include tag names, a path or a map of type and path.
func (s scope) include(v value) (value, bool) {
	if s.tree == nil {
		s.fail(v, "", "nothing can be included here")
		return v, false
	}
	kind, path := "yaml", v.Value
	if v.Kind == yaml.MappingNode {
		all, ok := s.entries(value{&yaml.Node{Kind: yaml.MappingNode, Content: v.Content, Line: v.Line, Column: v.Column}, v.doc}, includeTag)
		if !ok {
			return v, false
		}
		for _, e := range all {
			text, ok := s.text(e.value, includeTag+" "+e.name)
			switch {
			case !ok:
				return v, false
			case e.name == "type":
				kind = text
			case e.name == "path":
				path = text
			default:
				s.fail(e.key, "the keys are type and path", "unknown key %q of %s", e.name, includeTag)
				return v, false
			}
		}
	}
	if !slices.Contains([]string{"string", "binary", "yaml"}, kind) {
		s.fail(v, "the types are string, binary and yaml", "unknown type %q of %s", kind, includeTag)
		return v, false
	}
	if path == "" || filepath.IsAbs(path) || v.Kind == yaml.SequenceNode {
		s.fail(v, "", "%s needs a path relative to the app's directory", includeTag)
		return v, false
	}
	found, text, err := s.locate(v.doc, path)
	if err != nil {
		s.add(&Error{Position: v.position(), Message: fmt.Sprintf("%s %s: %s", includeTag, path, reason(err)), cause: err})
		return v, false
	}
	if kind != "yaml" {
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: text, Line: v.Line, Column: v.Column}
		if kind == "binary" {
			node.Value = base64.StdEncoding.EncodeToString([]byte(text))
		} else if !utf8.ValidString(text) {
			s.fail(v, "", "%s %s: the file is not UTF-8 text", includeTag, path)
			return v, false
		}
		return value{node, v.doc}, true
	}
	doc := &document{name: s.tree.show(found), path: found, dir: filepath.Dir(found), parent: v.doc}
	for d, depth := v.doc, 1; d != nil; d, depth = d.parent, depth+1 {
		if d.path == found {
			s.fail(v, "", "%s %s: the file includes itself", includeTag, path)
			return v, false
		}
		if depth > maxIncludes {
			s.fail(v, "", "files that include files, more than %d deep", maxIncludes)
			return v, false
		}
	}
	node, known := s.tree.nodes[found]
	if !known {
		var errs Errors
		node = s.tree.parse([]byte(text), doc.name, &errs)
		for _, e := range errs {
			s.add(e)
		}
		s.tree.nodes[found] = node
	} else if node == nil {
		s.fail(v, "", "%s %s: the file cannot be parsed", includeTag, path)
	}
	return value{node, doc}, node != nil
}

// locate finds a file that is to be included: relative to the app's directory,
// as the platform documents it, else to the directory of the file that names it,
// which is what its own examples do where no app is known yet.
func (s scope) locate(doc *document, path string) (found, text string, err error) {
	dirs := []string{doc.dir}
	if s.appDir != "" && s.appDir != doc.dir {
		dirs = []string{s.appDir, doc.dir}
	}
	for _, dir := range dirs {
		candidate := filepath.Join(dir, path)
		if !filepath.IsLocal(candidate) {
			if err == nil {
				err = errors.New("it lies outside of the repository")
			}
			continue
		}
		text, e := s.tree.text(candidate)
		if e == nil {
			return candidate, text, nil
		}
		if err == nil || !absent(e) {
			err = e
		}
	}
	return "", "", err
}
