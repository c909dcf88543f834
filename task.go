package nightwatch

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// Task is what a user wants run, and when: the value of a key tasks/<namespace>/<task>, written by users only.
// ParseTask reads and checks one; the zero value of every field is its default.
type Task struct {
	// Name and Namespace are optional in a key's value; when given they equal the key's. A file needs the name.
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Owner, Description, Labels and Annotations are kept as given, and copied to Jobs and pods under nightwatch.dev/.
	Owner       string            `json:"owner,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`

	// Image, Command and Args are short for Kubernetes with these fields and no other.
	Image   string   `json:"image,omitempty"`
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
	// Kubernetes, Process, HTTP and Handler say what runs: exactly one of them, or Image.
	Kubernetes *KubernetesSpec `json:"kubernetes,omitempty"`
	Process    *ProcessSpec    `json:"process,omitempty"`
	HTTP       *HTTPSpec       `json:"http,omitempty"`
	Handler    *HandlerSpec    `json:"handler,omitempty"`
	// Params are any JSON by name, and reach the run whatever runs it: environment, request, handler argument. Those of a
	// request that asks for a run are laid over them.
	Params map[string]json.RawMessage `json:"params,omitempty"`

	// Schedule is one cron expression or a list of them, whose union counts. Without Schedule, Every, AfterFinish and
	// At, of which there is one at most, the task runs once for each time it is put, or as After says.
	Schedule Strings `json:"schedule,omitempty"`
	// Every is an interval anchored to the Unix epoch plus Offset, which is less, and never to the start of a process.
	Every  Duration `json:"every,omitempty"`
	Offset Duration `json:"offset,omitempty"`
	// AfterFinish is how long after the end of its last run the task is due again; the first time is when it is put.
	AfterFinish Duration `json:"afterFinish,omitempty"`
	// At is one instant or a list of them: RFC 3339, or without an offset as the clock of TimeZone shows it.
	At Strings `json:"at,omitempty"`
	// After has the task follow runs of others, in place of times of its own.
	After *After `json:"after,omitempty"`
	// TimeZone is the IANA name of the zone that Schedule, instants without an offset and the days of Calendars are
	// read in. Default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// DaylightSaving says what becomes of fixed times when the clock changes: schedule.Once (default), schedule.Skip
	// or schedule.Both.
	DaylightSaving string `json:"daylightSaving,omitempty"`
	// DayMatch is schedule.Or (default) or schedule.And: what a day must match of an expression that restricts both
	// day of month and day of week.
	DayMatch string `json:"dayMatch,omitempty"`
	// Calendars name the keys calendars/<name> that say on which days the task's times count.
	Calendars CalendarUse `json:"calendars,omitzero"`
	// StartsAt and EndsAt bound the times of the task, written as At is: none before the first, none at or after the
	// second.
	StartsAt string `json:"startsAt,omitempty"`
	EndsAt   string `json:"endsAt,omitempty"`
	// MaxRuns is after how many runs the task has no further times; occurrences that never started and requested runs
	// do not count. Default no limit.
	MaxRuns Count `json:"maxRuns,omitempty"`
	// Jitter delays each start by less than this, by a hash of the task's name and the time, and never to or beyond
	// the next time. Default none.
	Jitter Duration `json:"jitter,omitempty"`
	// Suspend stops new occurrences while it is true; time spent suspended is not missed time.
	Suspend bool `json:"suspend,omitempty"`
	// Overlap says what a new occurrence does while a run of the task is live: OverlapSkip, OverlapQueueOne,
	// OverlapQueueAll, OverlapReplace or OverlapAllow. Default OverlapSkip, or OverlapQueueAll for a task without times
	// of its own.
	Overlap string `json:"overlap,omitempty"`
	// CatchUp says what becomes of occurrences that nobody was there to start.
	CatchUp CatchUp `json:"catchUp,omitzero"`
	// StartWithin is how long after it was due a run may still start for the first time; later it is missed. Default
	// no limit.
	StartWithin Duration `json:"startWithin,omitempty"`

	// Timeout bounds one attempt. Default none.
	Timeout Duration `json:"timeout,omitempty"`
	// RunTimeout bounds a run as a whole, from its creation: all its attempts, and what it waits for. Default none.
	RunTimeout Duration `json:"runTimeout,omitempty"`
	// Retry says what follows an attempt that failed. Default nothing.
	Retry Retry `json:"retry,omitzero"`
	// Delivery says what follows when a node dies in mid-run: AtLeastOnce (default) or AtMostOnce. A Kubernetes Job
	// is adopted by another node either way.
	Delivery string `json:"delivery,omitempty"`
	// Shards splits each run into parts that are told their number: one Indexed Job on Kubernetes, elsewhere one run for
	// each, spread over the nodes. Default none, or as many as there are ShardParams.
	Shards Shards `json:"shards,omitempty"`
	// ShardParams are one value of JSON for each shard.
	ShardParams ShardParams `json:"shardParams,omitempty"`
	// RunsOn selects nodes by their labels, in kubectl's grammar: "zone=a, arch in (amd64,arm64), !gpu".
	RunsOn string `json:"runsOn,omitempty"`
	// Slots is how many places a run of the task takes on its node; 1 to 1000. Default 1.
	Slots Count `json:"slots,omitempty"`
	// Pool names the key pools/<name> that bounds how many runs are live at once across the tasks that name it. Default
	// none.
	Pool string `json:"pool,omitempty"`
	// Priority orders waiting runs, higher first; −1000 to 1000. Default 0.
	Priority int `json:"priority,omitempty"`
	// History bounds the run records that are kept whole; older ones become ranges of the ledger.
	History History `json:"history,omitzero"`

	compiled  *schedule.Schedule
	selector  Selector
	clusters  Selector
	upstreams []string
}

