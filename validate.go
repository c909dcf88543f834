package nightwatch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// faults collects what is wrong with a value.
type faults []FieldError

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, FieldError{field, fmt.Sprintf(format, args...)})
}

// verdict is the error that tells of the faults: the first of them in the order of their fields, whatever order they
// were found in, and few enough to be written into a key.
func (f faults) verdict() InvalidError {
	slices.SortFunc(f, func(a, b FieldError) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Reason, b.Reason))
	})
	return InvalidError(f[:min(len(f), maxFaults)])
}

// check finds everything that is wrong with a decoded task, given the names in its key.
func (t *Task) check(namespace, name string) faults {
	var f faults
	if t.Name != "" && t.Name != name {
		f.add("name", "%q: the key says %q", clip(t.Name), name)
	}
	if t.Namespace != "" && t.Namespace != namespace {
		f.add("namespace", "%q: the key says %q", clip(t.Namespace), namespace)
	}
	f = append(f, CheckLabels("labels", t.Labels)...)
	t.checkWhat(&f, namespace)
	t.checkWhen(&f)
	if t.Delivery != "" && t.Delivery != AtLeastOnce && t.Delivery != AtMostOnce {
		f.add("delivery", "%q: want at-least-once or at-most-once", clip(t.Delivery))
	}
	t.Retry.check(&f)
	t.checkShards(&f)
	t.checkAfter(&f, namespace, name)
	if t.RunTimeout > 0 && t.RunTimeout < t.Timeout {
		f.add("runTimeout", "%q: want at least timeout, %s", t.RunTimeout, t.Timeout)
	}
	if t.Slots > MaxSlots {
		f.add("slots", "%d: want 1 to %d", t.Slots, MaxSlots)
	}
	if t.Pool != "" && CheckPoolName(t.Pool) != nil {
		f.add("pool", "%q: want lower-case letters, digits and '-', at most %d", clip(t.Pool), MaxNamespaceName)
	}
	if t.Priority < -1000 || t.Priority > 1000 {
		f.add("priority", "%d: want -1000 to 1000", t.Priority)
	}
	for field, limit := range map[string]*int{"succeeded": t.History.Succeeded, "failed": t.History.Failed, "skipped": t.History.Skipped} {
		if limit != nil && (*limit < 0 || *limit > 1000) {
			f.add("history."+field, "%d: want 0 to 1000", *limit)
		}
	}
	for _, fault := range t.compile(namespace + "/" + name) {
		// What does not go together has been said, in terms of a task.
		said := slices.ContainsFunc(f, func(other FieldError) bool { return other.Field == fault.Field })
		if !said && len(t.timedBy()) < 2 {
			f = append(f, fault)
		}
	}
	return f
}

func (t *Task) checkWhat(f *faults, namespace string) {
	var named []string
	for _, runner := range []struct {
		name string
		set  bool
	}{
		{"image", t.Image != ""}, {RunnerKubernetes, t.Kubernetes != nil}, {RunnerProcess, t.Process != nil},
		{RunnerHTTP, t.HTTP != nil}, {RunnerHandler, t.Handler != nil},
	} {
		if runner.set {
			named = append(named, runner.name)
		}
	}
	switch {
	case len(named) == 0 && (len(t.Command) > 0 || len(t.Args) > 0):
		f.add("command", "goes with image; for a process on a node write process.command")
		return
	case len(named) == 0:
		f.add("", "nothing to run: want one of image, kubernetes, process, http, handler")
		return
	case len(named) > 1:
		f.add(named[1], "also %s is set: want one of image, kubernetes, process, http, handler", named[0])
		return
	case named[0] != "image" && (len(t.Command) > 0 || len(t.Args) > 0):
		f.add("command", "command and args at the top go with image; write them under %s", named[0])
	}
	f.checkParams(t.Params)
	switch {
	case t.Process != nil:
		t.Process.check(f)
	case t.HTTP != nil:
		t.HTTP.check(f, t.Timeout > 0 || t.RunTimeout > 0)
	case t.Handler != nil:
		if t.Handler.Name == "" {
			f.add("handler.name", "missing")
		}
	default:
		t.checkKubernetes(f, namespace)
	}
}

// timedBy are the fields that say when the task runs; more than one is a fault.
func (t *Task) timedBy() (named []string) {
	for _, when := range []struct {
		name string
		set  bool
	}{
		{"schedule", len(t.Schedule) > 0}, {"every", t.Every > 0}, {"afterFinish", t.AfterFinish > 0}, {"at", len(t.At) > 0},
		{"after", t.After != nil},
	} {
		if when.set {
			named = append(named, when.name)
		}
	}
	return named
}

