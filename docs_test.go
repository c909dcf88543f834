package nightwatch

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
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

// Every test that docs/robustness.md names is there.
func TestRobustnessNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("docs/robustness.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]+): (Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Fatalf("%d tests are named", len(named))
	}
	for _, name := range named {
		files, err := filepath.Glob(name[1] + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(files, func(file string) bool {
			source, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(source), "func "+name[2]+"(")
		})
		if !found {
			t.Errorf("there is no %s in %s", name[2], name[1])
		}
	}
}
