package nightwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// decodeStrict reads one JSON object into the struct that dst points to. It differs from encoding/json in what a
// person who wrote the value by hand needs: field names are case-sensitive, unknown and duplicate fields are
// refused, and every fault is reported, each with its path.
func decodeStrict(data []byte, dst any) error {
	if !utf8.Valid(data) {
		return InvalidError{{Reason: "value is not valid UTF-8"}}
	}
	if err := checkSyntax(data); err != nil {
		return InvalidError{{Reason: err.Error()}}
	}
	faults := decodeObject("", data, reflect.ValueOf(dst).Elem())
	if len(faults) > 0 {
		return InvalidError(faults)
	}
	return nil
}

func checkSyntax(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("value is empty: want a JSON or YAML object")
	}
	var any json.RawMessage
	err := json.Unmarshal(data, &any)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte{'\n'})
		return fmt.Errorf("not valid JSON: line %d, byte %d: %w", line, syntax.Offset, err)
	}
	return err
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func decodeValue(path string, data []byte, dst reflect.Value) []FieldError {
	if string(data) == "null" {
		return nil // as absent, which is what kubectl users expect
	}
	if dst.Kind() == reflect.Pointer {
		target := reflect.New(dst.Type().Elem())
		faults := decodeValue(path, data, target.Elem())
		dst.Set(target)
		return faults
	}
	if dst.Kind() == reflect.Struct && !reflect.PointerTo(dst.Type()).Implements(unmarshaler) {
		return decodeObject(path, data, dst)
	}
	if err := json.Unmarshal(data, dst.Addr().Interface()); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return []FieldError{{Field: path, Reason: fmt.Sprintf("%s: want %s", clip(string(data)), want(dst.Type()))}}
		}
		return []FieldError{{Field: path, Reason: err.Error()}}
	}
	return nil
}

func decodeObject(path string, data []byte, dst reflect.Value) []FieldError {
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return []FieldError{{Field: path, Reason: fmt.Sprintf("%s: want an object", clip(string(data)))}}
	}
	fields := fieldsOf(dst.Type())
	seen := map[string]bool{}
	var faults []FieldError
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return append(faults, FieldError{path, err.Error()})
		}
		name, _ := key.(string)
		at := join(path, name)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
			return append(faults, FieldError{at, err.Error()})
		}
		index, known := fields[name]
		switch {
		case !known:
			faults = append(faults, FieldError{clip(at), "unknown field" + similar(name, fields)})
		case seen[name]:
			faults = append(faults, FieldError{at, "duplicate field"})
		default:
			faults = append(faults, decodeValue(at, raw, dst.Field(index))...)
		}
		seen[name] = true
		if len(faults) >= maxFaults {
			return faults
		}
	}
	return faults
}

// maxFaults bounds a verdict: the rest is found when these are mended.
const maxFaults = 10

func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name] = i
		}
	}
	return fields
}

// similar points out a field whose name differs by case only.
func similar(name string, fields map[string]int) string {
	for known := range fields {
		if strings.EqualFold(known, name) {
			return fmt.Sprintf("; did you mean %q?", known)
		}
	}
	return ""
}

func want(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list of strings"
	case reflect.Map:
		if t.Elem().Kind() == reflect.String {
			return "an object whose values are strings"
		}
		return "an object"
	}
	return t.String()
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
