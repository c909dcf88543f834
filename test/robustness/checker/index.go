package checker

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Index is a history in the order, and by the names, that invariants ask for. Of the changes it keeps what is asked for:
// long histories are larger than memory.
type Index struct {
	*History
	// Began and Ended are when the first and the last of the changes were seen.
	Began, Ended time.Time

	// runs are all records that there ever were, in the order in which they were made.
	runs []*run
	// tasks are all lives that keys of tasks ever had, in the order in which they began.
	tasks []*task
	// leaders are the candidates for the scheduler role, in the order in which they stood for it.
	leaders spans
	// nodes are the lives of nodes, with their sessions.
	nodes spans
	// freezes are what was frozen, by key.
	freezes map[string]*spans
	// observed is the newest revision of each task that its status told of, gone that at which its key was deleted last.
	observed, gone map[string]int64
	// verdicts are the requests that were ever answered, with the run that came of them, requests those that were ever made.
	verdicts map[string]string
	requests map[string]bool
	// kept are the keys of tasks that are there in the end, but for records.
	kept map[string]bool
	// work are the keys that are there in the end and tell of something under way: locks, requests and queues.
	work map[string]bool
	// strays are effects, and Jobs, of no record.
	strays     []Effect
	strayJobs  []*job
	unreadable []Change
	names      map[int64]string // of nodes, by their terms

	lives  map[string][]*run // of a record's key
	newest map[string]*task  // by name
	texts  map[string]string // each once, of those that come again and again
}

// run is one life of a record: from its creation to its deletion, if it was deleted.
type run struct {
	key      string // <namespace>/<task>/<run>
	versions []version
	deleted  int64 // revision; 0 never
	effects  []Effect
	jobs     []*job
	offClock bool // who made it had a clock that was off: it was due by that
}

// version is what a record said from one revision on.
type version struct {
	record
	revision int64
	seen     time.Time
}

// record is what the checker reads of a run's record.
type record struct {
	ID           string    `json:"id"`
	Task         string    `json:"task"`
	TaskUID      int64     `json:"taskUID"`
	TaskRevision int64     `json:"taskRevision"`
	Phase        string    `json:"phase"`
	Reason       string    `json:"reason"`
	NominalTime  time.Time `json:"nominalTime"`
	CreateTime   time.Time `json:"createTime"`
	NotBefore    time.Time `json:"notBefore"`
	Announced    bool      `json:"announced"`
	StartTime    time.Time `json:"startTime"`
	EndTime      time.Time `json:"endTime"`
	Attempt      int       `json:"attempt"`
	LostSessions int       `json:"lostSessions"`
	Failures     int       `json:"failures"`
	Node         string    `json:"node"`
	Session      string    `json:"session"`
	Runner       string    `json:"runner"`
	Term         int64     `json:"term"`
	Fence        int64     `json:"fence"`
	ExitCode     *int      `json:"exitCode"`
	Job          *jobName  `json:"job"`
	Overlap      string    `json:"overlap"`
	Backfill     string    `json:"backfill"`
	// Submitted is there in the live record of a submission.
	Submitted content `json:"submitted"`
	// Shards is there in the record of a run that is only the sum of its shards, Shard in that of one of these.
	Shards content `json:"shards"`
	Shard  content `json:"shard"`
}

// content stands for JSON of which it matters only whether it is there, and the same as before: 0 for none.
type content uint64

func (c *content) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	sum := fnv.New64a()
	_, _ = sum.Write(data) // to memory
	*c = content(max(sum.Sum64(), 1))
	return nil
}

type jobName struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// job is one Job object.
type job struct {
	JobEvent                   // the first that was seen of it
	created, finished, deleted time.Time
	succeeded                  bool
}

func (r *run) first() version { return r.versions[0] }
func (r *run) last() version  { return r.versions[len(r.versions)-1] }

// holds tells whether a claim with this fence may have been one of r.
func (r *run) holds(fence int64) bool {
	return r.first().revision <= fence && (r.deleted == 0 || fence < r.deleted)
}

// scheduled tells whether the run is that of a nominal time of its task's schedule.
func (r *run) scheduled() bool {
	f := r.first()
	return f.Shard == 0 && f.Backfill == "" && !strings.HasPrefix(f.ID, "rev-") && !strings.HasPrefix(f.ID, "req-") && !strings.HasPrefix(f.ID, "dep-")
}

// began is when the first attempt began, by its effect or its Job: false if nobody saw it.
func (r *run) began() (time.Time, bool) {
	for _, e := range r.effects {
		if e.Event == EffectStart {
			return e.At(), true
		}
	}
	for _, j := range r.jobs {
		if !j.Suspended {
			return j.created, true
		}
	}
	return time.Time{}, false
}

