package nightwatch_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// parse reads a task that must be accepted.
func parse(t testing.TB, value string) *nightwatch.Task {
	t.Helper()
	task, err := nightwatch.ParseTask("default/hello", []byte(value))
	if err != nil {
		t.Fatalf("%s: refused: %v", value, err)
	}
	takenBySchema(t, value, task)
	return task
}

// refused is a value and the one fault that it must be refused for. Reason need only be the part that matters.
type refused struct {
	name   string
	value  string
	field  string
	reason string
}

func (r refused) check(t *testing.T, err error) {
	t.Helper()
	var faults nightwatch.InvalidError
	if !errors.As(err, &faults) {
		t.Fatalf("%.200s: error %v, want an InvalidError", r.value, err)
	}
	if len(faults) != 1 {
		t.Fatalf("%.200s: %d faults, want one: %v", r.value, len(faults), err)
	}
	if faults[0].Field != r.field || !strings.Contains(faults[0].Reason, r.reason) {
		t.Fatalf("%.200s:\n got %q: %s\nwant %q: …%s…", r.value, faults[0].Field, faults[0].Reason, r.field, r.reason)
	}
	if len(faults[0].Reason) > 400 || strings.ContainsAny(faults[0].Reason, "\n\x00") {
		t.Errorf("a reason that does not fit on a line: %q", faults[0].Reason)
	}
}

// checkTasks parses every value as a task.
func checkTasks(t *testing.T, tests []refused) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			task, err := nightwatch.ParseTask("default/hello", []byte(test.value))
			if task != nil {
				t.Errorf("a task beside the error: %+v", task)
			}
			test.check(t, err)
		})
	}
	checkSchema(t, tests)
}

// canonical is the JSON of a value, for comparing.
func canonical(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
