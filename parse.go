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
	namespace, name, err := ParseTaskName(key)
	if err != nil {
		var fault FieldError
		errors.As(err, &fault)
		return nil, InvalidError{fault}
	}
	t := new(Task)
	if err := decodeValueOf(value, t); err != nil {
		return nil, err
	}
	if faults := t.check(namespace, name); len(faults) > 0 {
		return nil, faults.verdict()
	}
	return t, nil
}

// ParseTaskFile reads a task that carries its own name, as a file does. The namespace falls back to the one given.
func ParseTaskFile(value []byte, namespace string) (key string, task *Task, err error) {
	t := new(Task)
	if err := decodeValueOf(value, t); err != nil {
		return "", nil, err
	}
	if t.Name == "" {
		return "", nil, InvalidError{{"name", "missing: a task in a file needs its name"}}
	}
	if t.Namespace != "" {
		namespace = t.Namespace
	}
	key = namespace + "/" + t.Name
	task, err = ParseTask(key, value)
	return key, task, err
}

// ParseRequest reads the value of a request key.
func ParseRequest(value []byte) (*Request, error) {
	r := new(Request)
	if err := decodeValueOf(value, r); err != nil {
		return nil, err
	}
	var faults faults
	switch r.Action {
	case ActionRun, ActionCancel:
	case "":
		faults.add("action", "missing: want run or cancel")
	default:
		faults.add("action", "%q: want run or cancel", clip(r.Action))
	}
	if r.Run != "" && !ValidRunID(r.Run) {
		faults.add("run", "%q: want the id of a run", clip(r.Run))
	}
	if r.Action == ActionRun && r.Run != "" {
		faults.add("run", "%q: goes with cancel; the run that this request makes is named by the request's id", clip(r.Run))
	}
	switch r.Overlap {
	case "", OverlapSkip, OverlapQueueAll, OverlapAllow:
	default:
		faults.add("overlap", "%q: want skip, queue-all or allow", clip(r.Overlap))
	}
	faults.checkParams(r.Params)
	if len(faults) > 0 {
		return nil, faults.verdict()
	}
	return r, nil
}

// ParseFreeze reads the value of a freeze key. A freeze holds whatever its value says; only its end is read from it.
func ParseFreeze(value []byte) (Freeze, error) {
	var f Freeze
	if len(value) == 0 {
		return f, nil
	}
	err := decodeValueOf(value, &f)
	return f, err
}

func decodeValueOf(value []byte, dst any) (err error) {
	// A value is a stranger's input. Should a parser below us have a bug, the price is a refused value, not a node.
	defer func() {
		if p := recover(); p != nil {
			err = InvalidError{{Reason: "cannot be read: " + clip(fmt.Sprint(p))}}
		}
	}()
	if len(value) > MaxValue {
		return InvalidError{{Reason: fmt.Sprintf("value has %d bytes: at most %d are allowed", len(value), MaxValue)}}
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
	if faults := a.Task.compile(); len(faults) > 0 {
		return InvalidError(faults)
	}
	return nil
}

// compile makes what the scheduler looks at often.
func (t *Task) compile() []FieldError {
	var faults faults
	if t.Recurring() {
		compiled, err := schedule.Parse(schedule.Spec{
			Expressions: t.Schedule,
			Every:       time.Duration(t.Every),
			Offset:      time.Duration(t.Offset),
			TimeZone:    t.TimeZone,
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
	selector, err := ParseSelector(t.RunsOn)
	if err != nil {
		faults.add("runsOn", "%v", err)
	}
	t.selector = selector
	return faults
}
