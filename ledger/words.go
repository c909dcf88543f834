package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// meaning is what a reason word says in a sentence: of what waits, and of what is over. A word that has only one of
// them means the same in both.
type meaning struct{ waits, over string }

// meanings has every reason word of the root package.
var meanings = map[string]meaning{
	nightwatch.ReasonNoFittingNode: {waits: "no live node has the runner, the handler and the labels that it needs"},
	nightwatch.ReasonNoCapacity:    {waits: "every node that fits is full"},
	nightwatch.ReasonNamespaceFull: {waits: "as many runs of its namespace are live as may be"},
	nightwatch.ReasonPoolMissing:   {waits: "the pool of its task is not there or was never accepted"},
	nightwatch.ReasonPoolFull:      {waits: "as many runs of its pool are live as the pool has slots"},
	nightwatch.ReasonPoolRate:      {waits: "its pool lets runs start one after the other, with a pause between them"},
	nightwatch.ReasonOverlap: {
		waits: "an earlier run of the task is live, and its overlap policy has it wait for that one",
		over:  "an earlier run of the task was still live, and its overlap policy lets no two be live at once",
	},
	nightwatch.ReasonLocked:    {waits: "somebody holds the task's lock, under locks/<namespace>/<task>/"},
	nightwatch.ReasonNotBefore: {waits: "its start is delayed by the task's jitter, and that time has not come"},
	nightwatch.ReasonRetry:     {waits: "an attempt of it failed, and the time of the next one has not come"},
	nightwatch.ReasonFrozen: {
		waits: "a freeze covers it, and nothing starts until that ends",
		over:  "a freeze covered the task then: a key under freeze/ for the task, its namespace or the cluster",
	},
	nightwatch.ReasonNodeLost: {
		waits: "the node that had it was lost; it goes to another one",
		over:  "the node that had it was lost in mid-run, and it must not or may not be tried again",
	},
	nightwatch.ReasonHandedBack: {waits: "the node that had it is stopping or drained and gave it back; it goes to another one"},

	nightwatch.ReasonExitCode:        {over: "the program ended with an exit code other than 0"},
	nightwatch.ReasonSignal:          {over: "the program was ended by a signal"},
	nightwatch.ReasonTimeout:         {over: "it took longer than the task's timeout or runTimeout"},
	nightwatch.ReasonOOMKilled:       {over: "it used more memory than it may"},
	nightwatch.ReasonStartRefused:    {over: "it could not be started: its runner refused it"},
	nightwatch.ReasonGuardLost:       {over: "the guard of the node's processes died, and the program with it"},
	nightwatch.ReasonHandlerError:    {over: "the handler returned an error"},
	nightwatch.ReasonPanic:           {over: "the handler panicked"},
	nightwatch.ReasonHTTPStatus:      {over: "the server answered with a status that does not mean success"},
	nightwatch.ReasonHTTPError:       {over: "the request got no answer"},
	nightwatch.ReasonCallbackFailed:  {over: "the server called back to say that it failed"},
	nightwatch.ReasonJobGone:         {over: "its Kubernetes Job was deleted before it had finished"},
	nightwatch.ReasonJobNameTaken:    {over: "Jobs of somebody else hold every name that its Job could have"},
	nightwatch.ReasonCancelRequested: {over: "somebody asked for it to be canceled"},
	nightwatch.ReasonTaskDeleted:     {over: "the task was deleted"},
	nightwatch.ReasonTaskReplaced:    {over: "the task was deleted and put anew"},
	nightwatch.ReasonCatchUp:         {over: "nobody could start it when it was due, and the task's catchUp (mode, window and max) does not make up for it"},
	nightwatch.ReasonSuspended: {
		waits: "the task is suspended: its value has suspend: true",
		over:  "the task was suspended then, and time spent suspended is not missed time",
	},
	nightwatch.ReasonQueueFull:   {over: "as many runs of the task waited already as its overlap policy lets wait"},
	nightwatch.ReasonReplaced:    {over: "a newer occurrence of the task took its place (overlap: replace)"},
	nightwatch.ReasonShardFailed: {over: "not all of its shards succeeded"},
	nightwatch.ReasonStartWithin: {over: "it could not start within the task's startWithin"},

	nightwatch.ReasonCalendarMissing: {
		waits: "a calendar that the task uses is not there or was never accepted, so nobody can say when it is due",
		over:  "a calendar that the task uses was not in force then",
	},
	nightwatch.ReasonUpstream:         {waits: "it waits for runs of the tasks that it comes after"},
	nightwatch.ReasonUpstreamMissing:  {waits: "a task that it comes after is not there, or was never accepted"},
	nightwatch.ReasonDeleting:         {waits: "the task was deleted, and its runs are being ended and removed"},
	nightwatch.ReasonPreviousDeleting: {waits: "the task was deleted and put anew, and the runs of its earlier life are being ended and removed"},
}

// waits is a reason word as a clause on what waits because of it; the word itself when it is none of ours.
func waits(reason string) string {
	m := meanings[reason]
	return firstOf(m.waits, m.over, reason)
}

// over is a reason word as a clause on what ended because of it.
func over(reason string) string {
	m := meanings[reason]
	return firstOf(m.over, m.waits, reason)
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// because is " (Word): clause", with the message that goes with the word; empty without either.
func because(reason, clause, message string) string {
	var text strings.Builder
	if reason != "" {
		text.WriteString(" (" + reason + ")")
		if clause != reason {
			text.WriteString(": " + clause)
		}
	}
	if message != "" {
		text.WriteString("; " + message)
	}
	return text.String()
}

// clock writes times for people: as the zone of the task shows them, and in UTC where that differs.
type clock struct{ zone *time.Location }

const rfc3339Milli = "2006-01-02T15:04:05.999Z07:00"

func (c clock) text(t time.Time) string {
	local, utc := t.In(c.zone).Format(rfc3339Milli), t.UTC().Format(rfc3339Milli)
	if local == utc {
		return utc
	}
	return local + " (" + utc + ")"
}

// noted is a nominal time and what there is to say of it.
func (c clock) noted(t time.Time, note string) string {
	if note == "" {
		return c.text(t)
	}
	return c.text(t) + " (" + note + ")"
}

// lasting is a length of time for people: whole seconds, and days and hours from two days on.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 10*time.Second:
		return nightwatch.Duration(d.Round(time.Millisecond)).String()
	case d < 2*day:
		return nightwatch.Duration(d.Round(time.Second)).String()
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
