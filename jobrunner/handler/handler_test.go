package handler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/handler"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func task(name string) *nightwatch.Task {
	return &nightwatch.Task{Handler: &nightwatch.HandlerSpec{Name: name}}
}

func TestConformance(t *testing.T) {
	var mu sync.Mutex
	started, live, told := map[string]int{}, map[string]bool{}, map[string]jobrunner.Run{}
	begin := func(run jobrunner.Run) (end func()) {
		mu.Lock()
		defer mu.Unlock()
		started[run.ID]++
		live[run.ID], told[run.ID] = true, run
		return func() {
			mu.Lock()
			defer mu.Unlock()
			live[run.ID] = false
		}
	}
	runnertest.Run(t, runnertest.Subject{
		New: func(tb testing.TB) jobrunner.Runner {
			r := handler.New()
			noPaper := errors.New("no paper")
			for kind, work := range map[runnertest.Kind]handler.Func{
				runnertest.Succeed:   func(context.Context, jobrunner.Run) error { return nil },
				runnertest.Fail:      func(context.Context, jobrunner.Run) error { return noPaper },
				runnertest.Permanent: func(context.Context, jobrunner.Run) error { return nightwatch.Permanent(noPaper) },
				runnertest.Retryable: func(context.Context, jobrunner.Run) error { return nightwatch.Retryable(noPaper) },
				runnertest.Live:      func(ctx context.Context, _ jobrunner.Run) error { <-ctx.Done(); return ctx.Err() },
				runnertest.Big: func(_ context.Context, run jobrunner.Run) error {
					_, err := fmt.Fprintln(run.Log(), strings.Repeat("x", 1<<20), runnertest.BigEnd)
					return err
				},
			} {
				if _, err := r.Handle(string(kind), func(ctx context.Context, run jobrunner.Run) error {
					defer begin(run)()
					fmt.Fprintln(run.Log(), "hello")
					return work(ctx, run)
				}); err != nil {
					tb.Fatal(err)
				}
			}
			return r
		},
		Task:    func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task { return task(string(kind)) },
		Says:    "hello\n",
		Started: func(run jobrunner.Run) int { mu.Lock(); defer mu.Unlock(); return started[run.ID] },
		Live:    func(run jobrunner.Run) bool { mu.Lock(); defer mu.Unlock(); return live[run.ID] },
		Told:    func(run jobrunner.Run) jobrunner.Run { mu.Lock(); defer mu.Unlock(); return told[run.ID] },
	})
}

func handle(t *testing.T, fn func(context.Context, jobrunner.Run) error) *handler.Runner {
	t.Helper()
	r := handler.New()
	if _, err := r.Handle("work", fn); err != nil {
		t.Fatal(err)
	}
	return r
}

func panicWith(value any) { panic(value) }

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name            string
		fn              func(context.Context, jobrunner.Run) error
		phase           nightwatch.Phase
		reason, message string
		output          string
	}{
		{"success", func(context.Context, jobrunner.Run) error { return nil }, nightwatch.PhaseSucceeded, "", "", ""},
		{"error", func(context.Context, jobrunner.Run) error { return errors.New("no paper") }, nightwatch.PhaseFailed, nightwatch.ReasonHandlerError, "no paper", ""},
		{"panic", func(context.Context, jobrunner.Run) error { panic("out of ideas") }, nightwatch.PhaseFailed, nightwatch.ReasonPanic, "out of ideas", "handler_test.go"},
		{"panic with nil", func(context.Context, jobrunner.Run) error { panicWith(nil); return nil }, nightwatch.PhaseFailed, nightwatch.ReasonPanic, "nil", "handler_test.go"},
		{"goexit", func(context.Context, jobrunner.Run) error { runtime.Goexit(); return nil }, nightwatch.PhaseFailed, nightwatch.ReasonPanic, "Goexit", ""},
		{"long error", func(context.Context, jobrunner.Run) error { return errors.New(strings.Repeat("é", 10_000)) }, nightwatch.PhaseFailed, nightwatch.ReasonHandlerError, "é…", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := runnertest.Attempt(t, task("work"))
			out := handle(t, tt.fn).Run(t.Context(), a)
			if out.Phase != tt.phase || out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || !strings.Contains(out.Output, tt.output) {
				t.Errorf("outcome %+v: want %s %s, message %q, output with %q", out, tt.phase, tt.reason, tt.message, tt.output)
			}
			if len(out.Message) > 600 || len(out.Output) > nightwatch.MaxOutput {
				t.Errorf("message of %d bytes, output of %d", len(out.Message), len(out.Output))
			}
		})
	}
}

