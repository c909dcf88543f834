package nightwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// MaxValue is the most bytes a value that a user writes may have.
const MaxValue = 64 << 10

// ParseTask reads the value of tasks/<key>, where key is "<namespace>/<task>": JSON, or YAML. The error is an
// InvalidError that names the fields at fault, ten at most. It never panics, whatever the value.
func ParseTask(key string, value []byte) (*Task, error) {
	if _, _, err := ParseTaskName(key); err != nil {
		return nil, invalidName(err)
	}
	t := new(Task)
	if err := decodeValueOf(value, t, MaxValue); err != nil {
		return nil, err
	}
	return t.under(key)
}

// under is the task as it stands under a key, checked.
func (t *Task) under(key string) (*Task, error) {
	namespace, name, err := ParseTaskName(key)
	if err != nil {
		return nil, invalidName(err)
	}
	if faults := t.check(namespace, name); len(faults) > 0 {
		return nil, faults.verdict()
	}
	return t, nil
}

func invalidName(err error) error {
	var fault FieldError
	errors.As(err, &fault)
	return InvalidError{fault}
}

// ParseTaskFile reads a task that carries its own name, as a file does. The namespace falls back to the one given.
func ParseTaskFile(value []byte, namespace string) (key string, task *Task, err error) {
	t := new(Task)
	if err := decodeValueOf(value, t, MaxValue); err != nil {
		return "", nil, err
	}
	if t.Name == "" {
		return "", nil, InvalidError{{"name", "missing: a task in a file needs its name"}}
	}
	if t.Namespace != "" {
		namespace = t.Namespace
	}
	if strings.Contains(t.Name, "/") {
		return "", nil, InvalidError{{"name", fmt.Sprintf("%q: want the task's name alone; the namespace has a field of its own", clip(t.Name))}}
	}
	key = namespace + "/" + t.Name
	task, err = t.under(key)
	return key, task, err
}

// ParseRequest reads the value of a request key.
func ParseRequest(value []byte) (*Request, error) {
	r := new(Request)
	if err := decodeValueOf(value, r, MaxValue); err != nil {
		return nil, err
	}
	var faults faults
	switch r.Action {
	case ActionRun, ActionCancel, ActionBackfill, ActionRetry, ActionDrop:
	case "":
		faults.add("action", "missing: want run, cancel, backfill, retry or drop")
	default:
		faults.add("action", "%q: want run, cancel, backfill, retry or drop", clip(r.Action))
	}
	r.checkBackfill(&faults)
	if r.Run != "" && !ValidRunID(r.Run) {
		faults.add("run", "%q: want the id of a run", clip(r.Run))
	}
	if r.Run != "" && (r.Action == ActionRun || r.Action == ActionBackfill) {
		faults.add("run", "%q: goes with cancel, retry and drop; the run that this request makes is named by the request's id", clip(r.Run))
	}
	switch {
	case r.Shards != "" && r.Action != ActionRetry && r.Action != ActionCancel:
		faults.add("shards", "goes with retry and cancel")
	case r.Shards == FailedShards && r.Action == ActionCancel:
		faults.add("shards", "%q: goes with retry; name the shards to cancel by their numbers, such as [1,3]", r.Shards)
	}
	switch r.Overlap {
	case "", OverlapSkip, OverlapQueueOne, OverlapQueueAll, OverlapReplace, OverlapAllow:
	default:
		faults.add("overlap", "%q: want skip, queue-one, queue-all, replace or allow", clip(r.Overlap))
	}
	if len(r.By) > maxBy {
		faults.add("by", "%d bytes: want at most %d", len(r.By), maxBy)
	}
	if len(r.Note) > maxNote {
		faults.add("note", "%d bytes: want at most %d", len(r.Note), maxNote)
	}
	faults.checkParams(r.Params)
	if len(faults) > 0 {
		return nil, faults.verdict()
	}
	return r, nil
}

// Who and why stand in the status, and in the record of every run that they are about.
const (
	maxBy   = 256
	maxNote = 1024
)

// maxParallel is the most runs of a backfill that may be asked for at once.
const maxParallel = 100

