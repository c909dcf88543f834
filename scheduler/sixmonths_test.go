package scheduler

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// cast is a task of the simulation: what it always says, and what its user changes it to and fro between.
type cast struct {
	name   string
	fields string
	when   []string // the first is what it begins with
	// Its runs take hours, so that they meet each other; else seconds.
	slow bool
}

// casts are tasks of all kinds: every way to say when, zones whose clocks change between January and July, and every
// policy.
var casts = []cast{
	{name: "a/new-york", when: []string{`"schedule":"30 2 * * *","timeZone":"America/New_York"`, `"schedule":"30 1 * * *","timeZone":"America/New_York"`}},
	{name: "a/berlin", when: []string{`"schedule":"30 2 * * *","timeZone":"Europe/Berlin"`, `"schedule":"0 3 * * 0","timeZone":"Europe/Berlin"`}},
	{name: "a/berlin-skips", fields: `"daylightSaving":"skip"`, when: []string{`"schedule":"15 2 * * *","timeZone":"Europe/Berlin"`}},
	{name: "a/berlin-both", fields: `"daylightSaving":"both"`, when: []string{`"schedule":"0 2,14 * * *","timeZone":"Europe/Berlin"`}},
	{name: "a/lord-howe", when: []string{`"schedule":"45 1 * * *","timeZone":"Australia/Lord_Howe"`, `"schedule":"15 2 * * *","timeZone":"Australia/Lord_Howe"`}},
	{name: "a/casablanca", when: []string{`"schedule":"15 2,3 * * *","timeZone":"Africa/Casablanca"`}},
	{name: "a/cairo", when: []string{`"schedule":"30 0 * * *","timeZone":"Africa/Cairo"`, `"schedule":"@daily","timeZone":"Africa/Cairo"`}},
	{name: "a/havana", when: []string{`"schedule":["0 0 * * *","0 12 * * MON-FRI"],"timeZone":"America/Havana"`}},
	{name: "a/troll", when: []string{`"schedule":"30 1 * * *","timeZone":"Antarctica/Troll"`}},
	{name: "a/kathmandu", when: []string{`"schedule":"45 5 * * *","timeZone":"Asia/Kathmandu"`}},
	{name: "a/santiago", when: []string{`"schedule":"59 23 * * *","timeZone":"America/Santiago"`, `"schedule":"30 0 * * SUN","timeZone":"America/Santiago"`}},

	{name: "b/every", when: []string{`"every":"11h"`, `"every":"7h","offset":"90m"`, `"every":"1d"`}},
	{name: "b/monthly", when: []string{`"schedule":"0 9 1 * *"`, `"schedule":"0 9 L * *"`, `"schedule":"0 9 15W * *"`}},
	{name: "b/list", when: []string{`"schedule":["0 6 * * *","0 6,18 * * FRI","30 7 * * *"]`}},
	{name: "b/spread", when: []string{`"schedule":"H H * * *"`, `"schedule":"H H(0-5) * * MON"`}},
	{name: "b/instants", when: []string{`"at":["2026-12-24T18:00","2027-01-06T09:00:00+08:00","2027-03-28T02:30"],"timeZone":"Europe/Berlin"`}},
	{name: "b/bounded", when: []string{`"schedule":"0 */12 * * *","startsAt":"2026-12-01T00:00","endsAt":"2027-03-01T00:00"`}},
	{name: "b/five-runs", fields: `"maxRuns":5`, when: []string{`"every":"3d"`}},
	{name: "b/jitter", fields: `"jitter":"40m"`, when: []string{`"schedule":"0 4 * * *"`, `"schedule":"0 */12 * * *"`}},
	{name: "b/after-finish", when: []string{`"afterFinish":"20h"`, `"afterFinish":"30h"`}},
	{name: "b/burst", fields: `"catchUp":{"mode":"none"}`, when: []string{`"schedule":"0 22 * * SAT"`, `"schedule":"*/5 22 * * SUN"`}},

	{name: "c/skip", slow: true, fields: `"overlap":"skip"`, when: []string{`"every":"5h"`}},
	{name: "c/queue-one", slow: true, fields: `"overlap":"queue-one"`, when: []string{`"every":"6h"`}},
	{name: "c/queue-all", slow: true, fields: `"overlap":"queue-all","catchUp":{"mode":"all","window":"1d"}`, when: []string{`"schedule":"0 1,2,3 * * MON"`}},
	{name: "c/replace", slow: true, fields: `"overlap":"replace"`, when: []string{`"every":"8h"`}},
	{name: "c/allow", slow: true, fields: `"overlap":"allow","catchUp":{"mode":"all","window":"12h","max":3}`, when: []string{`"every":"9h"`, `"every":"10h"`}},
	{name: "c/once-only", slow: true, fields: `"delivery":"at-most-once"`, when: []string{`"every":"12h"`}},
	{name: "c/prompt", slow: true, fields: `"startWithin":"30m","overlap":"queue-all"`, when: []string{`"every":"10h"`}},
	{name: "c/no-catch-up", fields: `"catchUp":{"mode":"none"}`, when: []string{`"every":"13h"`}},

	{name: "d/working-days", fields: `"calendars":{"exclude":["holidays"]}`, when: []string{`"schedule":"0 8 * * MON-FRI"`}},
	{name: "d/moved", fields: `"calendars":{"exclude":["holidays"],"onExcluded":"next-included"}`, when: []string{`"schedule":"0 8 15 * *"`, `"schedule":"0 8 * * MON"`}},
	{name: "d/submitted", when: []string{``}},
}

