package nightwatch_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func TestParseTask(t *testing.T) {
	got := parse(t, `{"image":"alpine","command":["sleep"],"args":["60"]}`)
	want := &nightwatch.Task{Image: "alpine", Command: []string{"sleep"}, Args: []string{"60"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseTaskFile(t *testing.T) {
	tests := []struct {
		name      string
		value     string
		namespace string
		key       string
		fault     string
	}{
		{name: "its own namespace", value: "name: a\nnamespace: b\nimage: c", namespace: "default", key: "b/a"},
		{name: "the one given", value: "name: a\nimage: c", namespace: "default", key: "default/a"},
		{name: "no name", value: "image: c", namespace: "default", fault: "name: missing: a task in a file needs its name"},
		{name: "namespace in the name", value: "name: a/b\nimage: c", fault: `name: "a/b": want the task's name alone; the namespace has a field of its own`},
		{name: "no namespace", value: "name: a\nimage: c", key: "/a", fault: `key: "/a": want tasks/<namespace>/<task>`},
		{name: "bad name", value: "name: A\nimage: c", namespace: "b", key: "b/A", fault: `key: task "A": want lower-case letters, digits and '-', at most 45`},
		{name: "bad field", value: "name: a\nimagee: c", namespace: "b", fault: `imagee: unknown field; did you mean "image"?`},
		{name: "nothing to run", value: "name: a", namespace: "b", key: "b/a", fault: "nothing to run: want one of image, kubernetes, process, http, handler"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key, task, err := nightwatch.ParseTaskFile([]byte(test.value), test.namespace)
			if key != test.key {
				t.Errorf("key %q, want %q", key, test.key)
			}
			if test.fault == "" && (err != nil || task == nil) {
				t.Errorf("refused: %v", err)
			}
			if test.fault != "" && (err == nil || err.Error() != test.fault || task != nil) {
				t.Errorf("got %v, want %s", err, test.fault)
			}
		})
	}
}

func TestParseRequest(t *testing.T) {
	for _, value := range []string{
		`{"action":"run"}`,
		`{"action":"cancel"}`,
		`{"action":"cancel","run":"20261120T141500.250Z","by":"me","note":"n"}`,
		`{"action":"run","params":{"a":[1]},"overlap":"allow"}`,
		"action: run\noverlap: queue-all",
		"action: run\noverlap: skip",
		"action: run\noverlap: queue-one",
		"action: run\noverlap: replace",
		"action: retry",
		"action: retry\nrun: rev-3\nparams: {a: 1}\noverlap: allow",
		"action: drop\nrun: rev-3",
		"action: backfill\nfrom: 2026-11-20T14:10:00Z\nto: 2026-11-20T16:10:00+01:00\nmaxParallel: 2\noverlap: allow\ndryRun: true\nparams: {a: 1}",
	} {
		if _, err := nightwatch.ParseRequest([]byte(value)); err != nil {
			t.Errorf("%s: refused: %v", value, err)
		}
	}
	for _, test := range []refused{
		{name: "empty", value: "", field: "", reason: "value is empty"},
		{name: "no action", value: `{}`, field: "action", reason: "missing: want run, cancel, backfill, retry or drop"},
		{name: "unknown action", value: `{"action":"Run"}`, field: "action", reason: `"Run": want run, cancel, backfill, retry or drop`},
		{name: "unknown field", value: `{"action":"run","Params":{}}`, field: "Params", reason: `did you mean "params"?`},
		{name: "bad run", value: `{"action":"cancel","run":"a/b"}`, field: "run", reason: "want the id of a run"},
		{name: "run with run", value: `{"action":"run","run":"rev-1"}`, field: "run", reason: "goes with cancel"},
		{name: "overlap", value: `{"action":"run","overlap":"never"}`, field: "overlap", reason: "want skip, queue-one, queue-all, replace or allow"},
		{name: "backfill without from", value: `{"action":"backfill","to":"2026-11-20T14:15:00Z"}`, field: "from", reason: "missing: want the first nominal time"},
		{name: "backfill without to", value: `{"action":"backfill","from":"2026-11-20T14:15:00Z"}`, field: "to", reason: "missing: want the end"},
		{name: "backfill of nothing", value: `{"action":"backfill","from":"2026-11-20T14:15:00Z","to":"2026-11-20T14:15:00Z"}`, field: "to", reason: "is not after from"},
		{name: "backfill, not a time", value: `{"action":"backfill","from":"14:15","to":"2026-11-20T14:15:00Z"}`, field: "from", reason: "want a time such as"},
		{name: "backfill, overlap", value: `{"action":"backfill","from":"2026-11-20T14:10:00Z","to":"2026-11-20T14:15:00Z","overlap":"skip"}`, field: "overlap", reason: "or wants allow"},
		{name: "backfill, parallel", value: `{"action":"backfill","from":"2026-11-20T14:10:00Z","to":"2026-11-20T14:15:00Z","maxParallel":101}`, field: "maxParallel", reason: "101: want 1 to 100"},
		{name: "run with a dry run", value: `{"action":"run","dryRun":true}`, field: "dryRun", reason: "goes with backfill"},
		{name: "cancel with from", value: `{"action":"cancel","from":"2026-11-20T14:10:00Z"}`, field: "from", reason: "goes with backfill"},
		{name: "long by", value: `{"action":"cancel","by":"` + strings.Repeat("x", 257) + `"}`, field: "by", reason: "257 bytes: want at most 256"},
		{name: "long note", value: `{"action":"cancel","note":"` + strings.Repeat("x", 1025) + `"}`, field: "note", reason: "1025 bytes: want at most 1024"},
		{name: "param", value: `{"action":"run","params":{"a b":1}}`, field: "params", reason: `"a b": want letters`},
		{name: "too large", value: strings.Repeat(" ", nightwatch.MaxValue+1), field: "", reason: "at most 65536"},
		{name: "not UTF-8", value: "action: \xff", field: "", reason: "not valid UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := nightwatch.ParseRequest([]byte(test.value))
			test.check(t, err)
		})
	}
}

func TestParseCordon(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, test := range []struct {
		name, value string
		want        nightwatch.Cordon
		text, wrong string
	}{
		{name: "nothing"},
		{name: "an object", value: `{}`},
		{name: "drained", value: `{"drain":true,"by":"ann","note":"new disks"}`, want: nightwatch.Cordon{Drain: true, By: "ann", Note: "new disks"}, text: "by ann: new disks"},
		{name: "YAML", value: "drain: true\nnote: new disks", want: nightwatch.Cordon{Drain: true, Note: "new disks"}, text: "new disks"},
		{name: "what it cannot be", value: `{"drain":true,"by":"ann","until":"noon"}`, want: nightwatch.Cordon{By: "ann"}, text: "by ann", wrong: "until: unknown field"},
		{name: "of a wrong type", value: `{"drain":"true"}`, wrong: `drain: "true": want true or false`},
		{name: "no object", value: `yes`, wrong: "want an object"},
		{name: "long", value: `{"by":"` + long + `"}`, want: nightwatch.Cordon{By: long[:256] + "…"}, text: "by " + long[:256] + "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := nightwatch.ParseCordon([]byte(test.value))
			if got != test.want || got.String() != test.text {
				t.Errorf("got %+v, %q", got, got)
			}
			if (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("error %v, want %q", err, test.wrong)
			}
		})
	}
}

