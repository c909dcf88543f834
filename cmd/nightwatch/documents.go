package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// document is one task out of a file.
type document struct {
	// source names the file, and the place in it when there are several documents.
	source string
	value  []byte
	// key is "<namespace>/<task>", empty when the document does not even tell that.
	key  string
	task *nightwatch.Task
	// faults are why there is no task.
	faults nightwatch.InvalidError
}

// readDocuments reads the tasks of all files; "-" is in. The error is for what cannot be read at all.
func readDocuments(files []string, in io.Reader, namespace string) ([]document, error) {
	if len(files) == 0 {
		return nil, usage("--filename: missing: want -f FILE, or -f - for standard input")
	}
	if i := slices.Index(files, "-"); i >= 0 && slices.Contains(files[i+1:], "-") {
		return nil, usage("--filename: - is there twice")
	}
	var documents []document
	keys := map[string]string{}
	for _, file := range files {
		data, err := readFile(file, in)
		if err != nil {
			return nil, err
		}
		parts := splitDocuments(data)
		if len(parts) == 0 {
			return nil, fmt.Errorf("%s: there is no task in it", file)
		}
		for i, part := range parts {
			d := document{source: file, value: part}
			if len(parts) > 1 {
				d.source = fmt.Sprintf("%s, document %d", file, i+1)
			}
			d.parse(namespace)
			if other, twice := keys[d.key]; twice && d.key != "" {
				return nil, fmt.Errorf("%s: %s is in %s already", d.source, d.key, other)
			}
			keys[d.key] = d.source
			documents = append(documents, d)
		}
	}
	return documents, nil
}

func (d *document) parse(namespace string) {
	key, task, err := nightwatch.ParseTaskFile(d.value, namespace)
	d.key, d.task = key, task
	if key == "" {
		d.key = guessKey(d.value, namespace)
	}
	switch {
	case err == nil:
	case isCalendar(d.value):
		d.faults = nightwatch.InvalidError{{Reason: "this is a calendar, where a task is wanted: a calendar is put by etcdctl put " +
			store.NewKeys("").Calendar("NAME") + " < FILE"}}
	case !errors.As(err, &d.faults):
		d.faults = nightwatch.InvalidError{{Reason: err.Error()}}
	}
}

// isCalendar tells whether a value that is no task was meant as a calendar, a good one or not: an iCalendar file, or
// days or ics with nothing of a task beside them.
func isCalendar(value []byte) bool {
	if bytes.HasPrefix(value, []byte("BEGIN:VCALENDAR")) {
		return true
	}
	var fields map[string]any
	if yaml.Unmarshal(value, &fields) != nil {
		return false
	}
	meant := false
	for name := range fields {
		switch name {
		case "days", "ics":
			meant = true
		case "name", "description":
		default:
			return false
		}
	}
	return meant
}

// guessKey is the name of a task whose value is refused before its name counts, so that messages can tell it.
func guessKey(value []byte, namespace string) string {
	var named struct{ Name, Namespace string }
	if yaml.Unmarshal(value, &named) != nil {
		return ""
	}
	if named.Namespace != "" {
		namespace = named.Namespace
	}
	key := namespace + "/" + named.Name
	if _, _, err := nightwatch.ParseTaskName(key); err != nil {
		return ""
	}
	return key
}

func readFile(name string, in io.Reader) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read task: %w", err)
	}
	return data, nil
}

// splitDocuments parts a YAML stream at its "---" and "..." lines, which mean that wherever they stand; JSON has none.
// Documents without content are left out.
func splitDocuments(data []byte) [][]byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var documents [][]byte
	var current []byte
	content := false
	end := func() {
		if content {
			documents = append(documents, bytes.TrimSpace(current))
		}
		current, content = nil, false
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), " \t\r\n")
		if rest, ok := marker(text); ok {
			end()
			line, text = []byte(rest+"\n"), rest
		}
		current = append(current, line...)
		text = strings.TrimSpace(text)
		content = content || text != "" && !strings.HasPrefix(text, "#")
	}
	end()
	return documents
}

// marker tells whether a line begins or ends a document, and returns what stands behind it.
func marker(line string) (rest string, ok bool) {
	for _, sign := range []string{"---", "..."} {
		if rest, ok = strings.CutPrefix(line, sign); ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t') {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// name is how a document is spoken of.
func (d *document) name() string {
	if d.key == "" {
		return d.source
	}
	return d.source + ": " + d.key
}

// refused gathers the faults of all documents, each on a line that names its document and field; nil if there are none.
func refused(documents []document) error {
	var faults []error
	for _, d := range documents {
		for _, fault := range d.faults {
			faults = append(faults, fmt.Errorf("%s: %w", d.name(), fault))
		}
	}
	return errors.Join(faults...)
}

// canonical is a form in which two values are equal if they mean the same task.
func canonical(task *nightwatch.Task) string {
	plain := *task
	plain.Name, plain.Namespace = "", "" // the key says these
	data, err := json.Marshal(&plain)
	if err != nil {
		return fmt.Sprintf("%p", task) // equal to nothing
	}
	return string(data)
}
