package nightwatch_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/nightwatch-go/nightwatch/internal/reference"
)

var update = flag.Bool("update", false, "write the files that are made from types, instead of comparing them")

const (
	schemaFile = "docs/task.schema.json"
	tasksFile  = "docs/tasks.md"
	fieldsFrom = "<!-- Made by make generate: from here"
	fieldsTo   = "<!-- to here -->"
)

// The reference of fields and the schema are what the types and their comments make.
func TestReference(t *testing.T) {
	r, err := reference.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := r.Schema()
	if err != nil {
		t.Fatal(err)
	}
	made(t, schemaFile, schema)

	page, err := os.ReadFile(tasksFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(page, []byte(fieldsFrom+" -->\n"))
	_, after, ok2 := bytes.Cut(rest, []byte(fieldsTo))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the fields", tasksFile)
	}
	made(t, tasksFile, bytes.Join([][]byte{before, []byte(fieldsFrom + " -->\n"), r.Markdown(), []byte("\n" + fieldsTo), after}, nil))
}

// made compares a file that is made with the one in the tree, or writes it.
func made(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types make (%v): make generate", file, err)
	}
}
