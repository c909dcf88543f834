package reference

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

// Reference is all that is known of a task's fields.
type Reference struct {
	root       *object
	kubernetes kubernetesTypes
}

// object is a struct of the value of a task.
type object struct {
	// path is empty for the task itself, "kubernetes.volumes[]" for the items of a list.
	path   string
	fields []*field
}

// field is one that users write.
type field struct {
	path, name string
	goName     string
	of         reflect.Type
	// api names the type of the Kubernetes API whose JSON the field holds.
	api string
	prose
	// above is the field whose comment this one shares.
	above *field
	// inside is what a field of objects has, or a list of them.
	inside *object
}

// Read makes the reference from the sources in a folder, which are those that this program is made from.
func Read(root string) (*Reference, error) {
	s, err := read(root)
	if err != nil {
		return nil, err
	}
	kubernetes, err := readKubernetes(root)
	if err != nil {
		return nil, err
	}
	r := &Reference{root: s.object("", reflect.TypeFor[nightwatch.Task](), nil), kubernetes: kubernetes}
	var silent []string
	r.root.all(func(f *field) {
		if f.meaning == "" {
			silent = append(silent, f.path)
		}
	})
	if len(silent) > 0 {
		return nil, fmt.Errorf("no comment says what these fields are: %s", strings.Join(silent, ", "))
	}
	return r, nil
}

// object reads a struct that stands at a path. names are what fields of the structs around it are called.
func (s *source) object(path string, of reflect.Type, names map[string]string) *object {
	o := &object{path: path}
	known := map[string]string{}
	for name, called := range names {
		known[name] = called
	}
	for f := range exported(of) {
		known[f.Name] = nameOf(f)
	}
	for f := range exported(of) {
		one := &field{name: nameOf(f), path: join(path, nameOf(f)), goName: f.Name, of: f.Type, api: f.Tag.Get("kubernetes")}
		comment := s.comments[of.Name()][f.Name]
		one.prose = s.prose(comment, one.name, known, f.Type)
		if above := len(o.fields) - 1; above >= 0 && comment != "" && s.comments[of.Name()][o.fields[above].goName] == comment {
			one.above = o.fields[above]
			if one.above.above != nil {
				one.above = one.above.above
			}
		}
		if inner, at, ok := structOf(one.of, one.path); ok && one.api == "" {
			one.inside = s.object(at, inner, known)
		}
		o.fields = append(o.fields, one)
	}
	return o
}

// exported yields the fields of a struct that are written.
func exported(of reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range of.NumField() {
			if f := of.Field(i); f.IsExported() && nameOf(f) != "" && nameOf(f) != "-" && !yield(f) {
				return
			}
		}
	}
}

func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// structOf is the struct that a type is, points to or lists, unless it reads its JSON itself.
func structOf(of reflect.Type, path string) (inner reflect.Type, at string, ok bool) {
	switch of.Kind() {
	case reflect.Pointer:
		return structOf(of.Elem(), path)
	case reflect.Slice:
		if !readsItself(of) {
			return structOf(of.Elem(), path+"[]")
		}
	case reflect.Struct:
		return of, path, !readsItself(of)
	}
	return nil, "", false
}

func readsItself(of reflect.Type) bool {
	return reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]())
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// all calls do for every field, those inside others after them.
func (o *object) all(do func(*field)) {
	for _, f := range o.fields {
		do(f)
		if f.inside != nil {
			f.inside.all(do)
		}
	}
}
