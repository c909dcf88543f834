package nightwatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/nightwatch-go/nightwatch"
)

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(schemaFile, document); err != nil {
		return nil, err
	}
	return compiler.Compile(schemaFile)
})

// bySchema is what the schema for editors says of a value, JSON or YAML.
func bySchema(t testing.TB, value []byte) error {
	t.Helper()
	compiled, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	data := value
	if !bytes.HasPrefix(value, []byte("{")) {
		if data, err = yaml.YAMLToJSON(value); err != nil {
			return err
		}
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return compiled.Validate(document)
}

// takenBySchema checks that the schema takes a task that is accepted. YAML is read as the task was: elsewhere "on" is true.
// Fields that are null an editor may mark, so they are left out, as are those that are empty if there is no value.
func takenBySchema(t testing.TB, value string, task *nightwatch.Task) {
	t.Helper()
	if !strings.HasPrefix(value, "{") || strings.Contains(value, "null") {
		value = canonical(t, task)
	}
	if strings.Contains(value, "null") {
		return // within JSON of the Kubernetes API, or of params
	}
	if err := bySchema(t, []byte(value)); err != nil {
		t.Errorf("%s: the schema for editors refuses what is accepted: %v", value, err)
	}
}

// beyondFile lists the bad values of this package's tests that the schema takes all the same.
const beyondFile = "testdata/beyond_schema.txt"

// checkSchema compares the bad values that the schema takes with those that are known to be beyond it: what is spread over
// fields, has a grammar of its own, or is lost when JSON is read. With -update it writes them down.
func checkSchema(t *testing.T, tests []refused) {
	t.Helper()
	prefix := t.Name() + ": "
	var beyond []string
	for _, test := range tests {
		if bySchema(t, []byte(test.value)) == nil {
			beyond = append(beyond, prefix+test.name)
		}
	}
	data, err := os.ReadFile(beyondFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	known := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.HasPrefix(line, prefix) })
	slices.Sort(beyond)
	if slices.Equal(beyond, known) {
		return
	}
	if !*update {
		t.Errorf("the schema takes\n%s\nand %s has\n%s\nLet the schema refuse what it can (internal/reference/rules.go), then make generate",
			strings.Join(beyond, "\n"), beyondFile, strings.Join(known, "\n"))
		return
	}
	others := slices.DeleteFunc(lines, func(line string) bool { return line == "" || strings.HasPrefix(line, prefix) })
	all := slices.Sorted(slices.Values(append(others, beyond...)))
	if err := os.WriteFile(beyondFile, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Whatever is shown to readers as a task is one to the schema too.
func TestSchemaTakesExamplesAndDocuments(t *testing.T) {
	examples, err := filepath.Glob("examples/tasks/*.[jy]*")
	if err != nil || len(examples) < 8 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, file := range examples {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := bySchema(t, value); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, file := range append(documents, "README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)\n```(?:yaml|json)\n(.*?)\n```").FindAllSubmatch(text, -1) {
			for _, value := range [][]byte{block[1], append([]byte("image: alpine\n"), block[1]...)} {
				if _, err := nightwatch.ParseTask(nameIn(value), value); err != nil {
					continue // not a task, which other tests see to
				}
				shown++
				if err := bySchema(t, value); err != nil {
					t.Errorf("%s: %s\n%v", file, value, err)
				}
			}
		}
	}
	if shown < 5 {
		t.Errorf("%d tasks are shown in documents", shown)
	}
}

// nameIn is the key of a task in a document.
func nameIn(value []byte) string {
	var task struct{ Name, Namespace string }
	_ = yaml.Unmarshal(value, &task)
	if task.Name == "" {
		task.Name = "hello"
	}
	if task.Namespace == "" {
		task.Namespace = "default"
	}
	return fmt.Sprintf("%s/%s", task.Namespace, task.Name)
}

// The schema is one, and of the draft that it says.
func TestSchemaIsOne(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var head struct {
		Schema string `json:"$schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Schema != "http://json-schema.org/draft-07/schema#" {
		t.Errorf("draft %q, %v", head.Schema, err)
	}
}