// halfYear is the simulation: the tasks, and what their users and the world do to them.
type halfYear struct {
	*rig
	state  map[string]*castState
	frozen map[string]time.Time // freeze keys that somebody takes away, and when
	counts map[string]int       // what happened
	ids    int
}

type castState struct {
	cast
	variant int
	suspend bool
	there   bool
}

// Half a year of a small cluster, with all that happens to one, ends with every time of every task accounted for.
func TestHalfAYear(t *testing.T) {
	for part := range 2 {
		t.Run(fmt.Sprint("part ", part), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &halfYear{
					rig: newRig(t, at("10:05"), 7+uint64(part)), state: map[string]*castState{}, frozen: map[string]time.Time{}, counts: map[string]int{},
				}
				h.tick = 30 * time.Minute // a clock that steps is noticed within it
				for i, c := range casts {
					if i%2 == part {
						h.state[c.name] = &castState{cast: c, there: true}
					}
				}
				h.live(183 * 24 * time.Hour)
			})
		})
	}
}

func (h *halfYear) live(length time.Duration) {
	for i := range 3 {
		lives := func() time.Duration { return time.Duration(h.random(int64(20 * 24 * time.Hour))) }
		if i == 0 {
			lives = nil
		}
		h.node(fmt.Sprint("n", i), lives, func(n *simNode) { n.work = h.work })
	}
	relist := func(l *link) {
		l.relist = func() bool { return h.random(5000) == 0 }
		l.lose = func(*store.Txn) loss {
			if h.random(1000) == 0 {
				h.happens("answer lost")
				return answerLost
			}
			return arrives
		}
	}
	h.spare = maxSpare // each task is looked at too often
	schedulers := []*Scheduler{h.scheduler(relist), h.scheduler(relist)}
	leader := 0
	leave := h.lead(schedulers[leader])
	h.etcd.put(h.etcd.keys.Calendar("holidays"), `{"days":["Sat","Sun"]}`)
	for name := range h.state {
		h.put(name)
	}

	end := time.Now().Add(length)
	for next := time.Now(); time.Now().Before(end); {
		h.pass(time.Duration(h.random(int64(10 * time.Hour))))
		h.thaw(false)
		h.something()
		if time.Now().Before(next) {
			continue
		}
		next = time.Now().Add(time.Duration(h.random(int64(6 * 24 * time.Hour))))
		leave()
		h.happens("failover")
		if h.random(2) == 0 {
			h.happens("nobody leads")
			h.pass(time.Duration(h.random(int64(8 * time.Hour))))
			h.something()
			h.pass(time.Duration(h.random(int64(time.Hour))))
		}
		leader = 1 - leader
		leave = h.lead(schedulers[leader])
	}

	// Then everything is let go, so that what stood still is settled.
	h.thaw(true)
	for name, c := range h.state {
		if c.suspend || !c.there {
			c.suspend, c.there = false, true
			h.put(name)
		}
	}
	h.pass(2*24*time.Hour + 33*time.Minute)
	h.audit()
}

func (h *halfYear) happens(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[what]++
}

// work is what the nodes' attempts are like.
func (h *halfYear) work(run nightwatch.Run) (time.Duration, nightwatch.Phase) {
	h.log.started(run)
	phase := nightwatch.PhaseSucceeded
	if h.random(10) == 0 {
		phase = nightwatch.PhaseFailed
	}
	longest := 50 * time.Millisecond
	if c := h.state[run.Task]; c.slow {
		longest = 10 * time.Hour
	} else if h.random(4) == 0 {
		longest = 2 * time.Minute
	}
	return time.Duration(h.random(int64(longest))), phase
}

// put writes a task as it stands.
func (h *halfYear) put(name string) {
	c := h.state[name]
	parts := []string{`"process":{"command":["true"]}`}
	for _, part := range []string{c.fields, c.when[c.variant]} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if c.suspend {
		parts = append(parts, `"suspend":true`)
	}
	h.task(name, "{"+strings.Join(parts, ",")+"}")
}