// ProcessSpec is an operating-system process on a node that has the process runner turned on.
type ProcessSpec struct {
	// Command is the argument vector; Shell is a script for the node's shell (/bin/sh) -c, Python one for its python3 -c.
	// Exactly one.
	Command []string `json:"command,omitempty"`
	Shell   string   `json:"shell,omitempty"`
	Python  string   `json:"python,omitempty"`
	// Dir is the absolute working directory; default the node's.
	Dir string `json:"dir,omitempty"`
	// Env are variables by name, besides those of the node's environment and NIGHTWATCH_ ones: values, or secrets that
	// the node has.
	Env map[string]TextOrFile `json:"env,omitempty"`
	// Stdin is what it reads from its standard input. Default nothing.
	Stdin string `json:"stdin,omitempty"`
	// User and Group are whom it runs as, by name or number. Default the node's user, and the user's own group. Group
	// is one that the user is in.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	// Umask is the file mode creation mask in octal: "0027". Default the node's.
	Umask string `json:"umask,omitempty"`
	// Limits bound what it and all that it starts use together.
	Limits ProcessLimits `json:"limits,omitzero"`
}

// ProcessLimits bound what a process and all that it starts use together. A limit that a node cannot keep has it
// refuse the attempt.
type ProcessLimits struct {
	// Memory is in bytes, with the suffixes that Kubernetes has: "512Mi"; 1Mi to 1024Ti.
	Memory string `json:"memory,omitempty"`
	// CPU is in processors, as Kubernetes has them: "0.5" or "500m"; 0.01 to 1000.
	CPU string `json:"cpu,omitempty"`
	// Pids is a number of processes and threads, 1 to 4194304.
	Pids int `json:"pids,omitempty"`
}

// HTTPSpec is one HTTP request, and those that ask how it is going. URL, the values of Headers, and Body may be templates:
// see HTTPValues.
type HTTPSpec struct {
	// Method is in capital letters. Default GET, or POST when there is a body.
	Method string `json:"method,omitempty"`
	// URL is http:// or https://. What follows the host may be a template.
	URL string `json:"url,omitempty"`
	// Headers are values by name, which may be templates, or secrets that the node has.
	Headers map[string]TextOrFile `json:"headers,omitempty"`
	// Body is what is sent; it may be a template.
	Body string `json:"body,omitempty"`
	// Success lists status codes and ranges ("200-299") that mean success; default 200-299.
	Success []string `json:"success,omitempty"`
	// TLS is how the server of an https:// URL is known.
	TLS HTTPTLS `json:"tls,omitzero"`
	// Poll has an answer of 202 mean that the server has begun: its Location is asked until it answers otherwise.
	// Default: 202 is a status like others.
	Poll *HTTPPoll `json:"poll,omitempty"`
	// Callback has an answer that means success mean that the server has begun: how it ended it says later, by a POST
	// to the URL that the request carries. Not with Poll.
	Callback *HTTPCallback `json:"callback,omitempty"`
}

