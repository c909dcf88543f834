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
	switch runnertest.Kind(a.Task.Handler.Name) {
	case runnertest.Succeed:
		return jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded}
	case runnertest.Fail:
		out := jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: "Tiny", Message: "as asked"}
		if r.broken == "fails without a word" {
			out.Message = ""
		}
		return out
	}
	if r.broken != "does not save" {
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
	if r.broken == "takes a lost session for a failure" && errors.Is(context.Cause(ctx), jobrunner.ErrSessionLost) {
		return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: "Lost", Message: "the session is lost"}
	}
	return jobrunner.Stopped(ctx)
}

func subject(broken string) runnertest.Subject {
	e := &effects{started: map[string]int{}, live: map[string]bool{}, told: map[string]jobrunner.Run{}}
	patience := 20 * time.Second
	if broken != "" {
		patience = 2 * time.Second
	}
	return runnertest.Subject{
		New: func(testing.TB) jobrunner.Runner { return tiny{e, broken} },
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

// TestTiny is the suite on the tiny runner, which passes; TestBroken has it run in programs of their own on broken ones.
func TestTiny(t *testing.T) { runnertest.Run(t, subject(os.Getenv(brokenName))) }

// TestBroken breaks the runner in one way after another: the check that is for it fails.
func TestBroken(t *testing.T) {
	for broken, check := range map[string]string{
		"deaf to its timeout":                "timeout",
		"starts when it is canceled":         "canceled_before",
		"starts past its deadline":           "deadline_passed",
		"leaves its effect":                  "cancel",
		"fails without a word":               "fails",
		"does not save":                      "save_follows_the_effect",
		"changes the record":                 "save_changes_what_is_the_runner's",
		"goes on when Save fails":            "save_fails",
		"takes a lost session for a failure": "session_lost",
		"forgets params":                     "told",
		"keeps what is said to itself":       "writes_its_log",
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			program := exec.Command(os.Args[0], "-test.run=^TestTiny$/^"+check+"$", "-test.v")
			program.Env = append(os.Environ(), brokenName+"="+broken)
			out, err := program.CombinedOutput()
			failed := slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
				return strings.HasPrefix(strings.TrimSpace(line), "--- FAIL: TestTiny/"+check+" ")
			})
			if err == nil || !failed {
				t.Errorf("%s did not fail:\n%s", check, out)
			}
		})
	}
}
