package scheduler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

// chronicle sees every revision from the first on. It checks what must hold at each, and keeps what an audit needs
// that knows nothing of how the scheduler decides.
type chronicle struct {
	r  *rig
	mu sync.Mutex
	// lives are those that tasks live now; starts count the attempts that nodes began.
	lives  map[string]*taskLife
	starts map[string]int
	terms  map[string]int64 // that last, by the leader's key
	made   int
}

// taskLife is what became of a task since its key was created.
type taskLife struct {
	uid        int64
	versions   []nightwatch.Accepted
	cursor     time.Time
	runs       map[string]nightwatch.Phase // as last seen, by id
	nominal    map[string]time.Time        // of those that met an occurrence
	shards     map[string]nightwatch.Phase // likewise of runs that are shards
	announced  map[string]bool             // whether those that were made ahead of their time are still that
	backfilled map[string]bool
	// A backfill ran times from before the version that it ran under. What ranges then tell of that span is a guess.
	blurred bool
}

func newChronicle(r *rig) *chronicle {
	return &chronicle{r: r, lives: map[string]*taskLife{}, starts: map[string]int{}, terms: map[string]int64{}}
}

// started is told by nodes of every attempt that they begin.
func (c *chronicle) started(run nightwatch.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	attempt := fmt.Sprintf("%s %d %s attempt %d", run.Task, run.TaskUID, run.ID, run.Attempt)
	if c.starts[attempt]++; c.starts[attempt] > 1 {
		c.r.t.Errorf("%s: started %d times", attempt, c.starts[attempt])
	}
}

// records is how many records of runs were made, ever.
func (c *chronicle) records() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made
}

func (c *chronicle) observe(events []store.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		if e.Deleted {
			delete(c.terms, e.Key)
			if kind, tail, _ := c.r.etcd.keys.Parse(e.Key); kind == store.Runs {
				i := strings.LastIndexByte(tail, '/')
				if life := c.lives[tail[:i]]; life != nil {
					delete(life.announced, tail[i+1:])
				}
			}
			continue
		}
		switch kind, tail, _ := c.r.etcd.keys.Parse(e.Key); kind {
		case store.Election:
			c.terms[e.Key] = e.CreateRevision
		case store.Runs:
			var run nightwatch.Run
			c.decode(e, &run)
			c.run(&run, e.CreateRevision == e.ModRevision)
		case store.Statuses:
			var status nightwatch.Status
			c.decode(e, &status)
			c.status(tail, &status)
		case store.Accepted:
			if _, calendar := store.CalendarOf(tail); calendar {
				continue
			}
			var def nightwatch.Accepted
			c.decode(e, &def)
			life := c.life(tail, def.UID)
			life.versions = append(life.versions, def)
		}
	}
}

func (c *chronicle) decode(e store.Event, into any) {
	if err := json.Unmarshal(e.Value, into); err != nil {
		c.r.t.Errorf("%s: %v", e.Key, err)
	}
}

func (c *chronicle) life(task string, uid int64) *taskLife {
	life := c.lives[task]
	if life == nil || life.uid < uid {
		life = &taskLife{uid: uid, runs: map[string]nightwatch.Phase{}, nominal: map[string]time.Time{}, backfilled: map[string]bool{},
			shards: map[string]nightwatch.Phase{}, announced: map[string]bool{}}
		c.lives[task] = life
	}
	return life
}

func (c *chronicle) run(run *nightwatch.Run, fresh bool) {
	life := c.life(run.Task, run.TaskUID)
	if life.uid != run.TaskUID {
		return // it ends with the life before
	}
	phases := life.runs
	if run.Shard != nil {
		phases = life.shards
	}
	before, known := phases[run.ID]
	switch again := before == nightwatch.PhaseSkipped || before == nightwatch.PhaseMissed; {
	case fresh && known && (run.Backfill == "" || !again):
		c.r.t.Errorf("%s %s: a second record, the first ended as %s", run.Task, run.ID, before)
	case !fresh && before.Terminal() && before != run.Phase:
		c.r.t.Errorf("%s %s: %s became %s", run.Task, run.ID, before, run.Phase)
	}
	if fresh && run.Shard != nil {
		if whole := life.runs[run.Shard.Of]; whole == "" || whole.Terminal() {
			c.r.t.Errorf("%s %s: made while its run is %q", run.Task, run.ID, whole)
		}
	} else if fresh || life.announced[run.ID] {
		if fresh && !slices.Contains(slices.Collect(maps.Values(c.terms)), run.Term) {
			c.r.t.Errorf("%s %s: made in term %d, which has ended", run.Task, run.ID, run.Term)
		}
		if fresh {
			c.overlap(life, run)
		}
		if life.announced[run.ID] = run.Announced; run.Announced {
			return // it is nothing until it is claimed
		}
		c.made++
		if run.ID == nightwatch.ScheduledRunID(run.NominalTime) {
			life.nominal[run.ID] = run.NominalTime
		}
		if run.Backfill != "" {
			life.backfilled[run.ID] = true
			life.blurred = life.blurred || !run.NominalTime.After(life.versions[len(life.versions)-1].Since)
		}
	}
	phases[run.ID] = run.Phase
}