// HTTPTLS is how the server of an https URL is known. Which authorities may vouch for it is the node's to say.
type HTTPTLS struct {
	// ServerName is the name that the server's certificate must have; default the host of the URL.
	ServerName string `json:"serverName,omitempty"`
}

// HTTPPoll is how a server that answers 202 is asked whether it is done. The task's Timeout or RunTimeout bounds it.
type HTTPPoll struct {
	// Interval is the time between an answer and the next request, unless the answer says when to ask; 1s to 1h.
	// Default 5s.
	Interval Duration `json:"interval,omitempty"`
}

// HTTPCallback asks a server to say when it is done: Completion is what it says. The task's Timeout or RunTimeout bounds
// the wait.
type HTTPCallback struct{}

// HandlerSpec names a Go function registered by a program that embeds a node.
type HandlerSpec struct {
	// Name is that under which the function is registered.
	Name string `json:"name,omitempty"`
}

// CalendarUse says on which days a task's times count: those in any of Include (all days, when it is empty) that are
// in none of Exclude. The names are those of calendars/<name> keys.
type CalendarUse struct {
	// Include are names of calendars, on the days of any of which times count; default all days.
	Include []string `json:"include,omitempty"`
	// Exclude are names of calendars on whose days times do not count.
	Exclude []string `json:"exclude,omitempty"`
	// OnExcluded is what becomes of a time on any other day: schedule.Skip (default), schedule.NextIncluded or
	// schedule.PreviousIncluded.
	OnExcluded string `json:"onExcluded,omitempty"`
}

// Names are the calendars used, each once.
func (c CalendarUse) Names() []string {
	names := slices.Concat(c.Include, c.Exclude)
	slices.Sort(names)
	return slices.Compact(names)
}

// CatchUp says what becomes of occurrences whose time passed while no scheduler could act.
type CatchUp struct {
	// Mode is CatchUpNone, CatchUpLatest (default: the newest of them runs) or CatchUpAll.
	Mode string `json:"mode,omitempty"`
	// Window is how old an occurrence may be and still run. Default 1h.
	Window Duration `json:"window,omitempty"`
	// Max is how many run in one catch-up, the newest: at most 1000. Default 10.
	Max Count `json:"max,omitempty"`
}

// History is how many finished runs keep a record of their own.
type History struct {
	// Succeeded is how many of those that succeeded are kept, 0 to 1000. Default 3.
	Succeeded *int `json:"succeeded,omitempty"`
	// Failed is how many of those that failed, were canceled or missed are kept, 0 to 1000. Default 3.
	Failed *int `json:"failed,omitempty"`
	// Skipped is how many of those that were skipped are kept, 0 to 1000. Default 10.
	Skipped *int `json:"skipped,omitempty"`
}

// The runners' names, as in a node's runners and a run's runner.
const (
	RunnerKubernetes = "kubernetes"
	RunnerProcess    = "process"
	RunnerHTTP       = "http"
	RunnerHandler    = "handler"
)

// Values of Task.Overlap, Task.Delivery and CatchUp.Mode.
const (
	OverlapSkip     = "skip"
	OverlapQueueOne = "queue-one"
	OverlapQueueAll = "queue-all"
	OverlapReplace  = "replace"
	OverlapAllow    = "allow"

	AtLeastOnce = "at-least-once"
	AtMostOnce  = "at-most-once"

	CatchUpNone   = "none"
	CatchUpLatest = "latest"
	CatchUpAll    = "all"
)

