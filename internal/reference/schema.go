package reference

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// members is an object of a JSON Schema, in the order in which it was made.
type members []member

type member struct {
	name  string
	value any
}

// MarshalJSON keeps the order.
func (m members) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, one := range m {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(one.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(one.value)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// with is m with more members, which take the place of those of their names.
func (m members) with(more members) members {
	all := slices.Clone(m)
	for _, one := range more {
		if i := slices.IndexFunc(all, func(other member) bool { return other.name == one.name }); i >= 0 {
			all[i] = one
		} else {
			all = append(all, one)
		}
	}
	return all
}

func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return bytes.TrimSpace(out.Bytes()), err
}

// Schema is the JSON Schema of a task: draft 7, which editors know best.
func (r *Reference) Schema() ([]byte, error) {
	schema := members{
		{"$schema", "http://json-schema.org/draft-07/schema#"},
		{"$id", "https://raw.githubusercontent.com/nightwatch-go/nightwatch/main/docs/task.schema.json"},
		{"title", "nightwatch task"},
		{"description", "The value of tasks/<namespace>/<task>, or a file for nightwatch apply. Made by make generate."},
	}
	schema = append(schema, r.object(r.root)...)
	schema = append(schema, member{"definitions", r.kubernetes.definitions()})
	raw, err := encode(schema)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", " "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// object is the schema of an object of the task, with the rules for it.
func (r *Reference) object(o *object) members {
	properties := make(members, 0, len(o.fields))
	for _, f := range o.fields {
		properties = append(properties, member{f.name, r.field(f)})
	}
	return append(members{
		{"type", "object"}, {"additionalProperties", false}, {"properties", properties},
	}, rules[o.path]...)
}

func (r *Reference) field(f *field) members {
	var schema members
	if text := f.description(); text != "" {
		schema = members{{"description", text}}
	}
	return append(schema, r.value(f, f.of).with(forms[f.path])...)
}

// description is what editors show.
func (f *field) description() string {
	text := f.meaning
	if text != "" {
		text += "."
	}
	if f.byDefault != "" {
		text += " Default " + strings.TrimSuffix(f.byDefault, ".") + "."
	}
	return strings.TrimSpace(text)
}

// value is the schema of a type.
func (r *Reference) value(f *field, of reflect.Type) members {
	if own, ok := ownTypes[of.Name()]; ok && f.api == "" {
		return f.bounded(own.schema)
	}
	switch {
	case of.Kind() == reflect.Pointer:
		return r.value(f, of.Elem())
	case f.api != "":
		return r.kubernetes.field(f.api, of)
	case readsItself(of) || of == reflect.TypeFor[json.RawMessage]():
		return nil // anything
	}
	switch of.Kind() {
	case reflect.Struct:
		return r.object(f.inside)
	case reflect.Slice:
		return members{{"type", "array"}, {"items", r.value(f, of.Elem())}}
	case reflect.Map:
		return members{{"type", "object"}, {"additionalProperties", r.value(f, of.Elem())}}
	case reflect.String:
		if len(f.values) > 0 && of.Kind() == f.of.Kind() {
			return members{{"type", "string"}, {"enum", f.values}}
		}
		return members{{"type", "string"}}
	case reflect.Bool:
		return members{{"type", "boolean"}}
	case reflect.Float64:
		return f.bounded(members{{"type", "number"}})
	default:
		return f.bounded(members{{"type", "integer"}})
	}
}

func (f *field) bounded(schema members) members {
	if f.least != nil {
		schema = schema.with(members{{"minimum", *f.least}})
	}
	if f.most != nil {
		schema = schema.with(members{{"maximum", *f.most}})
	}
	return schema
}
