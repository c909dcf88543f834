package nightwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// decodeStrict reads one JSON object into the struct that dst points to. It differs from encoding/json in what a
// person who wrote the value by hand needs: field names are case-sensitive, unknown and duplicate fields are
// refused, and every fault is reported, each with its path.
func decodeStrict(data []byte, dst any) error {
	if err := checkSyntax(data); err != nil {
		return InvalidError{{Reason: err.Error()}}
	}
	faults := decodeObject("", data, reflect.ValueOf(dst).Elem())
	if len(faults) > 0 {
		return InvalidError(faults[:min(len(faults), maxFaults)])
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
	if err == nil && nestedOver(data, maxDepth) {
		return fmt.Errorf("nested over %d deep", maxDepth)
	}
	return err
}

// nestedOver tells whether objects and lists of valid JSON stand in each other more than limit deep. What is stored
// holds the user's value some levels down, and encoding/json reads no more than 10,000.
func nestedOver(data []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
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
	if !reflect.PointerTo(dst.Type()).Implements(unmarshaler) {
		switch dst.Kind() {
		case reflect.Struct:
			return decodeObject(path, data, dst)
		case reflect.Map:
			return decodeMap(path, data, dst)
		case reflect.Slice:
			return decodeList(path, data, dst)
		}
	}
	if err := json.Unmarshal(data, dst.Addr().Interface()); err != nil {
		var wrong *json.UnmarshalTypeError
		var wrongTime *time.ParseError
		switch {
		case errors.As(err, &wrong):
			return []FieldError{{Field: path, Reason: fmt.Sprintf("%s: want %s", clip(string(data)), want(dst.Type()))}}
		case errors.As(err, &wrongTime) || dst.Type() == reflect.TypeFor[time.Time]():
			return []FieldError{{Field: path, Reason: fmt.Sprintf("%s: want a time such as \"2026-12-01T09:00:00Z\"", clip(string(data)))}}
		}
		return []FieldError{{Field: path, Reason: err.Error()}}
	}
	return nil
}

func decodeObject(path string, data []byte, dst reflect.Value) []FieldError {
	fields := fieldsOf(dst.Type())
	return eachMember(path, data, func(at, name string, raw json.RawMessage) []FieldError {
		index, known := fields[name]
		if !known {
			return []FieldError{{clip(at), "unknown field" + similar(name, fields)}}
		}
		if of := dst.Type().Field(index).Tag.Get("kubernetes"); of != "" {
			return decodeKubernetes(at, of, raw, dst.Field(index))
		}
		return decodeValue(at, raw, dst.Field(index))
	})
}

// decodeMap fills a map from names to strings, to strings or secrets, or to JSON that is left as it is but for white space.
func decodeMap(path string, data []byte, dst reflect.Value) []FieldError {
	dst.Set(reflect.MakeMap(dst.Type()))
	return eachMember(path, data, func(at, name string, raw json.RawMessage) []FieldError {
		value := reflect.New(dst.Type().Elem()).Elem()
		var faults []FieldError
		switch text, secret := value.Addr().Interface().(*TextOrFile); {
		case secret:
			faults = decodeTextOrFile(clip(at), raw, text)
		case value.Kind() == reflect.String:
			faults = decodeString(clip(at), raw, value)
		default:
			value.SetBytes(compact(raw))
		}
		if len(faults) == 0 {
			dst.SetMapIndex(reflect.ValueOf(name), value)
		}
		return faults
	})
}

func decodeList(path string, data []byte, dst reflect.Value) []FieldError {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return []FieldError{{path, fmt.Sprintf("%s: want %s", clip(string(data)), want(dst.Type()))}}
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(items), len(items)))
	var faults []FieldError
	read := decodeString
	if dst.Type().Elem().Kind() == reflect.Struct {
		read = decodeObject
	}
	for i, item := range items {
		faults = append(faults, read(fmt.Sprintf("%s[%d]", path, i), item, dst.Index(i))...)
		if len(faults) >= maxFaults {
			break
		}
	}
	return faults
}

// decodeString reads a member of a list or map, where null is no way to leave something out.
func decodeString(at string, data []byte, dst reflect.Value) []FieldError {
	if err := json.Unmarshal(data, dst.Addr().Interface()); err != nil || string(data) == "null" {
		return []FieldError{{at, fmt.Sprintf("%s: want a string, in quotes", clip(string(data)))}}
	}
	return nil
}

// eachMember calls do for every member of a JSON object, once for each name.
func eachMember(path string, data []byte, do func(at, name string, raw json.RawMessage) []FieldError) []FieldError {
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return []FieldError{{Field: path, Reason: fmt.Sprintf("%s: want an object", clip(string(data)))}}
	}
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
		if seen[name] {
			faults = append(faults, FieldError{clipPath(at), "duplicate field"})
		} else {
			faults = append(faults, do(at, name, raw)...)
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

// similar points out a field whose name differs by case, or by a slip or two of whoever typed it.
func similar[V any](name string, fields map[string]V) string {
	if len(name) > 64 {
		return ""
	}
	best, least := "", 1+min(2, len(name)/3)
	for _, known := range slices.Sorted(maps.Keys(fields)) {
		if d := slips(strings.ToLower(name), strings.ToLower(known)); d < least {
			best, least = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// slips counts how many bytes were left out, put in, taken for another or swapped with the next between two words (the
// distance that Damerau and Levenshtein are known for, where no piece is changed twice).
func slips(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			d := last[j]
			if a[i] != b[j] {
				d++
			}
			d = min(d, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = d
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func want(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "a list"
		}
		return "a list of strings"
	}
	return t.String()
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
