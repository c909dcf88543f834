package nightwatch_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func TestAfter(t *testing.T) {
	task, err := nightwatch.ParseTask("sales/report", []byte(`{"image":"a","after":{"tasks":["load","ops/clean"],"condition":"finished","window":"2h"},"overlap":"skip","startWithin":"10m"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := task.Upstreams(); !slices.Equal(got, []string{"sales/load", "ops/clean"}) || task.After.Apart() != 2*time.Hour || task.Recurring() {
		t.Errorf("%q, %+v", got, task.After)
	}
	var stored nightwatch.Accepted
	unmarshal(t, `{"key":"sales/report","revision":7,"uid":7,"task":`+canonical(t, task)+`}`, &stored)
	if got := stored.Task.Upstreams(); !slices.Equal(got, task.Upstreams()) {
		t.Errorf("from the store: %q", got)
	}
	plain, err := nightwatch.ParseTask("sales/report", []byte(`{"image":"a","after":{"tasks":["load"]}}`))
	if err != nil || plain.After.Apart() != 24*time.Hour || plain.OverlapPolicy() != nightwatch.OverlapQueueAll {
		t.Errorf("%+v, %v", plain, err)
	}
}

func TestAfterRefusals(t *testing.T) {
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf(`"t%d"`, i)
	}
	checkTasks(t, []refused{
		{name: "no tasks", value: `{"image":"a","after":{}}`, field: "after.tasks", reason: "missing: want the tasks whose runs this one comes after"},
		{name: "an empty list", value: `{"image":"a","after":{"tasks":[]}}`, field: "after.tasks", reason: "missing"},
		{name: "too many", value: `{"image":"a","after":{"tasks":[` + strings.Join(many, ",") + `]}}`, field: "after.tasks", reason: "21 tasks: want at most 20"},
		{name: "too deep", value: `{"image":"a","after":{"tasks":["a","ops/b/c"]}}`, field: "after.tasks[1]", reason: `"ops/b/c": want <namespace>/<task>, or <task> of the same namespace`},
		{name: "capitals", value: `{"image":"a","after":{"tasks":["Load"]}}`, field: "after.tasks[0]", reason: `"Load": want <namespace>/<task>`},
		{name: "itself", value: `{"image":"a","after":{"tasks":["hello"]}}`, field: "after.tasks[0]", reason: `"hello": a task does not come after itself`},
		{name: "itself, by its namespace", value: `{"image":"a","after":{"tasks":["default/hello"]}}`, field: "after.tasks[0]", reason: `a task does not come after itself`},
		{name: "twice", value: `{"image":"a","after":{"tasks":["a","default/a"]}}`, field: "after.tasks[1]", reason: `"default/a": is there already`},
		{name: "no condition", value: `{"image":"a","after":{"tasks":["a"],"condition":"done"}}`, field: "after.condition", reason: `"done": want succeeded, failed or finished`},
		{name: "negative window", value: `{"image":"a","after":{"tasks":["a"],"window":"-1h"}}`, field: "after.window", reason: "want"},
		{name: "unknown", value: `{"image":"a","after":{"tasks":["a"],"within":"1h"}}`, field: "after.within", reason: "unknown field"},
		{name: "a list", value: `{"image":"a","after":["a"]}`, field: "after", reason: "want an object"},
		{name: "two ways", value: `{"image":"a","after":{"tasks":["a"]},"every":"1h"}`, field: "after", reason: "also every is set: want one of schedule, every, afterFinish, at, after"},
		{name: "a zone", value: `{"image":"a","after":{"tasks":["a"]},"timeZone":"Europe/Berlin"}`, field: "timeZone", reason: "goes with schedule, every, afterFinish or at"},
		{name: "maxRuns", value: `{"image":"a","after":{"tasks":["a"]},"maxRuns":3}`, field: "maxRuns", reason: "goes with"},
		{name: "catchUp", value: `{"image":"a","after":{"tasks":["a"]},"catchUp":{"mode":"all"}}`, field: "catchUp", reason: "goes with"},
	})
}

func TestUpstreamRunID(t *testing.T) {
	last := ""
	for _, row := range []struct {
		revision int64
		want     string
	}{{12, "dep-12"}, {12, "dep-12-2"}, {12, "dep-12-3"}, {123, "dep-123"}, {12, "dep-12"}, {1, "dep-1"}} {
		if last = nightwatch.UpstreamRunID(row.revision, last); last != row.want || !nightwatch.ValidRunID(last) {
			t.Errorf("got %s, want %s", last, row.want)
		}
	}
}

func TestUpstreamInTemplates(t *testing.T) {
	three := 3
	v := values()
	v.Upstream = []nightwatch.UpstreamRun{
		{
			Task: "ops/load", Run: "20261120T020000Z", Phase: nightwatch.PhaseSucceeded, Result: json.RawMessage(`{"rows":1200,"file":"a b.csv"}`),
			NominalTime: noon, EndTime: noon.Add(time.Minute),
		},
		{Task: "ops/clean", Run: "req-x", Phase: nightwatch.PhaseFailed, ExitCode: &three, EndTime: noon},
	}
	for text, want := range map[string]string{
		`{{(index .Upstream 0).result.rows}} {{(index .Upstream 1).exitCode}} {{(index .Upstream 1).phase}}`: "1200 3 Failed",
		`{{(index .Upstream 0).nominalTime.Format "2006-01-02"}} {{len .Upstream}}`:                          noon.Format("2006-01-02") + " 2",
		`{{json (index .Upstream 1).run}}`: `"req-x"`,
	} {
		made, err := (&nightwatch.HTTPSpec{URL: "http://a", Body: text}).Render(v, nil)
		if err != nil || made.Body != want {
			t.Errorf("%s: %+v, %v: want %q", text, made, err, want)
		}
	}
	for _, text := range []string{`{{(index .Upstream 0).run}}`, `{{(index .Upstream 2).run}}`} {
		if _, err := (&nightwatch.HTTPSpec{URL: "http://a", Body: text}).Render(values(), nil); err == nil {
			t.Errorf("%s: no error without upstreams", text)
		}
	}
	made, err := (&nightwatch.HTTPSpec{URL: "http://a/{{(index .Upstream 0).result.file}}", Body: `{{json .Upstream}}`}).Render(v, nil)
	var back []nightwatch.UpstreamRun
	if err != nil || made.URL != "http://a/a%20b.csv" || json.Unmarshal([]byte(made.Body), &back) != nil || len(back) != 2 || *back[1].ExitCode != 3 {
		t.Errorf("%+v, %v", made, err)
	}
}
