package schedule

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxErrorValue bounds what an Error repeats of a user's input, in bytes.
const maxErrorValue = 80

// Error says which part of a Spec is refused, or warned about, and why. Parse returns no other.
type Error struct {
	Field  string // of a task, such as "schedule", "schedule[1]" in a list, "at[3]", "every" or "timeZone"
	Value  string // what the user wrote there, cut when long; may be empty
	Reason string // what is wrong and what would be right
}

// Error reads like `schedule: "61 * * * *": minute 61 is over 59`.
func (e *Error) Error() string {
	if e.Value == "" {
		return e.Field + ": " + e.Reason
	}
	return e.Field + ": " + strconv.Quote(e.Value) + ": " + e.Reason
}

// refuse makes an Error whose value is cut to a length fit to be shown.
func refuse(field, value, format string, args ...any) *Error {
	return &Error{Field: field, Value: cut(value), Reason: fmt.Sprintf(format, args...)}
}

// cut shortens s to maxErrorValue bytes without splitting a character.
func cut(s string) string {
	if len(s) <= maxErrorValue {
		return s
	}
	end := maxErrorValue
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
