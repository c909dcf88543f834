package jobrunner

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
)

// heard is an attempt whose record is kept in memory, and the times at which it was written.
type heard struct {
	*Feedback
	run Run

	mu     sync.Mutex
	record nightwatch.Run
	writes []time.Time
	hold   chan struct{} // writes wait until it is closed, if it is set
}

func hear(ctx context.Context, record nightwatch.Run) *heard {
	h := &heard{record: record}
	a := &Attempt{Record: record, Save: h.save}
	h.Feedback = Listen(ctx, a)
	h.run = a.Run
	return h
}

func (h *heard) save(ctx context.Context, change func(*nightwatch.Run)) error {
	h.mu.Lock()
	hold := h.hold
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return errors.Join(nightwatch.ErrOutcomeUnknown, context.Cause(ctx))
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.record)
	h.writes = append(h.writes, time.Now())
	return nil
}

func (h *heard) stands() nightwatch.Run {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.writes)
}

func TestProgressIsWrittenOnceASecondAndTheLastIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t.Context(), nightwatch.Run{})
		defer h.Close()
		const calls = 5000 // for five seconds, one each millisecond
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := range calls {
			<-tick.C
			h.run.Progress(float64(i+1)/calls, "")
		}
		<-time.After(progressEvery + progressDelay)
		synctest.Wait()
		if p := h.stands().Progress; p == nil || p.Fraction != 1 {
			t.Errorf("progress %+v after a silence: want the last", p)
		}
		if n := h.count(); n < 5 || n > 7 {
			t.Errorf("%d writes in six seconds: want one a second", n)
		}
		for i := 1; i < len(h.writes); i++ {
			if between := h.writes[i].Sub(h.writes[i-1]); between < progressEvery {
				t.Errorf("write %d came %s after the one before", i, between)
			}
		}
		h.run.Progress(1, "")
		<-time.After(time.Minute)
		if n := len(h.writes); n > 7 {
			t.Errorf("what is on record already was written again: %d writes", n)
		}
	})
}

func TestProgressGoesWithOtherWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t.Context(), nightwatch.Run{})
		defer h.Close()
		h.run.Progress(0.5, "half")
		if err := h.run.SetResult(map[string]int{"done": 1}); err != nil {
			t.Error(err)
		}
		if err := h.run.SaveCheckpoint(t.Context(), []byte("x")); err != nil {
			t.Error(err)
		}
		<-time.After(time.Minute)
		r := h.stands()
		if h.count() != 1 || r.Progress == nil || r.Progress.Message != "half" || string(r.Result) != `{"done":1}` || string(r.Checkpoint) != "x" {
			t.Errorf("%d writes, record %+v: want all in one", h.count(), r)
		}
	})
}

func TestProgressIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name          string
		fraction      float64
		message       string
		wantFraction  float64
		wantedMessage string
	}{
		{name: "as it is", fraction: 0.25, message: "page 7", wantFraction: 0.25, wantedMessage: "page 7"},
		{name: "below", fraction: -1, wantFraction: 0},
		{name: "above", fraction: 40, wantFraction: 1},
		{name: "no number", fraction: math.NaN(), wantFraction: 0},
		{name: "infinite", fraction: math.Inf(1), wantFraction: 1},
		{name: "long fraction", fraction: 1.0 / 3, wantFraction: 0.333},
		{name: "long message", message: strings.Repeat("a", 10_000), wantedMessage: strings.Repeat("a", maxProgressMessage) + "…"},
		{name: "not UTF-8", message: "a\xff", wantedMessage: "a\uFFFD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := hear(t.Context(), nightwatch.Run{})
			h.run.Progress(tt.fraction, tt.message)
			h.Close()
			var r nightwatch.Run
			h.Fill(&r)
			if r.Progress == nil || r.Progress.Fraction != tt.wantFraction || r.Progress.Message != tt.wantedMessage || r.Progress.Time.IsZero() {
				t.Errorf("%+v: want %v %q", r.Progress, tt.wantFraction, tt.wantedMessage)
			}
			if _, err := nightwatch.Encode(&r); err != nil || !utf8.ValidString(r.Progress.Message) {
				t.Errorf("%v: %q", err, r.Progress.Message)
			}
		})
	}
}