// starts are the effect's beginnings, in order of time.
func (r *run) starts() []Effect {
	var starts []Effect
	for _, e := range r.effects {
		if e.Event == EffectStart {
			starts = append(starts, e)
		}
	}
	return starts
}

// NewIndex reads a history. The error is about its file: a value that cannot be read is what an invariant is about.
func NewIndex(h *History) (*Index, error) {
	x := &Index{
		History: h, freezes: map[string]*spans{}, observed: map[string]int64{}, gone: map[string]int64{}, verdicts: map[string]string{}, requests: map[string]bool{}, kept: map[string]bool{},
		work: map[string]bool{}, lives: map[string][]*run{}, newest: map[string]*task{}, texts: map[string]string{}, names: map[int64]string{},
	}
	if err := h.eachChange(x.add); err != nil {
		return nil, err
	}
	x.dropWithdrawn()
	x.addRuns()
	x.addEffects()
	x.addJobs()
	x.addClocks()
	x.lives, x.newest, x.texts = nil, nil, nil
	return x, nil
}

// add takes the changes in the order of their revisions.
func (x *Index) add(c Change) {
	if x.Began.IsZero() {
		x.Began = c.Seen
	}
	x.Ended = c.Seen
	kind, tail, _ := strings.Cut(c.Key, "/")
	switch kind {
	case "runs":
		x.addRecord(tail, c)
	case "tasks", "accepted", "status", "ledger":
		x.addTask(kind, tail, c)
	case "election":
		x.leaders.follow(tail, string(c.Value), c)
	case "freeze":
		if x.freezes[tail] == nil {
			x.freezes[tail] = &spans{}
		}
		x.freezes[tail].follow(tail, "", c)
	case "nodes":
		var node struct {
			Session string `json:"session"`
		}
		_ = json.Unmarshal(c.Value, &node) // one that cannot be read has no session
		x.nodes.follow(tail, node.Session, c)
	case "verdicts":
		if !c.Deleted {
			var verdict struct {
				Accepted bool   `json:"accepted"`
				Run      string `json:"run"`
			}
			if json.Unmarshal(c.Value, &verdict) != nil {
				x.unreadable = append(x.unreadable, c)
			}
			x.verdicts[tail] = ""
			if verdict.Accepted {
				x.verdicts[tail] = verdict.Run
			}
		}
	case "locks", "requests", "queue":
		if kind == "requests" && !c.Deleted {
			x.addRequest(tail, c)
		}
		if c.Deleted {
			delete(x.work, c.Key)
		} else {
			x.work[c.Key] = true
		}
	}
}

func (x *Index) addRequest(tail string, c Change) {
	x.requests[tail] = true
	var request struct {
		Action string `json:"action"`
	}
	_ = json.Unmarshal(c.Value, &request) // what is none is refused
	if t := x.newest[taskOf(tail)]; t != nil && request.Action == "cancel" {
		t.canceled = true
	}
}

// taskOf is the task of a request, whose id is the last of the tail.
func taskOf(tail string) string { return tail[:max(strings.LastIndex(tail, "/"), 0)] }

// Span is the life of a key, from the revision that created it until the one that deleted it.
type Span struct {
	// Key is below that of its kind, What of a candidate the name of the node, of a node its session.
	Key, What string
	// Began and Ended are when these were seen; Ended is zero while the key is there.
	Began, Ended time.Time

	from, to int64 // to is 0 while it is there
}

// at tells whether the key was there right before a revision.
func (s Span) at(revision int64) bool { return s.from < revision && (s.to == 0 || revision <= s.to) }

// Candidates are those for the scheduler role, in the order in which they stood for it: the first that is there leads.
func (x *Index) Candidates() []Span { return x.leaders.all }

// Nodes are the lives of nodes.
func (x *Index) Nodes() []Span { return x.nodes.all }

// spans are the lives of keys, in the order in which they began.
type spans struct {
	all   []Span
	there map[string]int // those that have not ended, by key
}

func (s *spans) follow(key, what string, c Change) {
	i, there := s.there[key]
	switch {
	case c.Deleted && there:
		s.all[i].to, s.all[i].Ended = c.Revision, c.Seen
		delete(s.there, key)
	case !c.Deleted && there:
		s.all[i].What = what
	case !c.Deleted:
		if s.there == nil {
			s.there = map[string]int{}
		}
		s.there[key] = len(s.all)
		s.all = append(s.all, Span{Key: key, What: what, Began: c.Seen, from: c.Revision})
	}
}

