package reference

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Markdown are the tables of all fields: one for the task and one for each object in it.
func (r *Reference) Markdown() []byte {
	var out strings.Builder
	r.root.table(&out)
	return []byte(out.String())
}

func (o *object) table(out *strings.Builder) {
	if len(o.fields) == 0 {
		return
	}
	if o.path != "" {
		fmt.Fprintf(out, "\n### `%s`\n", o.path)
	}
	out.WriteString("\n| field | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range o.fields {
		meaning := f.meaning
		if f.above != nil {
			meaning = "as `" + f.above.name + "`"
		}
		byDefault := f.byDefault
		if f.above != nil {
			byDefault = ""
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", f.name, cell(f.words()), cell(byDefault), cell(meaning))
	}
	for _, f := range o.fields {
		if f.inside != nil {
			f.inside.table(out)
		}
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// words say how a field is written.
func (f *field) words() string {
	if f.api != "" {
		return f.apiWords()
	}
	text := wordsOf(f.of)
	if len(f.values) > 0 {
		text = "`" + strings.Join(f.values, "`, `") + "`"
	}
	number := func(n *float64) string { return strconv.FormatFloat(*n, 'f', -1, 64) }
	switch _, own := ownTypes[f.of.Name()]; {
	case own && f.most != nil: // a Count
		text = "whole number, 1 to " + number(f.most)
	case own:
	case f.least != nil && f.most != nil:
		text += ", " + number(f.least) + " to " + number(f.most)
	case f.least != nil:
		text += ", " + number(f.least) + " or more"
	case f.most != nil:
		text += ", at most " + number(f.most)
	}
	return text
}

// apiWords name the type of the Kubernetes API.
func (f *field) apiWords() string {
	item, list := strings.CutPrefix(f.api, "[]")
	text := "Kubernetes' `" + item + "`"
	if list {
		text = "list of " + text
	}
	switch f.of.Kind() {
	case reflect.Struct:
		text = "string, or " + text
	case reflect.Map:
		text = "strings, or " + text + ", by name"
	}
	return text
}

func wordsOf(of reflect.Type) string {
	if own, ok := ownTypes[of.Name()]; ok {
		return own.words
	}
	switch {
	case of.Kind() == reflect.Pointer:
		return wordsOf(of.Elem())
	case readsItself(of) || of == reflect.TypeFor[json.RawMessage]():
		return "any JSON"
	}
	switch of.Kind() {
	case reflect.Struct:
		return "object"
	case reflect.Slice:
		return "list of " + plural(of.Elem())
	case reflect.Map:
		return plural(of.Elem()) + " by name"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	default:
		return "whole number"
	}
}

func plural(of reflect.Type) string {
	if text := wordsOf(of); text != "any JSON" {
		return text + "s"
	}
	return "any JSON"
}
