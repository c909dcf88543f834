package nightwatch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/nightwatch-go/nightwatch"
)

func TestParseTaskName(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		tail            string
		namespace, name string
		reason          string // of the refusal
	}{
		{tail: "default/hello", namespace: "default", name: "hello"},
		{tail: "a/0", namespace: "a", name: "0"},
		{tail: "0-a/b-1", namespace: "0-a", name: "b-1"},
		{tail: long(63) + "/" + long(45), namespace: long(63), name: long(45)},

		{tail: "hello", reason: `"hello": want tasks/<namespace>/<task>`},
		{tail: "", reason: "want tasks/<namespace>/<task>"},
		{tail: "/", reason: "want tasks/<namespace>/<task>"},
		{tail: "/hello", reason: "want tasks/<namespace>/<task>"},
		{tail: "default/", reason: "want tasks/<namespace>/<task>"},
		{tail: "a/b/c", reason: "want tasks/<namespace>/<task>"},
		{tail: "a/b/", reason: "want tasks/<namespace>/<task>"},
		{tail: long(64) + "/b", reason: "at most 63"},
		{tail: "a/" + long(46), reason: "at most 45"},
		{tail: "A/b", reason: `namespace "A": want lower-case letters`},
		{tail: "a/B", reason: `task "B": want lower-case letters`},
		{tail: "a/b_c", reason: "want lower-case"},
		{tail: "a/b.c", reason: "want lower-case"},
		{tail: "-a/b", reason: "want lower-case"},
		{tail: "a/b-", reason: "want lower-case"},
		{tail: "_cluster/a", reason: "want lower-case"},
		{tail: "a/b\n", reason: "want lower-case"},
		{tail: "a/b\x00", reason: "want lower-case"},
		{tail: "a/é", reason: "want lower-case"},
	}
	for _, test := range tests {
		namespace, name, err := nightwatch.ParseTaskName(test.tail)
		if test.reason == "" {
			if err != nil || namespace != test.namespace || name != test.name {
				t.Errorf("%q: got %q, %q, %v", test.tail, namespace, name, err)
			}
			continue
		}
		var fault nightwatch.FieldError
		if !errors.As(err, &fault) || fault.Field != "key" || !strings.Contains(fault.Reason, test.reason) {
			t.Errorf("%q: got %v, want a fault of key with %q", test.tail, err, test.reason)
		}
		if _, taskErr := nightwatch.ParseTask(test.tail, []byte(`{"image":"a"}`)); taskErr == nil || taskErr.Error() != err.Error() {
			t.Errorf("%q: ParseTask says %v, want %v", test.tail, taskErr, err)
		}
	}
}

func TestRunRequestAndNodeNames(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name               string
		run, request, node bool
	}{
		{name: "a", run: true, request: true, node: true},
		{name: "A.b_c-1", run: true, request: true},
		{name: "vm-1.example", run: true, request: true, node: true},
		{name: "-a", run: true, request: true},
		{name: ".", run: true, request: true},
		{name: long(59), run: true, request: true, node: true},
		{name: long(60), run: true, node: true},
		{name: long(63), run: true, node: true},
		{name: long(64)},
		{name: ""},
		{name: "a/b"},
		{name: "a b"},
		{name: "a\n"},
		{name: "é"},
	}
	for _, test := range tests {
		if got := nightwatch.ValidRunID(test.name); got != test.run {
			t.Errorf("ValidRunID(%q) = %v", test.name, got)
		}
		if err := nightwatch.CheckRequestID(test.name); (err == nil) != test.request {
			t.Errorf("CheckRequestID(%q) = %v", test.name, err)
		}
		if err := nightwatch.CheckNodeName(test.name); (err == nil) != test.node {
			t.Errorf("CheckNodeName(%q) = %v", test.name, err)
		}
		if test.request && !nightwatch.ValidRunID(nightwatch.RequestedRunID(test.name)) {
			t.Errorf("request %q makes a run whose id is not valid", test.name)
		}
	}
}

func TestNodeAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"10.0.0.7:7420": true, "vm-1.example:1": true, "[::1]:65535": true, "localhost:7420": true,
		"": false, "vm1": false, ":7420": false, "vm1:": false, "vm1:0": false, "vm1:65536": false, "vm1:-1": false, "vm1:+1": false,
		"vm1:http": false, "::1:7420": false, "http://vm1:7420": false,
	} {
		if err := nightwatch.CheckNodeAddress(address); (err == nil) != good {
			t.Errorf("CheckNodeAddress(%q) = %v", address, err)
		}
	}
}

var noon = time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)

