package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Typed is a Func whose fn is given the run's params as a P: a struct with json tags as a rule, else whatever
// encoding/json makes of an object. A param that is not there leaves its field as it is, as does null.
//
// It is strict: a param that P has no field for, by its very name (Size is not size), or whose value does not fit fails
// the attempt as StartRefused, with a message that names the param, for good (no other attempt follows). fn is not
// called then. Within a param's value unknown fields are refused too; case does not matter there.
func Typed[P any](fn func(ctx context.Context, run jobrunner.Run, params P) error) Func {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, run jobrunner.Run) error {
		params, err := decode[P](run.Params)
		if err != nil {
			return mismatch{err}
		}
		return fn(ctx, run, params)
	}
}

// mismatch is that the params are not what the function takes.
type mismatch struct{ error }

func (m mismatch) Unwrap() error { return m.error }

func decode[P any](params map[string]json.RawMessage) (P, error) {
	var all P
	var faults nightwatch.InvalidError
	given := slices.Sorted(maps.Keys(params))
	if names, ok := fieldNames(reflect.TypeFor[P]()); ok {
		for _, name := range given {
			if !slices.Contains(names, name) {
				faults = append(faults, nightwatch.FieldError{Field: "params." + name, Reason: unknown(name, names)})
			}
		}
	}
	if len(faults) > 0 {
		return all, faults
	}
	whole := strict(params, &all)
	if whole == nil || reflect.TypeFor[*P]().Implements(unmarshaler) {
		return all, whole
	}
	// Not every error of encoding/json says where it arose. Each param on its own does.
	for _, name := range given {
		var one P
		if err := strict(map[string]json.RawMessage{name: params[name]}, &one); err != nil {
			faults = append(faults, fault(name, params[name], err))
		}
	}
	if len(faults) > 0 {
		return all, faults
	}
	return all, whole
}

func strict(params map[string]json.RawMessage, into any) error {
	if params == nil {
		params = map[string]json.RawMessage{} // an object without members, not null
	}
	data, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("params: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	return nil
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// fieldNames are those that encoding/json knows the fields of t by, if it is a struct that does not decode itself.
func fieldNames(t reflect.Type) (names []string, ok bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil, false
	}
	for _, field := range reflect.VisibleFields(t) {
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-", name == "" && field.Anonymous, !field.IsExported():
			continue
		case name == "":
			name = field.Name
		}
		names = append(names, name)
	}
	return names, true
}

func unknown(name string, names []string) string {
	for _, known := range names {
		if strings.EqualFold(known, name) {
			return fmt.Sprintf("unknown; did you mean %q?", known)
		}
	}
	if len(names) == 0 {
		return "unknown: the handler takes no params"
	}
	return "unknown: the handler takes " + strings.Join(names, ", ")
}

// fault says what is wrong with the value of a param.
func fault(name string, value json.RawMessage, err error) nightwatch.FieldError {
	field, reason := "params."+name, strings.TrimPrefix(strings.TrimPrefix(err.Error(), "params: "), "json: ")
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if below, ok := strings.CutPrefix(wrong.Field, name+"."); ok { // else it is the param itself
			field += "." + below
		}
		reason = "want " + want(wrong.Type)
	}
	return nightwatch.FieldError{Field: field, Reason: short(string(value)) + ": " + reason}
}

// short bounds a value that is shown.
func short(value string) string {
	const limit = 60
	if len(value) > limit {
		return strings.ToValidUTF8(value[:limit], "") + "…"
	}
	return value
}

func want(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number (" + t.String() + ")"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	default:
		return t.String()
	}
}
