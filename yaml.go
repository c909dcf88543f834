package nightwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// byteOrderMark is what some editors write at the beginning of UTF-8.
var byteOrderMark = []byte("\ufeff")

// toJSON gives the JSON of a value that is JSON (first byte "{") or YAML. YAML scalars keep what was written: a
// timestamp stays a string and "on" stays a key. Aliases and merges are refused, as they let a small value stand for a
// huge one, and so is more than one document.
func toJSON(value []byte) ([]byte, error) {
	value = bytes.TrimPrefix(value, byteOrderMark)
	trimmed := bytes.TrimLeft(value, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] == '{' || trimmed[0] == '[' {
		return value, nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(value))
	var document yaml.Node
	switch err := dec.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil // comments only
	case err != nil:
		return nil, fmt.Errorf("not valid YAML: %s", clipTo(strings.TrimPrefix(err.Error(), "yaml: "), 200))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document: want one task a key")
	}
	var out bytes.Buffer
	if err := yamlToJSON(&out, &document, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

const maxDepth = 64

func yamlToJSON(out *bytes.Buffer, node *yaml.Node, depth int) error {
	if depth > maxDepth && node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: nested over %d deep", node.Line, maxDepth)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return yamlToJSON(out, node.Content[0], depth+1)
	case yaml.AliasNode:
		return fmt.Errorf("line %d: aliases are not supported", node.Line)
	case yaml.MappingNode:
		out.WriteByte('{')
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return fmt.Errorf("line %d: want a plain field name", key.Line)
			}
			if i > 0 {
				out.WriteByte(',')
			}
			writeString(out, key.Value)
			out.WriteByte(':')
			if err := yamlToJSON(out, node.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := yamlToJSON(out, item, depth+1); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case yaml.ScalarNode:
		writeScalar(out, node)
	}
	return nil
}

func writeScalar(out *bytes.Buffer, node *yaml.Node) {
	switch node.ShortTag() {
	case "!!null":
		out.WriteString("null")
		return
	case "!!bool":
		if word := strings.ToLower(node.Value); word == "true" || word == "false" {
			out.WriteString(word)
			return
		}
	case "!!int", "!!float":
		if json.Valid([]byte(node.Value)) {
			out.WriteString(node.Value)
			return
		}
	}
	writeString(out, node.Value)
}

func writeString(out *bytes.Buffer, text string) {
	quoted, _ := json.Marshal(text) // a string always marshals
	out.Write(quoted)
}