// deep panics some calls down.
func deep(n int) {
	if n == 0 {
		panic("at the bottom")
	}
	deep(n - 1)
}

// TestPanicShowsWhere wants the place of the panic first, not what wrote it down, however deep it is.
func TestPanicShowsWhere(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fn    handler.Func
		where string
	}{
		{"shallow", func(context.Context, jobrunner.Run) error { panicWith(1); return nil }, "handler_test.panicWith"},
		{"deep", func(context.Context, jobrunner.Run) error { deep(1000); return nil }, "handler_test.deep"},
		{"runtime error", func(_ context.Context, run jobrunner.Run) error { run.Params["a"] = nil; return nil }, "handler_test.TestPanicShowsWhere"},
		{"panic in a deferred call", func(context.Context, jobrunner.Run) error {
			defer panicWith("second")
			panic("first")
		}, "handler_test.panicWith"},
		{"endless message", func(context.Context, jobrunner.Run) error { panic(strings.Repeat("é", 1<<20)) }, "handler_test.TestPanicShowsWhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := runnertest.Attempt(t, task("work"))
			out := handle(t, tt.fn).Run(t.Context(), a)
			lines := strings.SplitN(out.Output, "\n", 5)
			if len(lines) < 5 || !strings.HasPrefix(lines[0], "goroutine ") || !strings.HasPrefix(lines[1], "panic(") {
				t.Fatalf("output %q", out.Output)
			}
			if at := strings.Index(out.Output, tt.where); at < 0 || at > nightwatch.MaxOutput/2 {
				t.Errorf("%s is at %d of\n%s", tt.where, at, out.Output)
			}
			if len(out.Output) > nightwatch.MaxOutput || len(out.Message) > 600 {
				t.Errorf("output of %d bytes, message of %d", len(out.Output), len(out.Message))
			}
		})
	}
}

// TestSaid has a handler say what it can; the record has it.
func TestSaid(t *testing.T) {
	r := handle(t, func(ctx context.Context, run jobrunner.Run) error {
		if got := run.Checkpoint(); string(got) != "page 6" {
			return fmt.Errorf("checkpoint %q", got)
		}
		run.Progress(0.7, "page 7 of 10")
		return errors.Join(run.SetResult(map[string]int{"pages": 7}), run.SaveCheckpoint(ctx, []byte("page 7")))
	})
	a, saves := runnertest.Attempt(t, task("work"))
	a.Record.Checkpoint = []byte("page 6")
	if out := r.Run(t.Context(), a); out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v", out)
	}
	record := saves.Record()
	if p := record.Progress; p == nil || p.Fraction != 0.7 || p.Message != "page 7 of 10" || time.Since(p.Time) > time.Minute {
		t.Errorf("progress %+v", p)
	}
	if string(record.Result) != `{"pages":7}` || string(record.Checkpoint) != "page 7" {
		t.Errorf("result %s, checkpoint %q", record.Result, record.Checkpoint)
	}
}

