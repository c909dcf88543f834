package nightwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// Calendar is the value of a key calendars/<name>, written by users: a set of days that tasks use by name.
type Calendar struct {
	Description string `json:"description,omitempty"`
	// Days are dates ("2026-10-01"), ranges of them ("2026-10-01/2026-10-07"), yearly dates ("--12-25"), and days of
	// the week ("Sat").
	Days []string `json:"days,omitempty"`
	// ICS is the text of an iCalendar file, whose all-day events count.
	ICS string `json:"ics,omitempty"`

	compiled *schedule.Calendar
}

// AcceptedCalendar is the last value of a calendar that was accepted: accepted/_calendars/<name>. It stays in force
// while a newer value is refused.
type AcceptedCalendar struct {
	Revision int64 `json:"revision"`
	// Since is from when on this version says which days count.
	Since    time.Time `json:"since"`
	Calendar Calendar  `json:"calendar"`
}

// CalendarStatus is what the cluster says of a calendar: status/_calendars/<name>.
type CalendarStatus struct {
	Accepted         bool         `json:"accepted"`
	ObservedRevision int64        `json:"observedRevision,omitempty"`
	AcceptedRevision int64        `json:"acceptedRevision,omitempty"`
	Errors           []FieldError `json:"errors,omitempty"`
	// Warnings are what is accepted but may not be what was meant.
	Warnings   []FieldError `json:"warnings,omitempty"`
	UpdateTime time.Time    `json:"updateTime"`
}

// Compiled is the calendar as schedules use it; nil unless it came from ParseCalendar or the store.
func (c *Calendar) Compiled() *schedule.Calendar { return c.compiled }

// Warnings are what is accepted but may not be what was meant, such as events of an iCalendar file that do not count;
// none unless the calendar came from ParseCalendar or the store.
func (c *Calendar) Warnings() []FieldError {
	if c.compiled == nil {
		return nil
	}
	var warnings []FieldError
	for _, w := range c.compiled.Warnings() {
		warnings = append(warnings, FieldError{w.Field, strings.TrimPrefix(w.Error(), w.Field+": ")})
	}
	return warnings
}

// MaxCalendar is the most bytes the value of a calendar may have. The accepted form, in which line ends and control
// characters take more room, may have twice as many, so that it fits a request to etcd.
const MaxCalendar = 512 << 10

// ParseCalendar reads the value of calendars/<name>: JSON, YAML, or the text of an iCalendar file as it is, after a byte
// order mark or not. The error is an InvalidError that names the fields at fault. It never panics, whatever the value.
func ParseCalendar(name string, value []byte) (*Calendar, error) {
	if err := CheckCalendarName(name); err != nil {
		var fault FieldError
		errors.As(err, &fault)
		return nil, InvalidError{fault}
	}
	c, value := new(Calendar), bytes.TrimPrefix(value, byteOrderMark)
	if len(value) <= MaxCalendar && utf8.Valid(value) && bytes.HasPrefix(bytes.TrimSpace(value), []byte("BEGIN:VCALENDAR")) {
		c.ICS = string(value)
	} else if err := decodeValueOf(value, c, MaxCalendar); err != nil {
		return nil, err
	}
	if len(c.Days) == 0 && c.ICS == "" {
		return nil, InvalidError{{"days", "missing: want days, ics or both"}}
	}
	if err := c.compile(); err != nil {
		return nil, err
	}
	if stored, err := Encode(c); err != nil || len(stored) > 2*MaxCalendar {
		return nil, InvalidError{{"ics", fmt.Sprintf("takes %d bytes when it is stored: at most %d are allowed", len(stored), 2*MaxCalendar)}}
	}
	return c, nil
}

// UnmarshalJSON reads a calendar that the system stored, and compiles it again.
func (a *AcceptedCalendar) UnmarshalJSON(data []byte) error {
	type plain AcceptedCalendar
	if err := json.Unmarshal(data, (*plain)(a)); err != nil {
		return err
	}
	return a.Calendar.compile()
}

func (c *Calendar) compile() error {
	compiled, err := schedule.ParseCalendar(c.Days, c.ICS)
	var wrong *schedule.Error
	switch {
	case errors.As(err, &wrong):
		return InvalidError{{wrong.Field, strings.TrimPrefix(wrong.Error(), wrong.Field+": ")}}
	case err != nil:
		return InvalidError{{Reason: err.Error()}}
	}
	c.compiled = compiled
	return nil
}
