package jobrunner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

const (
	// progressEvery is the least time between two writes of progress, progressDelay that from what is said to its
	// write: an attempt that ends sooner has it written with its end, one that begins with the record of its start.
	progressEvery = time.Second
	progressDelay = 200 * time.Millisecond
	// checkpointEvery is the least time between two checkpoints.
	checkpointEvery = 100 * time.Millisecond
	// maxProgressMessage is how many bytes of a progress message are kept: the task's status shows it as well.
	maxProgressMessage = 200
)

// errOver is what an attempt is told that goes on saying things after its end.
var errOver = errors.New("the attempt is over")

// Progress says how far the attempt is, from 0 to 1, and in a few words what it is at; what lies outside is taken for
// the nearer end. It returns at once. The record shows it within about a second, the last word at the latest with the
// end of the attempt; what was said in between may be passed over. It is for people: nothing depends on it.
func (r Run) Progress(fraction float64, message string) {
	if r.feedback == nil {
		return
	}
	if math.IsNaN(fraction) {
		fraction = 0
	}
	r.feedback.progress(math.Round(min(max(fraction, 0), 1)*1000)/1000, message)
}

// SetResult gives the run a result: v as JSON, of at most nightwatch.MaxResult bytes. It returns at once; the result
// goes into the record with the end of the attempt, however that ends, if not before. The last one counts. After an
// error the one before stands.
func (r Run) SetResult(v any) error {
	data, err := nightwatch.Encode(v)
	if err != nil {
		return fmt.Errorf("set result: %w", err)
	}
	if len(data) > nightwatch.MaxResult {
		return fmt.Errorf("set result: %d bytes of JSON: at most %d are kept", len(data), nightwatch.MaxResult)
	}
	if r.feedback == nil {
		return nil
	}
	if err := r.feedback.result(data); err != nil {
		return fmt.Errorf("set result: %w", err)
	}
	return nil
}

