package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// What a task of the property may say.
var (
	someTimes = []string{
		`"schedule":"*/5 * * * *"`, `"schedule":"*/10 * * * *"`, `"schedule":["0 * * * *","*/7 * * * *"]`, `"every":"90s"`, `"every":"250ms"`,
		`"afterFinish":"3m"`, `"at":["2026-11-20T10:10:00Z","2026-11-20T11:00:00Z","2026-11-20T13:30:00Z"]`, ``,
	}
	someMore = []string{
		`"overlap":"queue-one"`, `"overlap":"queue-all"`, `"overlap":"replace"`, `"overlap":"allow"`, `"jitter":"4m"`, `"maxRuns":3`,
		`"startWithin":"2m"`, `"history":{"succeeded":0,"failed":0,"skipped":0}`, `"history":{"succeeded":1,"failed":0,"skipped":2}`,
		`"catchUp":{"mode":"none"}`, `"catchUp":{"mode":"all","max":1000,"window":"6h"}`, `"suspend":true`, `"endsAt":"2026-11-20T14:00:00Z"`,
		`"startsAt":"2026-11-20T10:30:00Z"`, `"calendars":{"exclude":["off"]}`, `"calendars":{"include":["on"],"exclude":["off"]}`,
		`"shards":3`, `"shards":3`, `"shardParams":["a",{"b":1}]`, `"shards":20`, `"shards":"per-node"`, `"delivery":"at-most-once"`, `"runTimeout":"30m"`,
	}
	someDays = []string{`{"days":["Fri"]}`, `{"days":["Sat"]}`, `{"days":["2026-11-20"]}`, `{"days":["Mon","Fri"]}`, `{"dais":[]}`}
)

