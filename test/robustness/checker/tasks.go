package checker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// task is one life of a task: from the put that created its key.
type task struct {
	name     string // <namespace>/<task>
	uid      int64
	versions []accepted
	statuses []status
	ledgers  []ledger
	runs     []*run
	// deleted is the revision at which the user deleted the key, cleared the one at which the status went; 0 never.
	deleted, cleared int64
	canceled         bool // somebody asked for that, of one of its runs
}

// accepted is a version of a task that was in force from a revision on.
type accepted struct {
	from     int64
	Revision int64     `json:"revision"`
	UID      int64     `json:"uid"`
	Since    time.Time `json:"since"`
	Task     spec      `json:"task"`
}

// spec is what the checker reads of a task.
type spec struct {
	Schedule       list            `json:"schedule"`
	Every          duration        `json:"every"`
	Offset         duration        `json:"offset"`
	AfterFinish    duration        `json:"afterFinish"`
	At             list            `json:"at"`
	TimeZone       string          `json:"timeZone"`
	DaylightSaving string          `json:"daylightSaving"`
	DayMatch       string          `json:"dayMatch"`
	Calendars      json.RawMessage `json:"calendars"`
	StartsAt       string          `json:"startsAt"`
	EndsAt         string          `json:"endsAt"`
	Jitter         duration        `json:"jitter"`
	Suspend        bool            `json:"suspend"`
	Overlap        string          `json:"overlap"`
	Delivery       string          `json:"delivery"`
	MaxRuns        int64           `json:"maxRuns"`
	StartWithin    duration        `json:"startWithin"`
	Image          string          `json:"image"`
	CatchUp        struct {
		Mode string `json:"mode"`
	} `json:"catchUp"`
	Retry struct {
		Attempts int      `json:"attempts"`
		Backoff  duration `json:"backoff"`
	} `json:"retry"`
	// Labels.Fails is there when what the task does is to fail.
	Labels struct {
		Fails string `json:"fails"`
	} `json:"labels"`
	History struct {
		Succeeded *int `json:"succeeded"`
		Failed    *int `json:"failed"`
		Skipped   *int `json:"skipped"`
	} `json:"history"`
}

// status is what a task's status said from a revision on.
type status struct {
	at               int64
	UID              int64     `json:"uid"`
	ObservedRevision int64     `json:"observedRevision"`
	Cursor           time.Time `json:"cursor"`
	ActiveCount      int       `json:"activeCount"`
	Counts           counts    `json:"counts"`
}

type counts struct {
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Canceled  int64 `json:"canceled"`
	Skipped   int64 `json:"skipped"`
	Missed    int64 `json:"missed"`
}

func (c *counts) add(phase string, n int64) {
	switch phase {
	case "Succeeded":
		c.Succeeded += n
	case "Failed":
		c.Failed += n
	case "Canceled":
		c.Canceled += n
	case "Skipped":
		c.Skipped += n
	case "Missed":
		c.Missed += n
	}
}

// ledger is what a task's ledger said from a revision on.
type ledger struct {
	at     int64
	Since  time.Time   `json:"since"`
	Ranges []timeRange `json:"ranges"`
	Totals counts      `json:"totals"`
}

// timeRange is small: there are a hundred in every revision of a ledger.
type timeRange struct {
	from, to int64 // in milliseconds since 1970: no time is finer
	count    int32
	outcome  uint8 // index into outcomes
}

// outcomes are those of ranges.
var outcomes = []string{"", "Succeeded", "Failed", "Canceled", "Skipped", "Missed"}

func (r *timeRange) UnmarshalJSON(data []byte) error {
	var text struct {
		From    time.Time `json:"from"`
		To      time.Time `json:"to"`
		Count   int32     `json:"count"`
		Outcome string    `json:"outcome"`
	}
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	outcome := slices.Index(outcomes, text.Outcome)
	if outcome < 0 {
		return fmt.Errorf("outcome %q", text.Outcome)
	}
	*r = timeRange{text.From.UnixMilli(), text.To.UnixMilli(), text.Count, uint8(outcome)}
	return nil
}

func (r timeRange) first() time.Time { return time.UnixMilli(r.from) }
func (r timeRange) last() time.Time  { return time.UnixMilli(r.to) }

// ranges is how many ranges tell of a time.
func (l *ledger) ranges(at time.Time) int {
	n := 0
	for _, r := range l.Ranges {
		if r.tells(at) {
			n++
		}
	}
	return n
}

func (r timeRange) tells(of time.Time) bool {
	return r.from <= of.UnixMilli() && of.UnixMilli() <= r.to
}

// list is a string or several.
type list []string

func (l *list) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// duration is written as Go does, with days before the rest.
type duration time.Duration

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	n, err := strconv.Atoi(days)
	if err != nil {
		return err
	}
	total := time.Duration(n) * 24 * time.Hour
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		total += more
	}
	*d = duration(total)
	return nil
}

