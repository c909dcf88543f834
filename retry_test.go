package nightwatch_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
)

func retryOf(t testing.TB, value string) nightwatch.Retry {
	t.Helper()
	return parse(t, `{"image":"a","retry":`+value+`}`).Retry
}

func TestRetryWaits(t *testing.T) {
	for _, test := range []struct {
		name, retry string
		want        []time.Duration // after 1, 2, 3 … failures
	}{
		{name: "defaults", retry: `{"attempts":9}`, want: []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute}},
		{name: "as told", retry: `{"attempts":5,"backoff":"1s","factor":3,"maxBackoff":"10s"}`, want: []time.Duration{time.Second, 3 * time.Second, 9 * time.Second, 10 * time.Second}},
		{name: "even", retry: `{"attempts":5,"backoff":"1m","factor":1}`, want: []time.Duration{time.Minute, time.Minute, time.Minute}},
		{name: "long", retry: `{"attempts":5,"backoff":"1h"}`, want: []time.Duration{time.Hour, time.Hour}},
		{name: "jitter", retry: `{"attempts":5,"backoff":"10s","jitter":true}`, want: []time.Duration{2500 * time.Millisecond, 5 * time.Second}},
	} {
		r := retryOf(t, test.retry)
		for i, want := range test.want {
			if got := r.Wait(i+1, 0.25); got != want {
				t.Errorf("%s: after %d failures %s, want %s", test.name, i+1, got, want)
			}
		}
	}
}

func TestRetryWaitIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := nightwatch.Retry{
			Backoff: nightwatch.Duration(rapid.Int64Range(0, int64(10*365*24*time.Hour)).Draw(t, "backoff")),
			Factor:  rapid.SampledFrom([]float64{0, 1, 1.5, 2, 100}).Draw(t, "factor"), Jitter: rapid.Bool().Draw(t, "jitter"),
		}
		before := time.Duration(0)
		for n := 1; n <= 100; n++ {
			wait := r.Wait(n, 1)
			if wait < before || wait > max(5*time.Minute, time.Duration(r.Backoff)) {
				t.Fatalf("%+v: %s after %d failures, %s before", r, wait, n, before)
			}
			before = wait
		}
	})
}

func TestRetryCovers(t *testing.T) {
	code := func(n int) *int { return &n }
	for _, test := range []struct {
		retry, reason string
		exitCode      *int
		failures      int
		want          bool
	}{
		{retry: `{"attempts":2}`, reason: "Timeout", failures: 1, want: true},
		{retry: `{"attempts":2}`, reason: "Timeout", failures: 2},
		{retry: `{"attempts":1}`, reason: "Timeout", failures: 1},
		{retry: `{"attempts":3,"on":"Timeout"}`, reason: "Timeout", failures: 1, want: true},
		{retry: `{"attempts":3,"on":["Timeout"]}`, reason: "ExitCode", exitCode: code(1), failures: 1},
		{retry: `{"attempts":3,"on":["Timeout",75,"64-70"]}`, reason: "ExitCode", exitCode: code(75), failures: 1, want: true},
		{retry: `{"attempts":3,"on":["Timeout",75,"64-70"]}`, reason: "ExitCode", exitCode: code(66), failures: 1, want: true},
		{retry: `{"attempts":3,"on":["Timeout",75,"64-70"]}`, reason: "ExitCode", exitCode: code(71), failures: 1},
		{retry: `{"attempts":3,"on":75}`, reason: "Signal", failures: 1},
	} {
		if got := retryOf(t, test.retry).Again(test.failures, test.reason, test.exitCode); got != test.want {
			t.Errorf("%s, %s after %d failures: %v", test.retry, test.reason, test.failures, got)
		}
	}
}

