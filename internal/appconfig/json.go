package appconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxJSONDepth bounds the recursion; configurations are about ten deep.
const maxJSONDepth = 200

// jsonNode turns JSON into the nodes that YAML is read from, so that there is one
// reader for both. The YAML parser itself would not do: it refuses the surrogate
// pairs by which JSON escapes an emoji, and keys of more than 1024 bytes. Numbers
// keep their digits, keys their order and their duplicates.
func jsonNode(data []byte) (*yaml.Node, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	node, err := jsonValue(d, 0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows behind its end")
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty, or ends too early")
	}
	return node, err
}

func jsonValue(d *json.Decoder, depth int) (*yaml.Node, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxJSONDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch t := token.(type) {
	case json.Delim:
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			node.Kind, node.Tag = yaml.MappingNode, "!!map"
		}
		// The keys of an object are read like values: they are string tokens.
		for d.More() {
			item, err := jsonValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, item)
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	case string:
		node.Tag, node.Value, node.Style = "!!str", t, yaml.DoubleQuotedStyle
	case json.Number:
		node.Tag, node.Value = "!!int", t.String()
		if strings.ContainsAny(node.Value, ".eE") {
			node.Tag = "!!float"
		}
	case bool:
		node.Tag, node.Value = "!!bool", fmt.Sprint(t)
	case nil:
		node.Tag, node.Value = "!!null", "null"
	}
	return node, nil
}