// SaveCheckpoint keeps data, at most nightwatch.MaxCheckpoint bytes, for the next attempt of the run, should there be
// one: after a failure, a lost node, a node that stops. Once it returns nil the record has it, in place of the one
// before. It blocks until etcd has answered, and so that no more than ten a second are written.
//
// After an error the next attempt may see data or what was saved before. One that is ErrSessionLost means that the run
// is this session's no longer: another attempt may begin, and the attempt's context has ended or is about to. A handler
// whose context has ended for another reason may save what it has before it returns, by context.WithoutCancel(ctx).
func (r Run) SaveCheckpoint(ctx context.Context, data []byte) error {
	if len(data) > nightwatch.MaxCheckpoint {
		return fmt.Errorf("save checkpoint: %d bytes: at most %d are kept", len(data), nightwatch.MaxCheckpoint)
	}
	if r.feedback == nil {
		return nil
	}
	if err := r.feedback.checkpoint(ctx, bytes.Clone(data)); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// Checkpoint is what was saved last, by this attempt or an earlier one of the run; nil when there is none. An earlier
// attempt may have run another version of the task, or of the program.
func (r Run) Checkpoint() []byte {
	if r.feedback == nil {
		return nil
	}
	return bytes.Clone(r.feedback.saved())
}

// Feedback brings what user code says of its attempt into the run's record.
type Feedback struct {
	a    *Attempt
	save func(ctx context.Context, change func(*nightwatch.Run)) error // the attempt's own
	life context.Context                                               // of the session, until Close
	end  context.CancelCauseFunc
	turn chan struct{} // held by who saves a checkpoint
	mask atomic.Pointer[Mask]

	mu      sync.Mutex
	said    said
	written *nightwatch.Progress // the one of said.progress that the record has
	wrote   time.Time            // when progress was written last
	kept    []byte               // the checkpoint, once this attempt has saved one
	keptAt  time.Time
	pending *time.Timer // set until the write that it starts is over
	writes  sync.WaitGroup
}

// said is what the next write of the record is to say.
type said struct {
	progress *nightwatch.Progress
	result   json.RawMessage
}

func (s said) put(r *nightwatch.Run) {
	if s.progress != nil {
		r.Progress = s.progress
	}
	if s.result != nil {
		r.Result = s.result
	}
}

// Listen gives the methods of a.Run their way into the record until Close: by writes of their own through a.Save, and
// by every other one. life is that of the session. It is called once, before a.Run and a.Save are handed on.
func Listen(life context.Context, a *Attempt) *Feedback {
	f := &Feedback{a: a, save: a.Save, turn: make(chan struct{}, 1)}
	f.life, f.end = context.WithCancelCause(life)
	a.Run.feedback, a.Save = f, f.write
	return f
}

// Close ends it: what is said from now on is not heard, and nothing of it writes any more when Close returns. Fill
// then gives the last word.
func (f *Feedback) Close() {
	f.end(errOver)
	f.mu.Lock()
	if f.pending != nil && f.pending.Stop() {
		f.writes.Done()
	}
	f.mu.Unlock()
	f.writes.Wait()
}

// Fill puts what was said last into a record.
func (f *Feedback) Fill(r *nightwatch.Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said.put(r)
}

// over is why nothing is heard any more, nil while it is.
func (f *Feedback) over() error {
	switch {
	case f.life.Err() == nil:
		return nil
	case errors.Is(context.Cause(f.life), errOver):
		return errOver
	default:
		return ErrSessionLost
	}
}

// write is the attempt's Save, with what was said last.
func (f *Feedback) write(ctx context.Context, change func(*nightwatch.Run)) error {
	f.mu.Lock()
	said := f.said
	f.mu.Unlock()
	err := f.save(ctx, func(r *nightwatch.Run) {
		change(r)
		said.put(r)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && said.progress != f.written {
		f.written, f.wrote = said.progress, time.Now()
	}
	return err
}

func (f *Feedback) progress(fraction float64, message string) {
	message = clip(f.mask.Load().Text(message), maxProgressMessage) // in this order: half a secret is not masked
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.said.progress; f.over() != nil || p != nil && p.Fraction == fraction && p.Message == message {
		return
	}
	f.said.progress = &nightwatch.Progress{Fraction: fraction, Message: message, Time: time.Now().UTC().Truncate(time.Millisecond)}
	if f.pending == nil {
		f.schedule()
	}
}

// schedule has progress written when its time has come. It is called with f.mu held.
func (f *Feedback) schedule() {
	f.writes.Add(1)
	f.pending = time.AfterFunc(max(progressDelay, time.Until(f.wrote.Add(progressEvery))), f.writeProgress)
}

func (f *Feedback) writeProgress() {
	defer f.writes.Done()
	f.mu.Lock()
	due := f.said.progress != f.written
	f.mu.Unlock()
	var err error
	if due {
		err = f.write(f.life, func(*nightwatch.Run) {})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = nil
	// After an error the session is lost or the attempt over: either way nothing is left to do here.
	if err == nil && f.over() == nil && f.said.progress != f.written {
		f.schedule()
	}
}

func (f *Feedback) result(data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.over(); err != nil {
		return err
	}
	f.said.result = f.cleanResult(data)
	return nil
}

func (f *Feedback) saved() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keptAt.IsZero() {
		return f.a.Record.Checkpoint
	}
	return f.kept
}

func (f *Feedback) checkpoint(ctx context.Context, data []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.life, func() { cancel(f.over()) })()
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := sleepUntil(ctx, f.lastKept().Add(checkpointEvery)); err != nil {
		return err
	}
	if over := f.over(); over != nil {
		return over
	}
	err := f.write(ctx, func(r *nightwatch.Run) { r.Checkpoint = data })
	if err != nil {
		if over := f.over(); over != nil {
			return over
		}
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.keptAt = data, time.Now()
	return nil
}

func (f *Feedback) lastKept() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keptAt
}

func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