// any is a random task that takes part in what happens.
func (h *halfYear) any() (string, *castState) {
	for {
		i := h.random(int64(len(casts)))
		name := casts[i].name
		if c := h.state[name]; c != nil && name != "b/five-runs" {
			return name, c
		}
	}
}

// something happens.
func (h *halfYear) something() {
	keys := h.etcd.keys
	name, c := h.any()
	h.ids++
	id := fmt.Sprint("x", h.ids)
	switch n := h.random(100); {
	case n < 20 && c.there:
		h.happens("edit")
		c.variant = int(h.random(int64(len(c.when))))
		h.put(name)
	case n < 30 && c.there && name != "d/submitted":
		h.happens("suspend or resume")
		c.suspend = !c.suspend
		h.put(name)
	case n < 35 && c.there:
		h.happens("refused value")
		h.task(name, `{"process":{"command":["true"]},"schedule":"61 * * * *"}`)
	case n < 45:
		h.happens("freeze")
		namespace, _, _ := strings.Cut(name, "/")
		what := []string{name, name, namespace, store.FrozenCluster}[h.random(4)]
		until := h.now().Add(time.Duration(h.random(int64(40 * time.Hour))))
		if h.random(2) == 0 {
			h.etcd.put(keys.Of(store.Freezes)+what, nightwatch.Freeze{By: "test", Until: until})
		} else if h.etcd.get(keys.Of(store.Freezes)+what).ModRevision == 0 {
			h.etcd.put(keys.Of(store.Freezes)+what, "")
			h.frozen[keys.Of(store.Freezes)+what] = until
		}
	case n < 60 && c.there:
		h.happens("request to run")
		h.etcd.put(keys.Request(name, id), `{"action":"run"}`)
	case n < 66 && c.there:
		h.happens("backfill")
		var def nightwatch.Accepted
		h.etcd.read(keys.Accepted(name), &def)
		to := h.now().Add(-time.Duration(h.random(int64(24 * time.Hour))))
		if from := later(to.Add(-60*time.Hour), def.Since.Add(time.Second)); from.Before(to) {
			h.etcd.put(keys.Request(name, id), nightwatch.Request{Action: nightwatch.ActionBackfill, From: from, To: to})
		}
	case n < 72 && c.there:
		h.happens("cancel")
		h.etcd.put(keys.Request(name, id), `{"action":"cancel"}`)
	case n < 76:
		h.happens("calendar")
		from := h.now().AddDate(0, 0, int(h.random(5)))
		days := fmt.Sprintf("%s/%s", from.Format(time.DateOnly), from.AddDate(0, 0, int(h.random(4))).Format(time.DateOnly))
		h.etcd.put(keys.Calendar("holidays"), nightwatch.Calendar{Days: []string{"Sat", "Sun", days}})
	case n < 79:
		h.happens("clock steps forward")
		h.step(time.Duration(h.random(int64(6 * time.Hour))))
	case n < 82:
		h.happens("clock steps back")
		h.step(-time.Duration(h.random(int64(4 * time.Hour))))
	case n < 84 && c.there:
		h.happens("delete")
		c.there = false
		h.etcd.del(keys.Task(name))
	case n < 90 && !c.there:
		h.happens("put anew")
		c.there = true
		h.put(name)
	}
}

// thaw takes freezes away whose time has come, or all.
func (h *halfYear) thaw(all bool) {
	for key, until := range h.frozen {
		if all || until.Before(h.now()) {
			h.etcd.del(key)
			delete(h.frozen, key)
		}
	}
	if all {
		for _, e := range h.etcd.below(h.etcd.keys.Of(store.Freezes)) {
			h.etcd.del(e.Key)
		}
	}
}

func (h *halfYear) audit() {
	h.log.auditAll()
	h.t.Logf("%v", h.counts)
	for _, e := range h.etcd.below(h.etcd.keys.Of(store.Runs)) {
		var run nightwatch.Run
		if err := json.Unmarshal(e.Value, &run); err != nil {
			h.t.Errorf("%s: %v", e.Key, err)
		}
		if run.Live() && h.now().Sub(run.CreateTime) > 36*time.Hour {
			h.t.Errorf("%s is %s since %s (%s)", e.Key, run.Phase, run.CreateTime, run.Reason)
		}
	}
	if left := h.etcd.below(h.etcd.keys.Of(store.Requests)); len(left) > 0 {
		h.t.Errorf("%d requests unanswered, the first %s", len(left), left[0].Key)
	}
	for _, e := range h.etcd.below(h.etcd.keys.Of(store.Verdicts)) {
		h.t.Errorf("%s is still there", e.Key)
	}
}
