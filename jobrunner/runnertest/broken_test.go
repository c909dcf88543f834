package runnertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// effects are what runners here make happen, as the world outside sees it.
type effects struct {
	mu      sync.Mutex
	started map[string]int
	live    map[string]bool
	told    map[string]jobrunner.Run
}

func (e *effects) begin(run jobrunner.Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started[run.ID]++
	e.live[run.ID], e.told[run.ID] = true, run
}

func (e *effects) end(run jobrunner.Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live[run.ID] = false
}

// has tells whether the effect of a run was begun, or was made impossible, before.
func (e *effects) has(run jobrunner.Run) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, there := e.live[run.ID]
	return there
}

// tiny is the smallest runner there can be. Its effect is an entry in a list. broken names what it does wrong.
type tiny struct {
	*effects
	broken string
}

func (tiny) Name() string { return "tiny" }

func (r tiny) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	if r.broken != "deaf to its timeout" {
		var cancel context.CancelFunc
		ctx, cancel = jobrunner.WithTimeout(ctx, a)
		defer cancel()
	}
	switch {
	case ctx.Err() != nil && r.broken != "starts when it is canceled":
		return jobrunner.Stopped(ctx)
	case !time.Now().Before(a.Deadline()) && r.broken != "starts past its deadline":
		return jobrunner.Interrupted
	}
	told := a.Run
	if r.broken == "saves before its effect" && a.Save(ctx, func(*nightwatch.Run) {}) != nil {
		return jobrunner.Interrupted
	}
	if r.broken == "forgets params" {
		told.Params = nil
	}
	r.begin(told)
	if r.broken != "keeps what is said to itself" {
		fmt.Fprintln(a.Log, "tiny begins")
	}
	if r.broken != "leaves its effect" {
		defer r.end(a.Run)
	}
	if a.Run.Attempt > 1 && r.broken == "begins again what was lost as well" {
		r.begin(told)
	}
	if out := r.said(a); out.Phase != "" {
		return out
	}
	if r.broken != "does not save" && r.broken != "saves before its effect" {
		err := a.Save(ctx, func(run *nightwatch.Run) {
			if r.broken == "changes the record" {
				run.Checkpoint = nil
			}
		})
		if err != nil && ctx.Err() == nil && r.broken != "goes on when Save fails" {
			return jobrunner.Interrupted
		}
	}
	<-ctx.Done()
	switch cause := context.Cause(ctx); {
	case r.broken == "takes a lost session for a failure" && errors.Is(cause, jobrunner.ErrSessionLost):
		return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: "Lost", Message: "the session is lost"}
	case r.broken == "takes a stopping node for a cancel" && errors.Is(cause, jobrunner.ErrStopping):
		return jobrunner.Outcome{Phase: nightwatch.PhaseCanceled, Reason: nightwatch.ReasonCancelRequested}
	case r.broken == "waits past its deadline" && time.Now().After(a.Deadline()):
		select {}
	}
	return jobrunner.Stopped(ctx)
}

// said is the outcome of an attempt that ends by itself, as its task wants it.
func (r tiny) said(a *jobrunner.Attempt) jobrunner.Outcome {
	failed := jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: "Tiny", Message: "as asked"}
	switch kind := runnertest.Kind(a.Task.Handler.Name); {
	case kind == runnertest.Succeed:
		return jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded}
	case kind == runnertest.Big:
		all := strings.Repeat("x", 1<<20) + runnertest.BigEnd
		out := jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded}
		switch r.broken {
		case "keeps the beginning of what is said":
			out.Output = all[:nightwatch.MaxOutput]
		case "keeps all that is said":
			out.Output = all
		default:
			fmt.Fprintln(a.Log, all)
		}
		return out
	case kind == runnertest.Fail && r.broken == "fails without a word":
		failed.Message = ""
		return failed
	case kind == runnertest.Fail, r.broken == "gives no hint" && kind != runnertest.Live:
		return failed
	case kind == runnertest.Permanent:
		failed.Hint = nightwatch.HintOf(nightwatch.Permanent(errors.New(failed.Message)))
		return failed
	case kind == runnertest.Retryable:
		failed.Hint = nightwatch.HintOf(nightwatch.Retryable(errors.New(failed.Message)))
		return failed
	}
	return jobrunner.Interrupted
}

// apart is as small, and its effects have names and go on without it.
type apart struct{ tiny }

func (apart) Prepare(run *nightwatch.Run, _ string) { run.Job = &nightwatch.Job{Name: run.ID} }