func (t *Task) checkWhen(f *faults) {
	named := t.timedBy()
	if len(named) > 1 {
		f.add(named[1], "also %s is set: want one of schedule, every, afterFinish, at, after", named[0])
		return
	}
	when := ""
	if len(named) > 0 {
		when = named[0]
	}
	goes := func(field string, set bool, with ...string) {
		if set && !slices.Contains(with, when) {
			f.add(field, "goes with %s", orList(with))
		}
	}
	const cron, every, afterFinish, at = "schedule", "every", "afterFinish", "at"
	goes("offset", t.Offset > 0, every)
	goes("timeZone", t.TimeZone != "", cron, every, afterFinish, at)
	goes("daylightSaving", t.DaylightSaving != "", cron)
	goes("dayMatch", t.DayMatch != "", cron)
	goes("calendars", len(t.Calendars.Include)+len(t.Calendars.Exclude) > 0 || t.Calendars.OnExcluded != "", cron, every, at)
	goes("startsAt", t.StartsAt != "", cron, every, afterFinish)
	goes("endsAt", t.EndsAt != "", cron, every, afterFinish)
	goes("maxRuns", t.MaxRuns != 0, cron, every, afterFinish)
	goes("jitter", t.Jitter > 0, cron, every)
	goes("catchUp", t.CatchUp != CatchUp{}, cron, every, at)
	t.Calendars.check(f, when)
	t.checkOverlap(f, when)
	switch t.CatchUp.Mode {
	case "", CatchUpNone, CatchUpLatest, CatchUpAll:
	default:
		f.add("catchUp.mode", "%q: want none, latest or all", clip(t.CatchUp.Mode))
	}
	if t.CatchUp.Max > 1000 {
		f.add("catchUp.max", "%d: want 1 to 1000", t.CatchUp.Max)
	}
}

func (t *Task) checkOverlap(f *faults, when string) {
	switch t.Overlap {
	case "", OverlapAllow:
	case OverlapQueueOne, OverlapQueueAll, OverlapReplace:
		if when == "afterFinish" {
			f.add("overlap", "%q: with afterFinish no occurrence comes while a run is live", clip(t.Overlap))
		}
	case OverlapSkip:
		if when == "" {
			f.add("overlap", "%q: a task without times of its own wants queue-one, queue-all, replace or allow", clip(t.Overlap))
		}
	default:
		f.add("overlap", "%q: want skip, queue-one, queue-all, replace or allow", clip(t.Overlap))
	}
}

// maxCalendars bounds how many calendars a task may use.
const maxCalendars = 16

func (c CalendarUse) check(f *faults, when string) {
	for field, names := range map[string][]string{"include": c.Include, "exclude": c.Exclude} {
		for i, name := range names {
			if CheckCalendarName(name) != nil {
				f.add(fmt.Sprintf("calendars.%s[%d]", field, i), "%q: want the name of a calendar: lower-case letters, digits and '-'", clip(name))
			}
		}
	}
	if n := len(c.Names()); n > maxCalendars {
		f.add("calendars", "%d calendars: want at most %d", n, maxCalendars)
	}
	switch c.OnExcluded {
	case "", schedule.Skip:
	case schedule.NextIncluded, schedule.PreviousIncluded:
		if when == "every" {
			f.add("calendars.onExcluded", "%q: goes with schedule or at; an interval on a day that is not included is skipped", c.OnExcluded)
		}
	default:
		f.add("calendars.onExcluded", "%q: want skip, next-included or previous-included", clip(c.OnExcluded))
	}
	if c.OnExcluded != "" && len(c.Names()) == 0 {
		f.add("calendars.onExcluded", "%q: goes with include or exclude", clip(c.OnExcluded))
	}
}

// orList is "a", "a or b", "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func (f *faults) checkEnv(field string, env map[string]TextOrFile) {
	for name, value := range env {
		if f.checkEnvName(field, name) {
			f.noNUL(field+"."+clip(name), value.Text)
		}
	}
}

// checkEnvName says whether a name can be that of a variable, if only of the system's own.
func (f *faults) checkEnvName(field, name string) bool {
	if !envName.MatchString(name) {
		f.add(field, "%q: not a variable's name", clip(name))
		return false
	}
	f.notOurs(field+"."+clip(name), name)
	return true
}

func (f *faults) notOurs(field, name string) {
	if strings.HasPrefix(name, "NIGHTWATCH_") {
		f.add(field, "NIGHTWATCH_ names are set by the system")
	}
}

func (f *faults) checkParams(params map[string]json.RawMessage) {
	for name := range params {
		if !envName.MatchString(name) {
			f.add("params", "%q: want letters, digits, '_', '-' and '.', with a letter or '_' first", clip(name))
		}
	}
}

func (f *faults) noNUL(field, text string) {
	if strings.ContainsRune(text, 0) {
		f.add(field, "has a NUL byte")
	}
}