func TestRunIDs(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ got, want string }{
		{got: nightwatch.ScheduledRunID(noon), want: "20261120T141500Z"},
		{got: nightwatch.ScheduledRunID(noon.In(shanghai)), want: "20261120T141500Z"},
		{got: nightwatch.ScheduledRunID(noon.Add(250 * time.Millisecond)), want: "20261120T141500.250Z"},
		{got: nightwatch.ScheduledRunID(noon.Add(time.Millisecond)), want: "20261120T141500.001Z"},
		{got: nightwatch.ScheduledRunID(noon.Add(999*time.Millisecond + 999*time.Microsecond)), want: "20261120T141500.999Z"},
		{got: nightwatch.ScheduledRunID(noon.Add(999 * time.Microsecond)), want: "20261120T141500Z"},
		{got: nightwatch.SubmittedRunID(12), want: "rev-12"},
		{got: nightwatch.SubmittedRunID(1<<63 - 1), want: "rev-9223372036854775807"},
		{got: nightwatch.RequestedRunID("x"), want: "req-x"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
		if !nightwatch.ValidRunID(test.got) {
			t.Errorf("%s is not a valid id", test.got)
		}
	}
	// Ids of one kind sort as their times do.
	if a, b := nightwatch.ScheduledRunID(noon), nightwatch.ScheduledRunID(noon.Add(time.Second)); a >= b {
		t.Errorf("%s does not sort before %s", a, b)
	}
}

func TestJobName(t *testing.T) {
	submitted := nightwatch.Run{ID: "rev-12", Task: "default/hello", TaskUID: 12, Attempt: 1}
	scheduled := nightwatch.Run{ID: "20261120T141500Z", Task: "default/hello", TaskUID: 12, Attempt: 1, NominalTime: noon}
	with := func(run nightwatch.Run, change func(*nightwatch.Run)) nightwatch.Run {
		change(&run)
		return run
	}
	tests := []struct {
		name   string
		run    nightwatch.Run
		hashed bool
		want   string
	}{
		{name: "the first submission", run: submitted, want: "hello"},
		{name: "the first submission, name taken", run: submitted, hashed: true, want: "hello-826a4f80"},
		{name: "its second attempt", run: with(submitted, func(r *nightwatch.Run) { r.Attempt = 2 }), want: "hello-b42fb82c"},
		{name: "the second submission", run: with(submitted, func(r *nightwatch.Run) { r.ID = "rev-13" }), want: "hello-dca53907"},
		{name: "a whole second", run: scheduled, want: "hello-1795184100"},
		{name: "a whole second, in another zone", run: with(scheduled, func(r *nightwatch.Run) { r.NominalTime = noon.In(time.FixedZone("", 3600)) }), want: "hello-1795184100"},
		{name: "a whole second, name taken", run: scheduled, hashed: true, want: "hello-a92a3ec8"},
		{name: "a whole second's second attempt", run: with(scheduled, func(r *nightwatch.Run) { r.Attempt = 2 }), want: "hello-d9672af5"},
		{name: "milliseconds", run: with(scheduled, func(r *nightwatch.Run) {
			r.ID, r.NominalTime = "20261120T141500.250Z", noon.Add(250*time.Millisecond)
		}), want: "hello-19555752"},
		// A run that a user asked for has the time of the request, which a scheduled run may have as well.
		{name: "requested", run: with(scheduled, func(r *nightwatch.Run) { r.ID = "req-x" }), want: "hello-08618ec1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := nightwatch.JobName("4f6d", "hello", &test.run, test.hashed); got != test.want {
				t.Errorf("got %s, want %s: names of Jobs that exist must never change", got, test.want)
			}
		})
	}
}

// The hashed form differs by everything that makes two attempts two: cluster, life of the task, run and attempt.
func TestHashedJobNamesDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, cluster := range []string{"4f6d", "4f6e", "4f6d\n1"} {
		for _, uid := range []int64{1, 2, 12} {
			for _, id := range []string{"rev-12", "rev-1", "req-1", "20261120T141500Z"} {
				for attempt := 1; attempt < 4; attempt++ {
					run := nightwatch.Run{ID: id, TaskUID: uid, Attempt: attempt, NominalTime: noon}
					who := fmt.Sprint(cluster, uid, id, attempt)
					name := nightwatch.JobName(cluster, "hello", &run, true)
					if name != nightwatch.JobName(cluster, "hello", &run, true) {
						t.Errorf("%s: not the same twice", who)
					}
					if other, taken := seen[name]; taken {
						t.Errorf("%s and %s are both %s", other, who, name)
					}
					seen[name] = who
				}
			}
		}
	}
}

// Job names, and those of an indexed Job's pods, fit Kubernetes even for the longest name of a task.
func TestJobNamesFit(t *testing.T) {
	task := strings.Repeat("a", nightwatch.MaxTaskName)
	for _, run := range []nightwatch.Run{
		{ID: "rev-9", TaskUID: 9, Attempt: 1},
		{ID: "rev-10", TaskUID: 9, Attempt: 100},
		{ID: nightwatch.ScheduledRunID(noon), Attempt: 1, NominalTime: noon},
		{ID: "99991231T235959Z", Attempt: 1, NominalTime: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{ID: "19600101T000000Z", Attempt: 1, NominalTime: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		name := nightwatch.JobName("4f6d", task, &run, false)
		if faults := validation.IsDNS1123Label(name + "-9999"); len(faults) > 0 {
			t.Errorf("%s-9999: %v", name, faults)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	run := nightwatch.Run{ID: "rev-12", Task: "default/hello", TaskUID: 12, Attempt: 2}
	if got, want := run.IdempotencyKey("4f6d"), "4f6d/default/hello/12/rev-12/2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
