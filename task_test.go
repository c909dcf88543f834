package nightwatch_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func TestDefaults(t *testing.T) {
	once, recurring := parse(t, `{"image":"a"}`), parse(t, `{"image":"a","every":"30s"}`)
	if once.Recurring() || !recurring.Recurring() || once.Times() != nil || recurring.Times() == nil {
		t.Error("a task is recurring, and has times, exactly if it has a schedule or an interval")
	}
	if got := once.OverlapPolicy(); got != nightwatch.OverlapQueueAll {
		t.Errorf("overlap of submissions: %s", got)
	}
	if got := recurring.OverlapPolicy(); got != nightwatch.OverlapSkip {
		t.Errorf("overlap of occurrences: %s", got)
	}
	want := nightwatch.CatchUp{Mode: nightwatch.CatchUpLatest, Window: nightwatch.Duration(time.Hour), Max: 10}
	if got := recurring.CatchUpPolicy(); got != want {
		t.Errorf("catchUp: %+v", got)
	}
	if !once.Selector().Matches(nil) {
		t.Error("runsOn left out does not select every node")
	}
}

func TestWhatIsSetStandsInForTheDefault(t *testing.T) {
	task := parse(t, `{"image":"a","every":"30s","overlap":"allow","catchUp":{"mode":"none","window":"1m","max":1}}`)
	if got := task.OverlapPolicy(); got != nightwatch.OverlapAllow {
		t.Errorf("overlap: %s", got)
	}
	want := nightwatch.CatchUp{Mode: nightwatch.CatchUpNone, Window: nightwatch.Duration(time.Minute), Max: 1}
	if got := task.CatchUpPolicy(); got != want {
		t.Errorf("catchUp: %+v", got)
	}
}

func TestRunner(t *testing.T) {
	tests := []struct{ value, want string }{
		{value: `{"image":"a"}`, want: nightwatch.RunnerKubernetes},
		{value: `{"kubernetes":{"image":"a"}}`, want: nightwatch.RunnerKubernetes},
		{value: `{"process":{"shell":"a"}}`, want: nightwatch.RunnerProcess},
		{value: `{"http":{"url":"http://a"}}`, want: nightwatch.RunnerHTTP},
		{value: `{"handler":{"name":"a"}}`, want: nightwatch.RunnerHandler},
	}
	for _, test := range tests {
		if got := parse(t, test.value).Runner(); got != test.want {
			t.Errorf("%s: %s, want %s", test.value, got, test.want)
		}
	}
}

func TestKubernetesJobOfTheShortForm(t *testing.T) {
	short := parse(t, `{"image":"a","command":["b"],"args":["c"]}`).KubernetesJob()
	long := parse(t, `{"kubernetes":{"image":"a","command":["b"],"args":["c"]}}`).KubernetesJob()
	if !reflect.DeepEqual(short, long) {
		t.Errorf("got %+v and %+v", short, long)
	}
}

func TestKeep(t *testing.T) {
	bare := parse(t, `{"image":"a"}`)
	bounded := parse(t, `{"image":"a","history":{"succeeded":0,"failed":5,"skipped":1}}`)
	tests := []struct {
		phase         nightwatch.Phase
		bare, bounded int
	}{
		{phase: nightwatch.PhaseSucceeded, bare: 3, bounded: 0},
		{phase: nightwatch.PhaseFailed, bare: 3, bounded: 5},
		{phase: nightwatch.PhaseCanceled, bare: 3, bounded: 5},
		{phase: nightwatch.PhaseMissed, bare: 3, bounded: 5},
		{phase: nightwatch.PhaseSkipped, bare: 10, bounded: 1},
	}
	for _, test := range tests {
		if got := bare.Keep(test.phase); got != test.bare {
			t.Errorf("%s by default: %d, want %d", test.phase, got, test.bare)
		}
		if got := bounded.Keep(test.phase); got != test.bounded {
			t.Errorf("%s: %d, want %d", test.phase, got, test.bounded)
		}
	}
}

func TestPhasesAndCounts(t *testing.T) {
	tests := []struct {
		phase    nightwatch.Phase
		terminal bool
		counts   nightwatch.Counts
	}{
		{phase: nightwatch.PhasePending},
		{phase: nightwatch.PhaseAssigned},
		{phase: nightwatch.PhaseRunning},
		{phase: nightwatch.PhaseSucceeded, terminal: true, counts: nightwatch.Counts{Succeeded: 2}},
		{phase: nightwatch.PhaseFailed, terminal: true, counts: nightwatch.Counts{Failed: 2}},
		{phase: nightwatch.PhaseCanceled, terminal: true, counts: nightwatch.Counts{Canceled: 2}},
		{phase: nightwatch.PhaseSkipped, terminal: true, counts: nightwatch.Counts{Skipped: 2}},
		{phase: nightwatch.PhaseMissed, terminal: true, counts: nightwatch.Counts{Missed: 2}},
	}
	for _, test := range tests {
		run := nightwatch.Run{Phase: test.phase}
		if test.phase.Terminal() != test.terminal || run.Live() == test.terminal {
			t.Errorf("%s: terminal %v, live %v", test.phase, test.phase.Terminal(), run.Live())
		}
		var counts nightwatch.Counts
		counts.Add(test.phase, 2)
		if counts != test.counts {
			t.Errorf("%s counts as %+v", test.phase, counts)
		}
	}
}

// What others script against: empty strings, objects and lists are left out, exitCode, accepted and counts are not.
func TestStoredForms(t *testing.T) {
	zero := 0
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{
			name:  "status",
			value: nightwatch.Status{Phase: nightwatch.PhaseInvalid, CreateTime: noon, UpdateTime: noon},
			want: `{"phase":"Invalid","accepted":false,"createTime":"2026-11-20T14:15:00Z","updateTime":"2026-11-20T14:15:00Z",` +
				`"counts":{"succeeded":0,"failed":0,"canceled":0,"skipped":0,"missed":0}}`,
		},
		{
			name: "run",
			value: nightwatch.Run{
				ID: "rev-12", Task: "default/hello", TaskUID: 12, TaskRevision: 12, Phase: nightwatch.PhaseSucceeded,
				CreateTime: noon, Attempt: 1, Runner: "process", ExitCode: &zero,
			},
			want: `{"id":"rev-12","task":"default/hello","taskUID":12,"taskRevision":12,"phase":"Succeeded",` +
				`"createTime":"2026-11-20T14:15:00Z","attempt":1,"runner":"process","exitCode":0}`,
		},
		{
			name:  "verdict",
			value: nightwatch.Verdict{Errors: []nightwatch.FieldError{{Field: "action", Reason: "missing"}}, Time: noon},
			want:  `{"accepted":false,"errors":[{"field":"action","reason":"missing"}],"time":"2026-11-20T14:15:00Z"}`,
		},
		{
			name:  "freeze",
			value: nightwatch.Freeze{},
			want:  `{}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := canonical(t, test.value); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