func (r apart) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	ctx, cancel := jobrunner.WithTimeout(ctx, a)
	defer cancel()
	switch stopped := jobrunner.Stopped(ctx); {
	case ctx.Err() != nil && stopped.Phase == "", !time.Now().Before(a.Deadline()):
		return jobrunner.Interrupted
	case ctx.Err() != nil:
		if a.Adopt && r.broken != "leaves the name to who wakes up" || r.has(a.Run) {
			r.end(a.Run) // and nobody begins it any more
		}
		return stopped
	}
	if !r.has(a.Run) || r.broken == "does not adopt" {
		r.begin(a.Run)
	}
	fmt.Fprintln(a.Log, "tiny begins")
	if r.broken != "keeps its effect off the record" {
		if err := a.Save(ctx, func(run *nightwatch.Run) { run.Job = &nightwatch.Job{Name: a.Run.ID, UID: "u"} }); err != nil {
			return jobrunner.Interrupted
		}
	}
	if out := r.said(a); out.Phase != "" {
		r.end(a.Run)
		return out
	}
	<-ctx.Done()
	out := jobrunner.Stopped(ctx)
	if out.Phase != "" || r.broken == "takes its effects with it" {
		r.end(a.Run)
	}
	return out
}

func subject(broken string, detached bool) runnertest.Subject {
	e := &effects{started: map[string]int{}, live: map[string]bool{}, told: map[string]jobrunner.Run{}}
	patience := 20 * time.Second
	if broken != "" {
		patience = 2 * time.Second
	}
	return runnertest.Subject{
		New: func(testing.TB) jobrunner.Runner {
			if detached {
				return apart{tiny{e, broken}}
			}
			return tiny{e, broken}
		},
		Detached: detached,
		Task: func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task {
			return &nightwatch.Task{Handler: &nightwatch.HandlerSpec{Name: string(kind)}}
		},
		Started:  func(run jobrunner.Run) int { e.mu.Lock(); defer e.mu.Unlock(); return e.started[run.ID] },
		Live:     func(run jobrunner.Run) bool { e.mu.Lock(); defer e.mu.Unlock(); return e.live[run.ID] },
		Told:     func(run jobrunner.Run) jobrunner.Run { e.mu.Lock(); defer e.mu.Unlock(); return e.told[run.ID] },
		Says:     "tiny begins",
		Patience: patience,
	}
}

const brokenName = "RUNNERTEST_BROKEN"

// TestTiny and TestApart are the suite on runners that pass; TestBroken has it run in programs of their own on broken ones.
func TestTiny(t *testing.T)  { runnertest.Run(t, subject(os.Getenv(brokenName), false)) }
func TestApart(t *testing.T) { runnertest.Run(t, subject(os.Getenv(brokenName), true)) }

// TestBroken breaks the runners in one way after another: the check that is for it fails.
func TestBroken(t *testing.T) {
	for _, tt := range []struct{ test, broken, check string }{
		{"TestTiny", "deaf to its timeout", "timeout"},
		{"TestTiny", "starts when it is canceled", "canceled_before"},
		{"TestTiny", "starts past its deadline", "deadline_passed"},
		{"TestTiny", "leaves its effect", "cancel"},
		{"TestTiny", "fails without a word", "fails"},
		{"TestTiny", "does not save", "save_follows_the_effect"},
		{"TestTiny", "saves before its effect", "save_follows_the_effect"},
		{"TestTiny", "changes the record", "save_changes_what_is_the_runner's"},
		{"TestTiny", "goes on when Save fails", "save_fails"},
		{"TestTiny", "takes a lost session for a failure", "session_lost"},
		{"TestTiny", "forgets params", "told"},
		{"TestTiny", "keeps what is said to itself", "writes_its_log"},
		{"TestTiny", "keeps the beginning of what is said", "big_output"},
		{"TestTiny", "keeps all that is said", "big_output"},
		{"TestTiny", "gives no hint", "hint"},
		{"TestTiny", "takes a stopping node for a cancel", "drained"},
		{"TestTiny", "waits past its deadline", "drain_is_over"},
		{"TestTiny", "begins again what was lost as well", "taken_over"},
		{"TestApart", "takes its effects with it", "drained"},
		{"TestApart", "keeps its effect off the record", "drained"},
		{"TestApart", "does not adopt", "taken_over"},
		{"TestApart", "leaves the name to who wakes up", "taken_over"},
	} {
		t.Run(tt.broken, func(t *testing.T) {
			t.Parallel()
			program := exec.Command(os.Args[0], "-test.run=^"+tt.test+"$/^"+tt.check+"$", "-test.v")
			program.Env = append(os.Environ(), brokenName+"="+tt.broken, "GORACE=atexit_sleep_ms=0")
			out, err := program.CombinedOutput()
			failed := slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
				return strings.HasPrefix(strings.TrimSpace(line), "--- FAIL: "+tt.test+"/"+tt.check+" ")
			})
			if err == nil || !failed {
				t.Errorf("%s did not fail:\n%s", tt.check, out)
			}
		})
	}
}