// around tells, of the lives of one key, whether it was there right before and at a revision.
func (s *spans) around(revision int64) bool {
	i, _ := slices.BinarySearchFunc(s.all, revision, func(life Span, at int64) int { return cmp.Compare(life.from, at) })
	return i > 0 && (s.all[i-1].to == 0 || revision < s.all[i-1].to)
}

func (x *Index) addRecord(key string, c Change) {
	all := x.lives[key]
	if c.Deleted {
		if len(all) > 0 {
			all[len(all)-1].deleted = c.Revision
		}
		return
	}
	var r record
	if err := json.Unmarshal(c.Value, &r); err != nil {
		x.unreadable = append(x.unreadable, c)
		return
	}
	if len(all) == 0 || all[len(all)-1].deleted != 0 {
		life := &run{key: key}
		x.runs = append(x.runs, life)
		all = append(all, life)
		x.lives[key] = all
	}
	x.share(&r.ID, &r.Task, &r.Phase, &r.Reason, &r.Node, &r.Session, &r.Runner, &r.Overlap, &r.Backfill)
	life := all[len(all)-1]
	life.versions = append(life.versions, version{r, c.Revision, c.Seen})
}

// dropWithdrawn forgets the records that were announced and withdrawn before they were claimed: whatever happened in their
// name is astray.
func (x *Index) dropWithdrawn() {
	withdrawn := func(r *run) bool {
		return r.deleted != 0 && !slices.ContainsFunc(r.versions, func(v version) bool { return !v.Announced })
	}
	x.runs = slices.DeleteFunc(x.runs, withdrawn)
	for key, all := range x.lives {
		x.lives[key] = slices.DeleteFunc(all, withdrawn)
	}
}

// share has equal texts be one.
func (x *Index) share(texts ...*string) {
	for _, text := range texts {
		same, ok := x.texts[*text]
		if !ok {
			same = *text
			x.texts[same] = same
		}
		*text = same
	}
}

func (x *Index) addEffects() {
	effects := slices.Clone(x.Effects)
	slices.SortStableFunc(effects, func(a, b Effect) int { return cmp.Compare(a.Time, b.Time) })
	for _, e := range effects {
		all := x.lives[e.Task+"/"+e.Run]
		if i := slices.IndexFunc(all, func(r *run) bool { return r.holds(e.Fence) }); i >= 0 {
			all[i].effects = append(all[i].effects, e)
		} else {
			x.strays = append(x.strays, e)
		}
	}
}

func (x *Index) addJobs() {
	jobs := map[string]*job{}
	var order []*job
	for _, e := range x.Jobs {
		j := jobs[e.UID]
		if j == nil {
			j = &job{JobEvent: e}
			jobs[e.UID] = j
			order = append(order, j)
		}
		switch e.Event {
		case JobCreated:
			j.created = e.Time
		case JobFinished:
			j.finished, j.succeeded = e.Time, e.Succeeded
		case JobDeleted:
			j.deleted = e.Time
		}
	}
	for _, j := range order {
		all := x.lives[j.Task+"/"+j.Run]
		if i := slices.IndexFunc(all, func(r *run) bool { return r.first().TaskUID == j.TaskUID }); i >= 0 {
			all[i].jobs = append(all[i].jobs, j)
		} else {
			x.strayJobs = append(x.strayJobs, j)
		}
	}
}

// addClocks finds the runs that a scheduler made whose clock was off.
func (x *Index) addClocks() {
	for _, c := range x.leaders.all {
		x.names[c.from] = c.What
	}
	for _, f := range x.Faults {
		if f.Kind != FaultClock {
			continue
		}
		for _, r := range x.runs {
			r.offClock = r.offClock || x.ledBy(f, r.first())
		}
	}
}

// ledBy tells whether a version is of the term of the node whose clock was off, and of that time.
func (x *Index) ledBy(f Fault, v version) bool {
	return x.names[v.Term] == f.Target && !v.seen.Before(f.From) && v.seen.Before(f.To.Add(onTheWay))
}

// ledByAny tells whether a version is of the term of a node whose clock was off then.
func (x *Index) ledByAny(v version) bool {
	return slices.ContainsFunc(x.Faults, func(f Fault) bool { return f.Kind == FaultClock && x.ledBy(f, v) })
}

// ahead is by how much the scheduler's clock was ahead when it, or in its term a node, wrote a version.
func (x *Index) ahead(v version) time.Duration {
	ahead := time.Duration(0)
	for _, f := range x.Faults {
		if f.Kind == FaultClock && x.ledBy(f, v) {
			ahead = max(ahead, f.Off)
		}
	}
	return ahead
}

// terminal tells whether a phase is for good.
func terminal(phase string) bool {
	switch phase {
	case "Succeeded", "Failed", "Canceled", "Skipped", "Missed":
		return true
	}
	return false
}