// A message is cut after the secrets in it have been taken out: half of one would stay.
func TestProgressIsMaskedWhole(t *testing.T) {
	h := hear(t.Context(), nightwatch.Run{})
	const secret = "canary-7d1e-bird"
	h.mask.Store(NewMask([]string{secret}))
	h.run.Progress(0, strings.Repeat("a", maxProgressMessage-8)+secret)
	h.Close()
	var r nightwatch.Run
	h.Fill(&r)
	if r.Progress == nil || strings.Contains(r.Progress.Message, "canary") {
		t.Errorf("%+v", r.Progress)
	}
}

func TestResult(t *testing.T) {
	loop := map[string]any{}
	loop["again"] = loop
	for _, tt := range []struct {
		name  string
		value any
		want  string // the result that stands
		err   string
	}{
		{name: "object", value: struct {
			Pages int `json:"pages"`
		}{7}, want: `{"pages":7}`},
		{name: "as people read it", value: "a < b", want: `"a < b"`},
		{name: "nothing", value: nil, want: "null"},
		{name: "just fits", value: strings.Repeat("a", nightwatch.MaxResult-2), want: `"` + strings.Repeat("a", nightwatch.MaxResult-2) + `"`},
		{name: "too large", value: strings.Repeat("a", nightwatch.MaxResult-1), want: `"before"`, err: "2049 bytes of JSON: at most 2048"},
		{name: "no JSON", value: func() {}, want: `"before"`, err: "unsupported type"},
		{name: "endless", value: loop, want: `"before"`, err: "cycle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := hear(t.Context(), nightwatch.Run{})
			defer h.Close()
			if err := h.run.SetResult("before"); err != nil {
				t.Fatal(err)
			}
			err := h.run.SetResult(tt.value)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v: want %q", err, tt.err)
			}
			var r nightwatch.Run
			h.Fill(&r)
			if string(r.Result) != tt.want {
				t.Errorf("result %s: want %s", r.Result, tt.want)
			}
		})
	}
}

func TestCheckpointIsReplacedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t.Context(), nightwatch.Run{Checkpoint: []byte("earlier")})
		defer h.Close()
		if got := h.run.Checkpoint(); string(got) != "earlier" {
			t.Errorf("checkpoint %q: want that of the earlier attempt", got)
		}
		full := slices.Repeat([]byte{7}, nightwatch.MaxCheckpoint)
		for _, step := range []struct {
			data, want []byte
			err        string
		}{
			{data: full, want: full},
			{data: append(slices.Clone(full), 7), want: full, err: "16385 bytes: at most 16384"},
			{data: []byte("small"), want: []byte("small")},
			{data: nil, want: nil},
		} {
			given := slices.Clone(step.data)
			err := h.run.SaveCheckpoint(t.Context(), given)
			if (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
				t.Errorf("%v: want %q", err, step.err)
			}
			for i := range given {
				given[i] = 0 // the caller's buffer is the caller's
			}
			stands := h.stands()
			if !slices.Equal(stands.Checkpoint, step.want) || !slices.Equal(h.run.Checkpoint(), step.want) {
				t.Errorf("%d bytes stand, %d are told: want %d", len(stands.Checkpoint), len(h.run.Checkpoint()), len(step.want))
			}
		}
	})
}

func TestCheckpointsKeepAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t.Context(), nightwatch.Run{})
		defer h.Close()
		began := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if err := h.run.SaveCheckpoint(t.Context(), []byte("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 19*checkpointEvery {
			t.Errorf("20 checkpoints took %s: want %s", took, 19*checkpointEvery)
		}
	})
}