// Runner is the name of what runs the task.
func (t *Task) Runner() string {
	switch {
	case t.Process != nil:
		return RunnerProcess
	case t.HTTP != nil:
		return RunnerHTTP
	case t.Handler != nil:
		return RunnerHandler
	default:
		return RunnerKubernetes
	}
}

// Recurring tells whether the task has times of its own, as against running once for each time it is put, or after
// others.
func (t *Task) Recurring() bool {
	return len(t.Schedule) > 0 || t.Every > 0 || t.AfterFinish > 0 || len(t.At) > 0
}

// Times is the compiled schedule of a recurring task that ParseTask made, on all days whatever its calendars; else nil.
func (t *Task) Times() *schedule.Schedule { return t.compiled }

// TimesOn is Times on the days that the task's calendars say. calendar gives the one of a name, nil when it is not in
// force; then the times are nil as well, and missing names it.
func (t *Task) TimesOn(calendar func(name string) *schedule.Calendar) (times *schedule.Schedule, missing []string) {
	use := t.Calendars
	if t.compiled == nil || len(use.Include)+len(use.Exclude) == 0 {
		return t.compiled, nil
	}
	find := func(names []string) (found []*schedule.Calendar) {
		for _, name := range names {
			if c := calendar(name); c == nil {
				missing = append(missing, name)
			} else {
				found = append(found, c)
			}
		}
		return found
	}
	on := schedule.Calendars{Include: find(use.Include), Exclude: find(use.Exclude), OnExcluded: use.OnExcluded}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, slices.Compact(missing)
	}
	return t.compiled.On(on), nil
}

// NoTimeLeft is the warning on a version that has no time after one: nothing of it will run. times are those of the task
// on its calendars, nil when these are not known.
func (t *Task) NoTimeLeft(times *schedule.Schedule, after time.Time) (warning FieldError, none bool) {
	if times == nil || times.AfterFinish() {
		return FieldError{}, false
	}
	if _, ok := times.Next(after); ok {
		return FieldError{}, false
	}
	field := "schedule"
	switch {
	case len(t.At) > 0:
		field = "at"
	case t.EndsAt != "":
		field = "endsAt"
	case len(t.Calendars.Names()) > 0:
		field = "calendars"
	case t.Every > 0:
		field = "every"
	}
	return FieldError{field, "has no time from now on: nothing will run"}, true
}

// Warnings are what is accepted but may not be what was meant.
func (t *Task) Warnings() []FieldError {
	if t.compiled == nil {
		return nil
	}
	var all []FieldError
	for _, w := range t.compiled.Warnings() {
		all = append(all, FieldError{w.Field, strings.TrimPrefix(w.Error(), w.Field+": ")})
	}
	return all
}

// Selector is RunsOn compiled by ParseTask; its zero value selects every node.
func (t *Task) Selector() Selector { return t.selector }

// ClusterSelector is the one of the task's Kubernetes part, compiled by ParseTask; its zero value selects every cluster.
func (t *Task) ClusterSelector() Selector { return t.clusters }

// MaxSlots is the most places that a run may take on its node.
const MaxSlots = 1000

// Places is Slots with its default.
func (t *Task) Places() int { return max(int(t.Slots), 1) }

// OverlapPolicy is Overlap with its default.
func (t *Task) OverlapPolicy() string {
	switch {
	case t.Overlap != "":
		return t.Overlap
	case t.Recurring():
		return OverlapSkip
	default:
		return OverlapQueueAll
	}
}

// CatchUpPolicy is CatchUp with its defaults.
func (t *Task) CatchUpPolicy() CatchUp {
	c := t.CatchUp
	if c.Mode == "" {
		c.Mode = CatchUpLatest
	}
	if c.Window == 0 {
		c.Window = Duration(time.Hour)
	}
	if c.Max == 0 {
		c.Max = 10
	}
	return c
}

// Keep is how many finished runs of a phase keep their records.
func (t *Task) Keep(phase Phase) int {
	limit, n := t.History.Failed, 3
	switch phase {
	case PhaseSucceeded:
		limit = t.History.Succeeded
	case PhaseSkipped:
		limit, n = t.History.Skipped, 10
	}
	if limit != nil {
		n = *limit
	}
	return n
}
