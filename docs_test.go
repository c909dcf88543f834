package nightwatch

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// Every field of a task stands in its reference.
func TestTaskReferenceNamesEveryField(t *testing.T) {
	text, err := os.ReadFile("docs/tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for i := range of.NumField() {
			field := of.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			inner := field.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				walk(prefix+name+".", inner)
				continue
			}
			if !strings.Contains(string(text), "`"+prefix+name+"`") && !strings.Contains(string(text), "`."+name+"`") {
				t.Errorf("docs/tasks.md does not name %s%s", prefix, name)
			}
		}
	}
	walk("", reflect.TypeFor[Task]())
}