// overlap checks that a run under skip is not made live beside another.
func (c *chronicle) overlap(life *taskLife, run *nightwatch.Run) {
	if len(life.versions) == 0 || !run.Live() || life.versions[len(life.versions)-1].Task.OverlapPolicy() != nightwatch.OverlapSkip {
		return
	}
	for id, phase := range life.runs {
		if !phase.Terminal() {
			c.r.t.Errorf("%s: run %s was made while %s is %s", run.Task, run.ID, id, phase)
		}
	}
}

func (c *chronicle) status(task string, status *nightwatch.Status) {
	life := c.life(task, status.UID)
	if life.uid != status.UID {
		return
	}
	if status.Cursor.Before(life.cursor) {
		c.r.t.Errorf("%s: the cursor went back from %s to %s", task, life.cursor, status.Cursor)
	}
	life.cursor = status.Cursor
}

// audit finds what became of every time of a task that each of its versions expected while it was in force: all of
// them in exactly one place, and nothing that nobody expected. It is for a task at rest.
func (c *chronicle) audit(task string) {
	t := c.r.t
	a := c.r.account(task)
	c.mu.Lock()
	defer c.mu.Unlock()
	life := c.lives[task]
	if report := ledger.Audit(a, time.Time{}); !report.OK {
		text, _ := json.MarshalIndent(report, "", " ")
		t.Errorf("%s: the ledger's own audit: %s", task, text)
	}
	if len(a.Accepted.Task.Calendars.Names()) > 0 || a.Accepted.Task.Times() == nil || a.Accepted.Task.Times().AfterFinish() {
		return // what was expected hangs on more than the versions
	}

	expected := c.expected(life)
	slices.SortFunc(expected, time.Time.Compare)
	for id, at := range life.nominal {
		if _, found := slices.BinarySearchFunc(expected, at, time.Time.Compare); !found && !life.backfilled[id] {
			t.Errorf("%s %s: a record of a time that nobody expected", task, id)
		}
	}

	records := map[int64]int{}
	live := 0
	for _, run := range a.Runs {
		if run.Announced {
			continue
		}
		if run.ID == nightwatch.ScheduledRunID(run.NominalTime) {
			records[run.NominalTime.UnixMilli()]++
		}
		if run.Live() {
			live++
		}
	}
	inRange := make([]int64, len(a.Ledger.Ranges))
	early := int64(0)
	var lost, twice []time.Time
	for _, at := range expected {
		places := records[at.UnixMilli()]
		for i, r := range a.Ledger.Ranges {
			if !at.Before(r.From) && !at.After(r.To) {
				places++
				inRange[i]++
			}
		}
		switch {
		case places == 0 && !at.After(a.Ledger.Since):
			early++
		case places == 0:
			lost = append(lost, at)
		case places > 1:
			twice = append(twice, at)
		}
	}
	if life.blurred {
		return
	}
	if len(lost)+len(twice) > 0 {
		t.Errorf("%s: unaccounted for %s; accounted for twice %s", task, some(lost), some(twice))
	}
	for i, r := range a.Ledger.Ranges {
		if r.Count != inRange[i] {
			t.Errorf("%s: range %+v tells of %d times, %d were expected", task, r, r.Count, inRange[i])
		}
	}
	if totals := total(a.Ledger.Totals); totals != early {
		t.Errorf("%s: the totals tell of %d times, %d were expected", task, totals, early)
	}
	never := int64(len(expected) - len(life.nominal)) // became no run
	if counted := total(a.Status.Counts); counted != never+int64(len(life.runs)-live) {
		t.Errorf("%s: %d counted, want %d without a run and %d runs that ended", task, counted, never, len(life.runs)-live)
	}
}

// expected are the times of each version from when it was accepted until the next was.
func (c *chronicle) expected(life *taskLife) []time.Time {
	var all []time.Time
	for i, v := range life.versions {
		to := life.cursor
		if i+1 < len(life.versions) {
			to = life.versions[i+1].Since
		}
		if times := v.Task.Times(); times != nil {
			found, _ := times.Between(v.Since, to, 1_000_000)
			all = append(all, found...)
		}
	}
	return all
}

func total(c nightwatch.Counts) int64 {
	return c.Succeeded + c.Failed + c.Canceled + c.Skipped + c.Missed
}

func some(times []time.Time) string {
	var text []string
	for _, t := range times[:min(len(times), 10)] {
		text = append(text, t.Format(time.RFC3339))
	}
	return fmt.Sprintf("%d (%s)", len(times), strings.Join(text, ", "))
}

// auditAll audits every task that is there.
func (c *chronicle) auditAll() {
	for _, e := range c.r.etcd.below(c.r.etcd.keys.Of(store.Tasks)) {
		c.audit(strings.TrimPrefix(e.Key, c.r.etcd.keys.Of(store.Tasks)))
	}
	c.r.t.Logf("%d records, %d revisions", c.records(), c.r.etcd.at())
}
