package ledger

import (
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

// Answer says why something is as it is.
type Answer struct {
	Task     string    `json:"task"`
	Revision int64     `json:"revision"`
	Now      time.Time `json:"now"`
	// At is the nominal time that was asked about, or that the time asked about was taken for.
	At time.Time `json:"at,omitzero"`
	// Headline is the answer in a sentence, Details are further ones.
	Headline string   `json:"headline"`
	Details  []string `json:"details,omitempty"`
	// Expected tells that the schedule in force has At among its times, and was in force then.
	Expected bool `json:"expected"`
	// Run and Range are what tells of At; without At, Run is the live run that the headline is about.
	Run   *nightwatch.Run         `json:"run,omitempty"`
	Range *nightwatch.LedgerRange `json:"range,omitempty"`
	// Reason is one of the root package's reason words, or one of the words below.
	Reason string `json:"reason,omitempty"`
}

// Words of Answer.Reason beside the root package's.
const (
	NotInSchedule    = "NotInSchedule"    // the schedule has no such time
	NotACalendarDay  = "NotACalendarDay"  // it would have, but for calendars
	BeforeTask       = "BeforeTask"       // the task did not exist
	BeforeLedger     = "BeforeLedger"     // there are totals only of that time
	EarlierVersion   = "EarlierVersion"   // another version was in force
	InTheFuture      = "InTheFuture"      // it has yet to come
	NotDecided       = "NotDecided"       // it is due
	Unaccounted      = "Unaccounted"      // nothing tells of it: a fault
	MaxRunsReached   = "MaxRunsReached"   // the task has had all its runs
	NoTimesLeft      = "NoTimesLeft"      // the schedule has no further times
	NoSchedule       = "NoSchedule"       // the task has no times of its own
	NeverAccepted    = "NeverAccepted"    // no version was ever good
	NotLookedAt      = "NotLookedAt"      // the scheduler has not seen the task or its newest value yet
	WaitsForTheClock = "WaitsForTheClock" // the next time has not come
)

// Why says what became of the nominal time at, or, when at is zero, what the task is doing and waiting for. A time of
// whole minutes or seconds also means the one nominal time within that minute or second, when there is no exact one.
func Why(a Account, at time.Time) Answer {
	y := newInquiry(a)
	if at.IsZero() {
		y.tellNow()
	} else {
		y.tellTime(at)
	}
	return y.answer
}

// inquiry is an answer in the making.
type inquiry struct {
	a       Account
	times   *schedule.Schedule // nil: the task has none of its own, or nobody can say
	missing []string           // calendars
	clock   clock
	answer  Answer
}

func newInquiry(a Account) *inquiry {
	a = a.ofRuns()
	y := &inquiry{a: a, clock: clock{time.UTC}}
	y.answer = Answer{Task: a.Task, Revision: a.Revision, Now: a.Now}
	y.times, y.missing = a.Times()
	if a.Accepted != nil {
		if zone, err := time.LoadLocation(a.Accepted.Task.TimeZone); err == nil {
			y.clock.zone = zone
		}
	}
	return y
}

func (y *inquiry) say(reason, format string, args ...any) {
	y.answer.Reason, y.answer.Headline = reason, fmt.Sprintf(format, args...)
}

func (y *inquiry) detail(format string, args ...any) {
	y.answer.Details = append(y.answer.Details, fmt.Sprintf(format, args...))
}