func TestParseFreeze(t *testing.T) {
	for _, test := range []struct {
		value string
		want  nightwatch.Freeze
	}{
		{value: "", want: nightwatch.Freeze{}},
		{value: "{}", want: nightwatch.Freeze{}},
		{value: `{"by":"me","note":"n","until":"2026-11-20T14:15:00Z"}`, want: nightwatch.Freeze{By: "me", Note: "n", Until: noon}},
		{value: "until: 2026-11-20T14:15:00Z", want: nightwatch.Freeze{Until: noon}},
		{value: "note: " + strings.Repeat("x", 60000), want: nightwatch.Freeze{Note: strings.Repeat("x", 1024) + "…"}},
	} {
		got, err := nightwatch.ParseFreeze([]byte(test.value))
		if err != nil || !got.Until.Equal(test.want.Until) || got.By != test.want.By || got.Note != test.want.Note {
			t.Errorf("%q: got %+v, %v", test.value, got, err)
		}
	}
	for _, test := range []refused{
		{name: "text", value: "closed for the holidays", field: "", reason: "want an object"},
		{name: "a word for a time", value: `{"until":"tomorrow"}`, field: "until", reason: `"tomorrow": want a time such as "2026-12-01T09:00:00Z"`},
		{name: "a date", value: "until: 2026-12-01", field: "until", reason: "want a time such as"},
		{name: "a number", value: "until: 5", field: "until", reason: "5: want a time such as"},
		{name: "31 February", value: "until: 2026-02-31T00:00:00Z", field: "until", reason: "want a time such as"},
		{name: "a long one", value: "until: " + strings.Repeat("x", 60000), field: "until", reason: "want a time such as"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := nightwatch.ParseFreeze([]byte(test.value))
			test.check(t, err)
		})
	}
}

func TestErrorsRead(t *testing.T) {
	err := error(nightwatch.InvalidError{{Field: "a.b", Reason: "r"}, {Reason: "s"}})
	if got, want := err.Error(), "a.b: r; s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	sentinels := []error{nightwatch.ErrRefused, nightwatch.ErrOutcomeUnknown, nightwatch.ErrNotFound, nightwatch.ErrUnknownSchema}
	for i, one := range sentinels {
		for j, other := range sentinels {
			if errors.Is(one, other) != (i == j) {
				t.Errorf("%v and %v are mixed up", one, other)
			}
		}
	}
}