// times are when the task is due, nil if it has no times of its own or nobody outside can say: with calendars, or
// after its last run.
func (s *spec) times(name string) *schedule.Schedule {
	if len(s.Schedule) == 0 && s.Every == 0 && len(s.At) == 0 || len(s.Calendars) > 0 && string(s.Calendars) != "{}" {
		return nil
	}
	times, err := schedule.Parse(schedule.Spec{
		Expressions: s.Schedule, Every: time.Duration(s.Every), Offset: time.Duration(s.Offset), At: s.At, TimeZone: s.TimeZone,
		DaylightSaving: s.DaylightSaving, DayMatch: s.DayMatch, StartsAt: s.StartsAt, EndsAt: s.EndsAt, Jitter: time.Duration(s.Jitter), Key: name,
	})
	if err != nil {
		return nil
	}
	return times
}

// skips tells whether no run of the task may begin while another is live.
func (s *spec) skips() bool {
	recurring := len(s.Schedule) > 0 || s.Every != 0 || len(s.At) > 0 || s.AfterFinish != 0
	return s.Overlap == "skip" || s.Overlap == "" && recurring
}

// addTask sorts what there is about tasks by their lives.
func (x *Index) addTask(kind, name string, c Change) {
	t := x.newest[name]
	if c.Deleted {
		delete(x.kept, c.Key)
	} else if !strings.HasPrefix(name, "_") {
		x.kept[c.Key] = true
	}
	switch kind {
	case "tasks":
		if c.Deleted {
			x.gone[name] = c.Revision
			if t != nil && t.deleted == 0 {
				t.deleted = c.Revision
			}
		}
	case "accepted":
		var a accepted
		if c.Deleted || strings.HasPrefix(name, "_") {
			return
		}
		if json.Unmarshal(c.Value, &a) != nil {
			x.unreadable = append(x.unreadable, c)
			return
		}
		if t == nil || t.uid != a.UID {
			t = &task{name: name, uid: a.UID}
			x.newest[name] = t
			x.tasks = append(x.tasks, t)
		}
		a.from = c.Revision
		t.versions = append(t.versions, a)
	case "status":
		x.addStatus(t, name, c)
	case "ledger":
		l := ledger{at: c.Revision}
		if t == nil || c.Deleted {
			return
		}
		if json.Unmarshal(c.Value, &l) != nil {
			x.unreadable = append(x.unreadable, c)
		} else {
			l.Ranges = slices.Clone(l.Ranges) // without room for more
			t.ledgers = append(t.ledgers, l)
		}
	}
}

func (x *Index) addStatus(t *task, name string, c Change) {
	if c.Deleted {
		if t != nil {
			t.cleared = c.Revision
		}
		return
	}
	s := status{at: c.Revision}
	if json.Unmarshal(c.Value, &s) != nil {
		x.unreadable = append(x.unreadable, c)
		return
	}
	x.observed[name] = max(x.observed[name], s.ObservedRevision)
	if t != nil && s.UID == t.uid {
		t.statuses = append(t.statuses, s)
	}
}

// addRuns gives the runs to the lives of their tasks.
func (x *Index) addRuns() {
	type life struct {
		name string
		uid  int64
	}
	lives := map[life]*task{}
	for _, t := range x.tasks {
		lives[life{t.name, t.uid}] = t
	}
	for _, r := range x.runs {
		if t := lives[life{r.first().Task, r.first().TaskUID}]; t != nil {
			t.runs = append(t.runs, r)
		}
	}
}

// version is the one in force at a revision, nil if there was none.
func (t *task) version(revision int64) *accepted {
	var found *accepted
	for i := range t.versions {
		if t.versions[i].from <= revision {
			found = &t.versions[i]
		}
	}
	return found
}

// due calls do with the times of each version that count, from the first on and up to a time. It is false when nobody
// outside can say.
func (t *task) due(from, to time.Time, do func(at time.Time, v *accepted)) bool {
	for i := range t.versions {
		v := &t.versions[i]
		begin, end := v.Since, to
		if i+1 < len(t.versions) && t.versions[i+1].Since.Before(end) {
			end = t.versions[i+1].Since
		}
		if from.After(begin) {
			begin = from
		}
		if !begin.Before(end) {
			continue
		}
		times := v.Task.times(t.name)
		if times == nil {
			return false
		}
		for at, ok := times.Next(begin); ok && !at.After(end); at, ok = times.Next(at) {
			do(at, v)
		}
	}
	return len(t.versions) > 0
}

// last is the status as it was in the end, nil if there was none.
func (t *task) last() *status {
	if len(t.statuses) == 0 {
		return nil
	}
	return &t.statuses[len(t.statuses)-1]
}

// ledger is the one at a revision.
func (t *task) ledger(revision int64) *ledger {
	i, _ := slices.BinarySearchFunc(t.ledgers, revision, func(l ledger, at int64) int {
		if l.at <= at {
			return -1
		}
		return 1
	})
	if i == 0 {
		return &ledger{}
	}
	return &t.ledgers[i-1]
}