func TestRetryRefusals(t *testing.T) {
	checkTasks(t, []refused{
		{name: "too many", value: `{"image":"a","retry":{"attempts":101}}`, field: "retry.attempts", reason: "101: want 1 to 100"},
		{name: "negative", value: `{"image":"a","retry":{"attempts":-1}}`, field: "retry.attempts", reason: "-1: want a whole number, 1 or more"},
		{name: "factor", value: `{"image":"a","retry":{"attempts":2,"factor":0.5}}`, field: "retry.factor", reason: "0.5: want 1 to 100"},
		{name: "bound below the wait", value: `{"image":"a","retry":{"attempts":2,"backoff":"1m","maxBackoff":"1s"}}`, field: "retry.maxBackoff", reason: `"1s": want at least backoff, 1m`},
		{name: "one attempt", value: `{"image":"a","retry":{"backoff":"1m"}}`, field: "retry.attempts", reason: "retry wants 2 or more attempts"},
		{name: "no word", value: `{"image":"a","retry":{"attempts":2,"on":["Timeout","on error"]}}`, field: "retry.on[1]", reason: `"on error": want a reason word`},
		{name: "exit code 0", value: `{"image":"a","retry":{"attempts":2,"on":[0]}}`, field: "retry.on[0]", reason: `"0": want exit codes from 1 to 255`},
		{name: "exit codes backwards", value: `{"image":"a","retry":{"attempts":2,"on":["9-3"]}}`, field: "retry.on[0]", reason: `"9-3": want exit codes from 1 to 255`},
		{name: "a cancel", value: `{"image":"a","retry":{"attempts":2,"on":["CancelRequested"]}}`, field: "retry.on[0]", reason: "is not followed by another attempt"},
		{name: "empty", value: `{"image":"a","retry":{"attempts":2,"on":[]}}`, field: "retry.on", reason: "an empty list"},
		{name: "an object", value: `{"image":"a","retry":{"attempts":2,"on":{}}}`, field: "retry.on", reason: "want a reason word"},
		{name: "a run shorter than an attempt", value: `{"image":"a","timeout":"2m","runTimeout":"1m"}`, field: "runTimeout", reason: `"1m": want at least timeout, 2m`},
	})
}

func TestHints(t *testing.T) {
	cause := errors.New("no such customer")
	for _, test := range []struct {
		name                 string
		err                  error
		permanent, retryable bool
	}{
		{name: "none", err: cause},
		{name: "permanent", err: nightwatch.Permanent(cause), permanent: true},
		{name: "retryable, wrapped", err: fmt.Errorf("bill: %w", nightwatch.Retryable(cause)), retryable: true},
		{name: "the outermost counts", err: nightwatch.Permanent(nightwatch.Retryable(cause)), permanent: true},
	} {
		hint := nightwatch.HintOf(test.err)
		if hint.Permanent() != test.permanent || hint.Retryable() != test.retryable || !errors.Is(test.err, cause) {
			t.Errorf("%s: %+v", test.name, hint)
		}
	}
	if nightwatch.Permanent(nil) != nil || nightwatch.Retryable(nil) != nil {
		t.Error("a mark makes an error of none")
	}
}

func TestAgain(t *testing.T) {
	run := nightwatch.Run{ID: "rev-1", Attempt: 1, Node: "n1", Session: "s", Phase: nightwatch.PhaseRunning, Job: &nightwatch.Job{Name: "a"}}
	for n := 1; n <= 12; n++ {
		run.Node = fmt.Sprint("n", n)
		before := run
		run.Again(nightwatch.FailedAttempt{Reason: "ExitCode", EndTime: noon}, noon.Add(time.Minute))
		if len(before.Attempts) > 0 && before.Attempts[0].Attempt != max(1, n-10) {
			t.Fatalf("the record before was changed: %+v", before.Attempts)
		}
	}
	if run.Attempt != 13 || run.Failures != 12 || len(run.Attempts) != 10 || run.Attempts[9].Attempt != 12 || run.Attempts[9].Node != "n12" ||
		run.Phase != nightwatch.PhasePending || run.Reason != nightwatch.ReasonRetry || run.Node != "" || run.Job != nil || !run.NotBefore.Equal(noon.Add(time.Minute)) {
		t.Errorf("%+v", run)
	}
}