var seeds = []string{
	`{"image":"a","after":{"tasks":["b","other/c"],"condition":"finished","window":"90m"},"overlap":"skip"}`,
	`{"image":"alpine","command":["sleep"],"args":["60"]}`,
	"image: alpine\nschedule: '*/5 * * * *'\ntimeZone: Asia/Shanghai\n",
	"schedule: ['@daily', 0 0 30 2 *]\nprocess: {shell: 'echo a', env: {A: b}, dir: /tmp, stdin: x}",
	`{"every":"30s","offset":"5s","http":{"url":"http://a/b","method":"PUT","headers":{"A":"b"},"success":["200-299","404"]}}`,
	`{"handler":{"name":"a"},"params":{"a":{"b":[1,null,"<&>",1e400,-0]}},"labels":{"a/b":"c"},"runsOn":"zone=a, arch in (amd64,arm64), !gpu"}`,
	`{"kubernetes":{"image":"a","clusterSelector":"region=eu"}}`,
	`{"kubernetes":{"image":"a","env":{"A":{"secretKeyRef":{"name":"b","key":"<c>"}},"D":""},"envFrom":[{"configMapRef":{"name":"e"}}],"resources":{"limits":{"cpu":0.5,"memory":"1e3"}},"volumes":[{"mountPath":"/f","secret":"g"},{"name":"h","mountPath":"/h","emptyDir":{"sizeLimit":"64Mi"}}],"tolerations":[{"operator":"Exists"}]}}`,
	`{"kubernetes":{"clusterSelector":"a in (b,c)","backoffLimit":1,"podFailurePolicy":{"rules":[{"action":"Count","onExitCodes":{"operator":"In","values":[1]}}]},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"completions":3,"completionMode":"Indexed","template":{"spec":{"containers":[{"name":"a","image":"b","livenessProbe":{"httpGet":{"port":"web"}}}]}}}}}}`,
	`{"kubernetes":{"image":"a","env":{"A":"b"},"serviceAccountName":"x"},"history":{"succeeded":0,"failed":1,"skipped":1000},"timeout":"1d","priority":-5}`,
	`{"image":"a","overlap":"allow","delivery":"at-most-once","suspend":true}`,
	"image: a\nschedule: TZ=UTC",
	"image: a\nevery: 1ms",
	"a: &a [*a]",
	"? [a]\n: b",
	"image: !!bool x",
	"image: !!binary x",
	"\ufeffimage: a",
	"--- {image: a}\n...\n",
	`{"image":"\ud800\u0000"}`,
	"image: \"\\ud800\\xff\\0\"",
	"\x00", "\xff", "{", "[", "-", "|", "%YAML 1.2\n---\nimage: a", "image: a\r\n\tb: c", "<<: {image: a}",
}

// No value makes the parser panic, and what is accepted is accepted again, with the same meaning, in the form in which
// it is stored.
func FuzzParseTask(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		task, err := nightwatch.ParseTask("default/hello", value)
		if err != nil {
			var faults nightwatch.InvalidError
			if task != nil || !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("got %+v, %v", task, err)
			}
			if size := len(canonical(t, faults)); size > 32<<10 {
				t.Fatalf("a verdict of %d bytes", size)
			}
			return
		}
		takenBySchema(t, "", task)
		stored := canonical(t, task)
		if len(stored) > nightwatch.MaxValue {
			return // an escape may take six bytes where the user wrote one
		}
		again, err := nightwatch.ParseTask("default/hello", []byte(stored))
		if err != nil {
			t.Fatalf("%q was accepted, its stored form %s is not: %v", value, stored, err)
		}
		if got := canonical(t, again); got != stored {
			t.Fatalf("%q became\n%s, then\n%s", value, stored, got)
		}
		checkStored(t, task)
	})
}

// checkStored sends a task through its accepted form, which must mean the same.
func checkStored(t testing.TB, task *nightwatch.Task) {
	t.Helper()
	in := nightwatch.Accepted{Revision: 5, UID: 3, Task: *task}
	var out nightwatch.Accepted
	unmarshal(t, canonical(t, in), &out)
	if got, want := canonical(t, out), canonical(t, in); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if !reflect.DeepEqual(out.Task.Selector(), task.Selector()) {
		t.Fatalf("selector %v, want %v", out.Task.Selector(), task.Selector())
	}
	got, want := out.Task.Times(), task.Times()
	if (got == nil) != (want == nil) || got != nil && got.String() != want.String() {
		t.Fatalf("times %v, want %v", got, want)
	}
	if got != nil {
		at, ok := got.Next(noon)
		wantAt, wantOK := want.Next(noon)
		if !at.Equal(wantAt) || ok != wantOK {
			t.Fatalf("next %s, want %s", at.Format(time.RFC3339Nano), wantAt.Format(time.RFC3339Nano))
		}
	}
}