func (o *oracle) someTask() string {
	fields := []string{rapid.SampledFrom([]string{`"process":{"command":["true"]}`, `"image":"busybox"`}).Draw(o.r, "what")}
	if times := rapid.SampledFrom(someTimes).Draw(o.r, "times"); times != "" {
		fields = append(fields, times)
	}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 4).Draw(o.r, "more") {
		f := rapid.SampledFrom(someMore).Draw(o.r, "field")
		if name, value, _ := strings.Cut(f, ":"); !seen[name] {
			seen[name] = true
			o.allowed = o.allowed || value == `"allow"`
			fields = append(fields, f)
		}
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// whatHappens are the things that happen does; a number gives one of them another chance.
var whatHappens = []string{
	"pass", "eve", "eve 2", "eve 3", "pass 2", "pass 3", "pass 4", "pass 5", "away", "back", "put", "put 2", "edit", "delete", "freeze", "thaw", "endfreezes", "calendar",
	"calendar 2", "uncalendar", "node", "lose", "claim", "claim 2", "finish", "finish 2", "finish 3", "finish 4", "run", "run 2", "cancel", "backfill",
	"backfill 2", "retry", "retry 2", "drop", "relist", "finish 5", "finish 6", "claim 3", "unshard", "requests",
}

// happen does one thing that a user, a node, the clock or etcd may do.
func (o *oracle) happen(what string) {
	what, _, _ = strings.Cut(what, " ")
	pick := func(phase nightwatch.Phase) string {
		var ids []string
		for _, line := range o.runs() {
			if id, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, string(phase)) && !o.run(id).Parent() {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			return ""
		}
		return rapid.SampledFrom(ids).Draw(o.r, "run")
	}
	begin := func(id string) {
		if r := o.run(id); r.Announced {
			_, frozen := o.view.frozen(demo)
			if frozen || o.entries[o.keys.Task(demo)].ModRevision != r.TaskRevision { // the claim is refused
				queue := o.keys.Queue(r.Node, demo, id)
				r.Phase, r.Node, r.Session = nightwatch.PhasePending, "", ""
				o.set(o.keys.Run(demo, id), r, queue, nil)
				return
			}
		}
		o.claim(id, func(r *nightwatch.Run) {
			if r.Runner == nightwatch.RunnerKubernetes {
				r.Job = &nightwatch.Job{Namespace: "default", Name: "demo", UID: "j"}
			}
		})
	}
	ask := func(value string) {
		o.asked++
		o.set(o.keys.Request(demo, "r"+strconv.Itoa(o.asked)), value)
	}
	switch what {
	case "pass":
		o.now = o.now.Add(time.Duration(rapid.IntRange(1, 420).Draw(o.r, "seconds"))*time.Second + time.Millisecond)
	case "eve": // of the next occurrence, or a moment after it
		if next := o.status().Next; len(next) > 0 {
			o.now = later(o.now, next[0].Add(time.Duration(rapid.IntRange(-600, 100).Draw(o.r, "milliseconds"))*time.Millisecond))
		}
	case "away":
		o.now = o.now.Add(time.Duration(rapid.IntRange(1, 150).Draw(o.r, "minutes"))*time.Minute + time.Millisecond)
	case "back":
		o.now = o.now.Add(-time.Duration(rapid.IntRange(1, 60).Draw(o.r, "minutes"))*time.Minute + time.Millisecond)
	case "put":
		o.set(o.keys.Task(demo), o.someTask())
		late := time.Duration(rapid.IntRange(0, 20).Draw(o.r, "late")) * time.Minute
		o.now = o.now.Add(late + time.Millisecond)
	case "edit":
		if e, there := o.entries[o.keys.Task(demo)]; there {
			o.set(e.Key, string(e.Value)+" ")
		}
	case "delete":
		if rapid.IntRange(0, 3).Draw(o.r, "really") == 0 {
			o.set(o.keys.Task(demo), nil)
		}
	case "freeze":
		value := ""
		if n := rapid.IntRange(0, 30).Draw(o.r, "minutes"); n > 0 {
			value = fmt.Sprintf(`{"until":%q}`, o.now.Add(time.Duration(n)*time.Minute).Format(time.RFC3339))
		}
		o.set(o.keys.Of(store.Freezes)+rapid.SampledFrom([]string{demo, "default", store.FrozenCluster}).Draw(o.r, "key"), value)
	case "thaw":
		for _, tail := range o.below(store.Freezes) {
			o.set(o.keys.Of(store.Freezes)+tail, nil)
		}
	case "endfreezes":
		for _, tail := range o.below(store.Freezes) {
			if until := o.view.freezes[tail].until; !until.IsZero() && !until.After(o.now) {
				o.set(o.keys.Of(store.Freezes)+tail, nil)
			}
		}
	case "calendar":
		o.set(o.keys.Calendar(rapid.SampledFrom([]string{"on", "off"}).Draw(o.r, "name")), rapid.SampledFrom(someDays).Draw(o.r, "days"))
	case "uncalendar":
		o.set(o.keys.Calendar(rapid.SampledFrom([]string{"on", "off"}).Draw(o.r, "name")), nil)
	case "node":
		o.node(rapid.SampledFrom([]string{"n1", "n2"}).Draw(o.r, "node"))
	case "lose":
		o.set(o.keys.Node(rapid.SampledFrom([]string{"n1", "n2"}).Draw(o.r, "node")), nil)
	case "claim":
		if id := pick(nightwatch.PhaseAssigned); id != "" {
			begin(id)
		}
	case "finish":
		id := pick(nightwatch.PhaseRunning)
		if id == "" {
			if id = pick(nightwatch.PhaseAssigned); id != "" {
				begin(id)
			}
		}
		if id != "" && o.run(id).Phase == nightwatch.PhaseRunning {
			o.now = o.now.Add(time.Millisecond)
			o.finish(id, rapid.SampledFrom([]nightwatch.Phase{nightwatch.PhaseSucceeded, nightwatch.PhaseSucceeded, nightwatch.PhaseFailed, nightwatch.PhaseCanceled}).Draw(o.r, "end"))
		}
	case "run":
		overlap := rapid.SampledFrom([]string{"", "", "allow", "queue-one", "queue-all", "replace", "skip"}).Draw(o.r, "overlap")
		if overlap == "allow" {
			o.allowed = true
		}
		ask(fmt.Sprintf(`{"action":"run","overlap":%q}`, overlap))
	case "requests":
		for range rapid.IntRange(2, 6).Draw(o.r, "requests") {
			o.happen(rapid.SampledFrom([]string{"run", "retry", "drop", "cancel"}).Draw(o.r, "request"))
		}
	case "cancel", "retry", "drop":
		ids := []string{""}
		for _, b := range o.status().Backfills {
			ids = append(ids, "req-"+b.ID)
		}
		for _, line := range o.runs() {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
		}
		more := ""
		if what != "drop" && rapid.Bool().Draw(o.r, "some") {
			more = `,"shards":` + rapid.SampledFrom([]string{`[0]`, `[1,2]`, `"failed"`}).Draw(o.r, "shards")
		}
		ask(fmt.Sprintf(`{"action":%q,"run":%q%s}`, what, rapid.SampledFrom(ids).Draw(o.r, "run"), more))
	case "backfill":
		from := o.now.Add(-time.Duration(rapid.IntRange(1, 100).Draw(o.r, "from")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(1, 60).Draw(o.r, "length")) * time.Minute)
		if to.After(o.now) {
			to = o.now
		}
		more := ""
		if rapid.Bool().Draw(o.r, "allow") {
			o.allowed, more = true, `,"overlap":"allow","maxParallel":3`
		}
		ask(fmt.Sprintf(`{"action":"backfill","from":%q,"to":%q%s}`, from.Format(time.RFC3339), to.Format(time.RFC3339), more))
	case "unshard": // somebody's hand removes the record of a shard that no node has
		var ids []string
		for _, id := range o.below(store.Runs) {
			if r := o.view.known(demo).find(strings.TrimPrefix(id, demo+"/")); r.run.Shard != nil && !queued(&r.run) {
				ids = append(ids, r.run.ID)
			}
		}
		if slices.Sort(ids); len(ids) > 0 {
			o.set(o.keys.Run(demo, rapid.SampledFrom(ids).Draw(o.r, "shard")), nil)
		}
	case "relist":
		o.relist()
	}
}

// comesLate commits a plan when what it was decided on may have changed.
func (o *oracle) comesLate() {
	if o.view.known(demo) == nil {
		return
	}
	o.now = o.now.Add(time.Minute)
	p := o.decide(demo)
	if !p.txn.Empty() {
		o.happen(rapid.SampledFrom(whatHappens).Draw(o.r, "meanwhile"))
		o.step(p)
		return
	}
	for _, taken := range p.takings {
		o.reserved.add(taken, -1)
	}
}

// goesUnanswered commits a plan that nobody hears of, neither by an answer nor by the watch, until another has been made, of what
// was known before and what happened since. The second may overtake the first.
func (o *oracle) goesUnanswered() {
	if o.view.known(demo) == nil {
		return
	}
	first := o.decide(demo)
	o.happen(rapid.SampledFrom(append([]string{"eve", "eve", "pass", "pass", "freeze", "edit"}, whatHappens...)).Draw(o.r, "meanwhile"))
	if o.view.known(demo) == nil {
		return
	}
	second := o.decide(demo)
	plans := []*plan{first, second}
	if rapid.Bool().Draw(o.r, "overtaken") {
		slices.Reverse(plans)
	}
	for _, p := range plans {
		if !p.txn.Empty() {
			o.step(p)
			continue
		}
		for _, taken := range p.takings {
			o.reserved.add(taken, -1)
		}
	}
}

// actions are all that may happen, each with time to come to rest after it and without.
func (o *oracle) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"late": func(*rapid.T) { o.comesLate() }, "unanswered": func(*rapid.T) { o.goesUnanswered() }, "unanswered 2": func(*rapid.T) { o.goesUnanswered() },
	}
	for _, what := range whatHappens {
		actions[what] = func(*rapid.T) { o.happen(what) }
		actions[what+", quiet"] = func(*rapid.T) { o.happen(what); o.quiet() }
	}
	return actions
}

// Tasks of all kinds, edits, freezes, calendars, requests, nodes and clocks that come and go, a scheduler that is away for
// hours or whose plans come late: at rest, each time is in one place, and the counts add up.
func TestWhateverHappensEachTimeIsInOnePlace(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := newOracle(t, r)
		o.node("n1")
		o.set(o.keys.Task(demo), o.someTask())
		o.quiet()
		r.Repeat(o.actions())
		o.now = o.now.Add(time.Minute)
		o.quiet()
	})
}
