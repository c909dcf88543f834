package nightwatch

import (
	"errors"
	"strings"
)

// Errors of the packages that talk to etcd. Test for them with errors.Is.
var (
	// ErrRefused says that a guarded write was not done, because what it was decided on has changed.
	ErrRefused = errors.New("refused: the keys have changed")
	// ErrOutcomeUnknown says that a write may or may not have been done.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrNotFound says that a key is not there.
	ErrNotFound = errors.New("not found")
	// ErrUnknownSchema says that the cluster's keys are of a version this binary does not know.
	ErrUnknownSchema = errors.New("unknown schema version")
)

// FieldError names a field of a value that a user wrote, and what is wrong with it.
type FieldError struct {
	// Field is the path, such as "process.command[2]"; empty when the value as a whole is meant.
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func (e FieldError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

// InvalidError is every fault found in one value.
type InvalidError []FieldError

func (e InvalidError) Error() string {
	parts := make([]string, len(e))
	for i, fault := range e {
		parts[i] = fault.Error()
	}
	return strings.Join(parts, "; ")
}