func TestCheckpointErrors(t *testing.T) {
	errOwn := errors.New("the caller's own")
	for _, tt := range []struct {
		name   string
		breaks func(h *heard, endCall context.CancelCauseFunc, endLife context.CancelFunc)
		want   error
	}{
		{name: "the call's context ends", want: errOwn, breaks: func(_ *heard, endCall context.CancelCauseFunc, _ context.CancelFunc) { endCall(errOwn) }},
		{name: "the session ends", want: ErrSessionLost, breaks: func(_ *heard, _ context.CancelCauseFunc, endLife context.CancelFunc) { endLife() }},
		{name: "the attempt ends", want: errOver, breaks: func(h *heard, _ context.CancelCauseFunc, _ context.CancelFunc) { h.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life, endLife := context.WithCancel(t.Context())
				defer endLife()
				h := hear(life, nightwatch.Run{Checkpoint: []byte("earlier")})
				defer h.Close()
				h.hold = make(chan struct{})
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				done := make(chan error, 2)
				for range 2 { // one that writes, one that waits for its turn
					go func() { done <- h.run.SaveCheckpoint(ctx, []byte("new")) }()
				}
				synctest.Wait()
				tt.breaks(h, cancel, endLife)
				for range 2 {
					if err := <-done; !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), "save checkpoint: ") {
						t.Errorf("%v: want %v", err, tt.want)
					}
				}
				if got := h.run.Checkpoint(); string(got) != "earlier" {
					t.Errorf("checkpoint %q", got)
				}
			})
		})
	}
}

// What goes on after its attempt has ended is not heard.
func TestNothingIsHeardAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t.Context(), nightwatch.Run{})
		h.run.Progress(0.5, "before")
		h.Close()
		h.Close()
		h.run.Progress(0.9, "after")
		if err := h.run.SetResult("after"); !errors.Is(err, errOver) {
			t.Errorf("set result: %v", err)
		}
		if err := h.run.SaveCheckpoint(t.Context(), []byte("after")); !errors.Is(err, errOver) {
			t.Errorf("save checkpoint: %v", err)
		}
		<-time.After(time.Minute)
		var r nightwatch.Run
		h.Fill(&r)
		if h.count() != 0 || r.Progress.Message != "before" || r.Result != nil {
			t.Errorf("%d writes, %+v", h.count(), r)
		}
	})
}

// A Run made by hand, in a test of user code, is harmless.
func TestRunMadeByHand(t *testing.T) {
	run := Run{Task: "demo"}
	run.Progress(0.5, "half")
	if err := run.SetResult(1); err != nil {
		t.Error(err)
	}
	if err := run.SetResult(func() {}); err == nil {
		t.Error("a func as a result")
	}
	if err := run.SaveCheckpoint(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
	if err := run.SaveCheckpoint(t.Context(), make([]byte, nightwatch.MaxCheckpoint+1)); err == nil {
		t.Error("too large a checkpoint")
	}
	if run.Checkpoint() != nil {
		t.Error("a checkpoint from nowhere")
	}
}

// Whatever is said, in whatever order: the record ends with the last of each, and progress costs one write a second.
func TestRecordEndsWithTheLastWord(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			h := hear(t.Context(), nightwatch.Run{})
			began, checkpoints := time.Now(), 0
			var progress *float64
			var result, checkpoint string
			for range rapid.IntRange(0, 40).Draw(rt, "steps") {
				switch rapid.SampledFrom([]string{"progress", "result", "checkpoint", "wait"}).Draw(rt, "step") {
				case "progress":
					fraction := float64(rapid.IntRange(0, 10).Draw(rt, "fraction")) / 10
					progress = &fraction
					h.run.Progress(fraction, "")
				case "result":
					result = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "result")
					if err := h.run.SetResult(result); err != nil {
						rt.Error(err)
					}
				case "checkpoint":
					checkpoint = rapid.SampledFrom([]string{"x", "y", "z"}).Draw(rt, "checkpoint")
					if err := h.run.SaveCheckpoint(t.Context(), []byte(checkpoint)); err != nil {
						rt.Error(err)
					}
					checkpoints++
				case "wait":
					<-time.After(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "wait")) * time.Millisecond)
				}
			}
			h.Close()
			r := h.stands()
			h.Fill(&r)
			if (progress == nil) != (r.Progress == nil) || progress != nil && r.Progress.Fraction != *progress {
				rt.Errorf("progress %+v: want %v", r.Progress, progress)
			}
			if result != "" && string(r.Result) != `"`+result+`"` || string(r.Checkpoint) != checkpoint {
				rt.Errorf("result %s, checkpoint %s: want %q and %q", r.Result, r.Checkpoint, result, checkpoint)
			}
			if most := checkpoints + int(time.Since(began)/progressEvery) + 1; len(h.writes) > most {
				rt.Errorf("%d writes in %s with %d checkpoints", len(h.writes), time.Since(began), checkpoints)
			}
		})
	})
}
