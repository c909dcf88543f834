package runnertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// testWrites looks at the log of an attempt while it runs and afterwards, and at the end of it that goes into the record.
func testWrites(t *testing.T, s Subject) {
	if s.Says == "" {
		return // attempts of this runner do not write to their logs
	}
	r, a, _ := s.attempt(t, Live)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, a)
	has := func() bool { return strings.Contains(fmt.Sprint(a.Log), s.Says) }
	s.eventually(t, fmt.Sprintf("%q in the log of a live attempt", s.Says), has)
	cancel(jobrunner.ErrCancel)
	s.wait(t, done)
	if !has() {
		t.Errorf("the log has %q after the end: want %q in it", a.Log, s.Says)
	}

	r, a, _ = s.attempt(t, Succeed)
	out := s.wait(t, s.start(t.Context(), r, a))
	if kept := kept(a, out); !has() || !strings.Contains(kept, s.Says) {
		t.Errorf("the log has %q, and the output is %q: want %q in both", a.Log, kept, s.Says)
	}
}

// testBig has an attempt say far more than its record has room for.
func testBig(t *testing.T, s Subject) {
	if s.Task(t, Big) == nil {
		return // it has no task that says so much
	}
	r, a, _ := s.attempt(t, Big)
	out := s.wait(t, s.start(t.Context(), r, a))
	if out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("outcome %+v: want Succeeded", out)
	}
	if len(out.Output) > nightwatch.MaxOutput {
		t.Errorf("an output of %d bytes: want no more than a record keeps, %d", len(out.Output), nightwatch.MaxOutput)
	}
	if kept := kept(a, out); len(kept) < nightwatch.MaxOutput-utf8.UTFMax || !strings.HasSuffix(strings.TrimSuffix(kept, "\n"), BigEnd) {
		t.Errorf("%d bytes are kept, which end with %q: want %d, and %q at their end", len(kept), kept[max(0, len(kept)-40):],
			nightwatch.MaxOutput, BigEnd)
	}
}

// kept is what the record has of what an attempt said, as the worker fills it in.
func kept(a *jobrunner.Attempt, out jobrunner.Outcome) string {
	var tail jobrunner.Tail
	if out.Output == "" {
		out.Output = fmt.Sprint(a.Log)
	}
	_, _ = tail.Write([]byte(out.Output)) // never fails
	return tail.String()
}