// TestLastWords has a handler save what it has when it is told to end.
func TestLastWords(t *testing.T) {
	for _, tt := range []struct {
		cause error
		phase nightwatch.Phase
	}{{jobrunner.ErrCancel, nightwatch.PhaseCanceled}, {jobrunner.ErrStopping, ""}, {jobrunner.ErrTimeout, nightwatch.PhaseFailed}} {
		called, said := make(chan struct{}), make(chan [2]error, 1)
		r := handle(t, func(ctx context.Context, run jobrunner.Run) error {
			close(called)
			<-ctx.Done()
			said <- [2]error{run.SaveCheckpoint(ctx, []byte("in vain")), run.SaveCheckpoint(context.WithoutCancel(ctx), []byte("page 7"))}
			return ctx.Err()
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		a, saves := runnertest.Attempt(t, task("work"))
		go func() {
			<-called
			cancel(tt.cause)
		}()
		if out := r.Run(ctx, a); out.Phase != tt.phase {
			t.Errorf("%v: %+v", tt.cause, out)
		}
		if errs := <-said; !errors.Is(errs[0], tt.cause) || errs[1] != nil {
			t.Errorf("%v: errors %v", tt.cause, errs)
		}
		if got := saves.Record().Checkpoint; string(got) != "page 7" {
			t.Errorf("%v: checkpoint %q", tt.cause, got)
		}
	}
}

// TestDisabled switches one of two handlers off; that nobody has it stays a different thing.
func TestDisabled(t *testing.T) {
	r := handler.New()
	r.Disabled = []string{"work", "later"}
	for _, name := range []string{"work", "play"} {
		if _, err := r.Handle(name, func(context.Context, jobrunner.Run) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if names := r.Names(); !slices.Equal(names, []string{"play"}) {
		t.Errorf("names %q", names)
	}
	for name, want := range map[string]string{"work": `handler "work" is switched off on this node`, "play": "", "nobody": `no handler "nobody" is registered on this node`} {
		a, _ := runnertest.Attempt(t, task(name))
		if out := r.Run(t.Context(), a); out.Message != want || (want == "") != (out.Phase == nightwatch.PhaseSucceeded) {
			t.Errorf("%s: %+v: want %q", name, out, want)
		}
	}
}

// TestPanicIsLogged wants all of a stack in the log, of which the record has no room for more than the beginning.
func TestPanicIsLogged(t *testing.T) {
	var log strings.Builder
	a, _ := runnertest.Attempt(t, task("work"))
	a.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
	out := handle(t, func(context.Context, jobrunner.Run) error { deep(1000); return nil }).Run(t.Context(), a)
	outermost := "jobrunner/handler.call("
	for _, text := range []string{log.String(), fmt.Sprint(a.Log)} {
		if !strings.Contains(text, "at the bottom") || !strings.Contains(text, outermost) || strings.Contains(out.Output, outermost) {
			t.Errorf("output %q; log:\n%s", out.Output, text)
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, w := range []*nightwatch.Task{task("nobody"), {}} {
		a, _ := runnertest.Attempt(t, w)
		out := handler.New().Run(t.Context(), a)
		if out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonStartRefused || out.Message == "" {
			t.Errorf("%+v: want Failed, StartRefused", out)
		}
	}
}

// TestIgnoresContext has functions that do not return when they should.
func TestIgnoresContext(t *testing.T) {
	for _, tt := range []struct {
		cause error
		phase nightwatch.Phase
	}{{jobrunner.ErrCancel, nightwatch.PhaseCanceled}, {jobrunner.ErrSessionLost, ""}, {jobrunner.ErrTimeout, nightwatch.PhaseFailed}} {
		release, called, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
		r := handle(t, func(context.Context, jobrunner.Run) error {
			defer close(gone)
			close(called)
			<-release
			return nil
		})
		r.Grace = 20 * time.Millisecond
		ctx, cancel := context.WithCancelCause(t.Context())
		a, _ := runnertest.Attempt(t, task("work"))
		go func() {
			<-called
			cancel(tt.cause)
		}()
		out := r.Run(ctx, a)
		if out.Phase != tt.phase || (tt.phase != "") != strings.Contains(out.Message, "left behind") {
			t.Errorf("%v: %+v: want %q", tt.cause, out, tt.phase)
		}
		close(release)
		<-gone
	}
}

func TestRegister(t *testing.T) {
	r := handler.New()
	nop := func(context.Context, jobrunner.Run) error { return nil }
	changed := func() bool {
		select {
		case <-r.Changed():
			return true
		default:
			return false
		}
	}
	if changed() {
		t.Error("changed before anything did")
	}
	removeB, err := r.Handle("b", nop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Handle("a", nop); err != nil {
		t.Fatal(err)
	}
	if !changed() || changed() {
		t.Error("want two changes told once")
	}
	for name, fn := range map[string]handler.Func{"b": nop, "": nop, "c": nil} {
		if _, err := r.Handle(name, fn); err == nil {
			t.Errorf("register %q: no error", name)
		}
	}
	if got := r.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %q", got)
	}
	removeB()
	if !changed() {
		t.Error("removal was not told")
	}
	if _, err := r.Handle("b", nop); err != nil {
		t.Errorf("register again: %v", err)
	}
	changed()
	removeB()
	if changed() || !slices.Equal(r.Names(), []string{"a", "b"}) {
		t.Errorf("a second removal took a later registration away: %q", r.Names())
	}
}

// TestRegisterAndRun registers and removes while runs go on.
func TestRegisterAndRun(t *testing.T) {
	r := handler.New()
	var wg sync.WaitGroup
	for i := range 8 {
		name := fmt.Sprint("h", i)
		wg.Go(func() {
			for range 50 {
				remove, err := r.Handle(name, func(context.Context, jobrunner.Run) error { return nil })
				if err != nil {
					t.Error(err)
					return
				}
				a, _ := runnertest.Attempt(t, task(name))
				if out := r.Run(t.Context(), a); out.Phase != nightwatch.PhaseSucceeded {
					t.Errorf("%+v", out)
				}
				remove()
			}
		})
	}
	wg.Wait()
	if names := r.Names(); len(names) != 0 {
		t.Errorf("names %q are left", names)
	}
}