func (r *Request) checkBackfill(faults *faults) {
	if r.Action != ActionBackfill {
		for field, set := range map[string]bool{
			"from": !r.From.IsZero(), "to": !r.To.IsZero(), "maxParallel": r.MaxParallel != 0, "dryRun": r.DryRun,
		} {
			if set {
				faults.add(field, "goes with backfill")
			}
		}
		return
	}
	switch {
	case r.From.IsZero():
		faults.add("from", "missing: want the first nominal time, such as \"2026-11-01T00:00:00Z\"")
	case r.To.IsZero():
		faults.add("to", "missing: want the end, such as \"2026-11-02T00:00:00Z\", which is not part of the backfill")
	case !r.From.Before(r.To):
		faults.add("to", "%s is not after from", r.To.Format(time.RFC3339))
	}
	if r.MaxParallel < 0 || r.MaxParallel > maxParallel {
		faults.add("maxParallel", "%d: want 1 to %d", r.MaxParallel, maxParallel)
	}
	switch r.Overlap {
	case "", OverlapAllow:
	default:
		faults.add("overlap", "%q: a backfill obeys the task's own, or wants allow", clip(r.Overlap))
	}
}

// ParseFreeze reads the value of a freeze key. A freeze holds whatever its value says; a By or Note that is very long
// is cut.
func ParseFreeze(value []byte) (Freeze, error) {
	var f Freeze
	if len(value) == 0 {
		return f, nil
	}
	err := decodeValueOf(value, &f, MaxValue)
	f.By, f.Note = clipTo(f.By, maxBy), clipTo(f.Note, maxNote)
	return f, err
}

func decodeValueOf(value []byte, dst any, most int) (err error) {
	// A value is a stranger's input. Should a parser below us have a bug, the price is a refused value, not a node.
	defer func() {
		if p := recover(); p != nil {
			err = InvalidError{{Reason: "cannot be read: " + clip(fmt.Sprint(p))}}
		}
	}()
	if len(value) > most {
		return InvalidError{{Reason: fmt.Sprintf("value has %d bytes: at most %d are allowed", len(value), most)}}
	}
	if !utf8.Valid(value) {
		return InvalidError{{Reason: "value is not valid UTF-8"}}
	}
	data, err := toJSON(value)
	if err != nil {
		return InvalidError{{Reason: err.Error()}}
	}
	return decodeStrict(data, dst)
}

// UnmarshalJSON reads a task that the system stored, and compiles it again. Fields of a newer version are ignored.
func (a *Accepted) UnmarshalJSON(data []byte) error {
	type plain Accepted
	if err := json.Unmarshal(data, (*plain)(a)); err != nil {
		return err
	}
	if faults := a.Task.compile(a.Key); len(faults) > 0 {
		return InvalidError(faults)
	}
	return nil
}

// compile makes what the scheduler looks at often.
func (t *Task) compile(key string) []FieldError {
	var faults faults
	if t.Recurring() {
		compiled, err := schedule.Parse(schedule.Spec{
			Expressions:    t.Schedule,
			Every:          time.Duration(t.Every),
			Offset:         time.Duration(t.Offset),
			At:             t.At,
			AfterFinish:    time.Duration(t.AfterFinish),
			TimeZone:       t.TimeZone,
			DaylightSaving: t.DaylightSaving,
			DayMatch:       t.DayMatch,
			StartsAt:       t.StartsAt,
			EndsAt:         t.EndsAt,
			Jitter:         time.Duration(t.Jitter),
			Key:            key,
		})
		var wrong *schedule.Error
		switch {
		case errors.As(err, &wrong):
			faults.add(wrong.Field, "%s", strings.TrimPrefix(wrong.Error(), wrong.Field+": "))
		case err != nil:
			faults.add("schedule", "%v", err)
		}
		t.compiled = compiled
	}
	if t.After != nil {
		namespace, _, _ := strings.Cut(key, "/")
		t.upstreams = nil
		for _, item := range t.After.Tasks {
			t.upstreams = append(t.upstreams, upstreamName(namespace, item))
		}
	}
	selector, err := ParseSelector(t.RunsOn)
	if err != nil {
		faults.add("runsOn", "%v", err)
	}
	t.selector = selector
	if t.Kubernetes != nil {
		if t.clusters, err = ParseSelector(t.Kubernetes.ClusterSelector); err != nil {
			faults.add("kubernetes.clusterSelector", "%v", err)
		}
	}
	return faults
}
