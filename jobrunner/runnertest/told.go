package runnertest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func testTold(t *testing.T, s Subject) {
	if s.Told == nil {
		return // nobody can say what effects of this runner are told
	}
	r := s.serve(t)
	task := s.task(t, Succeed)
	task.Params = map[string]json.RawMessage{"city": json.RawMessage(`"Zürich"`), "n": json.RawMessage(`[1,2]`)}
	a, _ := Attempt(t, task)
	Prepared(r, a)
	if out := s.wait(t, s.start(t.Context(), r, a)); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("outcome %+v: want Succeeded", out)
	}
	got, want := s.Told(a.Run), a.Run
	if got.Namespace != want.Namespace || got.Task != want.Task || got.ID != want.ID || got.Attempt != want.Attempt || got.Fence != want.Fence ||
		!got.NominalTime.Equal(want.NominalTime) || !reflect.DeepEqual(meaning(t, got.Params), meaning(t, want.Params)) {
		t.Errorf("told %+v: want %+v", got, want)
	}
}

// meaning is what params say, however that is written.
func meaning(t *testing.T, params map[string]json.RawMessage) map[string]any {
	values := map[string]any{}
	for name, raw := range params {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Errorf("param %s: %v", name, err)
		}
		values[name] = value
	}
	return values
}

// testCanceledAtStart has the wish to cancel come as the runner asks for the last time whether it may start.

// Told is what the environment of an effect, lines of the form NAME=value, says of its run, for [Subject.Told].
func Told(tb testing.TB, environment []string) (run jobrunner.Run) {
	tb.Helper()
	for _, line := range environment {
		var err error
		switch name, value, _ := strings.Cut(line, "="); name {
		case "NIGHTWATCH_NAMESPACE":
			run.Namespace = value
		case "NIGHTWATCH_TASK":
			run.Task = value
		case "NIGHTWATCH_RUN":
			run.ID = value
		case "NIGHTWATCH_ATTEMPT":
			run.Attempt, err = strconv.Atoi(value)
		case "NIGHTWATCH_FENCE":
			run.Fence, err = strconv.ParseInt(value, 10, 64)
		case "NIGHTWATCH_NOMINAL_TIME":
			run.NominalTime, err = time.Parse(time.RFC3339Nano, value)
		case "NIGHTWATCH_PARAMS":
			err = json.Unmarshal([]byte(value), &run.Params)
		}
		if err != nil {
			tb.Errorf("%s: %v", line, err)
		}
	}
	return run
}
