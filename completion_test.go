package nightwatch_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestParseCompletion(t *testing.T) {
	c, err := nightwatch.ParseCompletion([]byte(`{"phase":"Failed","message":"no paper","result":{"pages": 7},"retry":false}`))
	if err != nil || c.Phase != nightwatch.PhaseFailed || c.Message != "no paper" || string(c.Result) != `{"pages": 7}` || c.Retry == nil || *c.Retry {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := nightwatch.ParseCompletion([]byte(`{"phase":"Succeeded"}`)); err != nil || c.Result != nil || c.Retry != nil {
		t.Errorf("%+v, %v", c, err)
	}
	for value, want := range map[string]string{
		"":                                   "value is empty",
		`{}`:                                 "phase: missing: want Succeeded or Failed",
		`{"phase":"Running"}`:                `phase: "Running": want Succeeded or Failed`,
		`{"phase":"succeeded"}`:              `phase: "succeeded": want Succeeded or Failed`,
		`{"phase":true}`:                     "phase: true: want a string",
		`{"Phase":"Failed"}`:                 `Phase: unknown field; did you mean "phase"?`,
		`{"phase":"Failed","by":"me"}`:       "by: unknown field",
		`{"phase":"Failed","retry":"no"}`:    `retry: "no": want true or false`,
		`{"phase":"Succeeded","retry":true}`: "retry: goes with phase Failed",
		`{"phase":"Succeeded","result":"` + strings.Repeat("x", 2047) + `"}`:  "result: 2049 bytes of JSON: want at most 2048",
		`{"phase":"Succeeded","message":"` + strings.Repeat("x", 8192) + `"}`: "at most 8192 are allowed",
	} {
		var invalid nightwatch.InvalidError
		if _, err := nightwatch.ParseCompletion([]byte(value)); !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v: want %s", value, err, want)
		}
	}
}
