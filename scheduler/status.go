package scheduler

import (
	"reflect"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// How much of what there may be many of a status shows.
const (
	maxActive = 10
	maxNext   = 5
	// mirrorEvery is how often a status follows what only repeats what the runs' records say. A run that ends sooner
	// costs no write for having been under way.
	mirrorEvery = 100 * time.Millisecond
)

// countFinished adds to the counts every finished run whose record is younger than what they hold already.
func countFinished(p *plan) {
	counted := p.status.CountedRevision
	for _, r := range p.t.ordered {
		if r.mod > p.status.CountedRevision && r.run.TaskUID == p.uid && !r.run.Live() && r.run.ResolvedBy == "" && r != p.early && p.runs[r.run.ID] == nil {
			p.status.Counts.Add(r.run.Phase, 1)
			p.status.LastEndTime = later(p.status.LastEndTime, p.ended(&r.run))
			counted = max(counted, r.mod)
		}
	}
	p.status.CountedRevision = counted
}

// saveStatus derives what the status says from the rest of the plan, and writes it if that differs from what stands
// in the store.
func (p *plan) saveStatus() {
	s := &p.status
	live := p.live()
	s.ActiveCount, s.Active = len(live), nil
	for _, r := range live[:min(len(live), maxActive)] {
		s.Active = append(s.Active, r.run.ID)
	}
	s.LastRun = nil
	if r := p.last(); r != nil {
		last := r.run
		last.Checkpoint, last.Submitted, last.Upstream = nil, nil, nil // they are long, and of use to attempts only
		last.Log = nil                                                 // who may read the record may read the log
		if last.Shards != nil {
			brief := *last.Shards
			brief.Nodes, brief.Results = nil, nil
			last.Shards = &brief
		}
		s.LastRun = &last
	}
	s.Next, s.NextNotes, s.Still = nil, nil, ""
	if p.def != nil {
		s.Still, _ = p.standsStill()
		s.Next, s.NextNotes = p.next()
	}
	p.warn()
	p.derivePhase(live)
	if p.t.statusAt.present() {
		old := &p.t.status
		if sameStatus(old, s) && !p.inDoubt {
			return
		}
		since := old.UpdateTime
		if p.met != nil {
			since = later(since, later(p.met.run.NotBefore, p.met.run.StartTime)) // the claim, and not a write, was the last news
		}
		if age := p.now.Sub(since); !p.inDoubt && p.txn.Empty() && age >= 0 && age < mirrorEvery && p.mirrors(old, s) {
			p.wakeBy(since.Add(mirrorEvery))
			return
		}
	}
	s.UpdateTime = p.now
	key, saved := p.keys.Status(p.t.name), *s
	p.wrote = append(p.wrote, written{key: key, value: p.put(key, p.t.statusAt.mod, s), status: &saved})
}

// mirrors tells that nothing differs but what can be read from the runs' records.
func (p *plan) mirrors(a, b *nightwatch.Status) bool {
	x := *b
	if p.met != nil {
		x.Cursor, x.Next, x.NextNotes, x.StartedRuns = a.Cursor, a.Next, a.NextNotes, a.StartedRuns
	}
	x.Phase, x.Reason, x.Message, x.ActiveCount, x.Active, x.LastRun = a.Phase, a.Reason, a.Message, a.ActiveCount, a.Active, a.LastRun
	return sameStatus(a, &x)
}

func sameStatus(a, b *nightwatch.Status) bool {
	if a.Phase != b.Phase || a.Counts != b.Counts || !a.Cursor.Equal(b.Cursor) || a.ActiveCount != b.ActiveCount ||
		(a.LastRun == nil) != (b.LastRun == nil) || a.LastRun != nil && (a.LastRun.ID != b.LastRun.ID || a.LastRun.Phase != b.LastRun.Phase) {
		return false // as most differ; the rest takes longer
	}
	x, y := *a, *b
	x.UpdateTime, y.UpdateTime = nothing, nothing
	if reflect.DeepEqual(x, y) {
		return true
	}
	return encodeAny(&x) == encodeAny(&y) // empty and absent are the same in the store
}

// next are the times that follow the cursor, so that the list changes only when the cursor does, and what there is to
// say of those that daylight saving or a calendar moved.
func (p *plan) next() (next []time.Time, notes []nightwatch.Occurrence) {
	if !p.def.Task.Recurring() || p.status.Still != "" || p.exhausted() {
		return nil, nil
	}
	times := p.times()
	if times.AfterFinish() {
		if following, ok := times.Following(p.lastEnd(), p.from()); ok && len(p.live()) == 0 {
			next = append(next, following)
		}
		return next, nil
	}
	limit := int64(maxNext)
	if most := int64(p.def.Task.MaxRuns); most > 0 {
		limit = min(limit, most-p.status.StartedRuns)
	}
	for at := p.from(); int64(len(next)) < limit; {
		following, ok := times.Next(at)
		if !ok {
			break
		}
		next = append(next, following)
		if note := times.Note(following); note != "" {
			notes = append(notes, nightwatch.Occurrence{Time: following, Note: note})
		}
		at = following
	}
	return next, notes
}

func (p *plan) derivePhase(live []*runView) {
	s := &p.status
	s.Reason, s.Message = "", ""
	switch {
	case len(live) > 0:
		s.Phase = nightwatch.PhasePending
		for _, r := range live {
			if r.run.Phase == nightwatch.PhaseRunning || (r.run.Phase == nightwatch.PhaseAssigned && p.def != nil && (p.def.Task.Recurring() || p.def.Task.After != nil)) {
				s.Phase = nightwatch.PhaseRunning
			}
		}
		if oldest := &live[0].run; s.Phase == nightwatch.PhasePending {
			s.Reason, s.Message = oldest.Reason, oldest.Message
		}
	case p.def == nil:
		s.Phase = nightwatch.PhaseInvalid
	case s.Still != "" && (p.def.Task.Recurring() || p.def.Task.After != nil || s.PendingRevision != 0):
		s.Phase, s.Reason = nightwatch.PhaseSuspended, s.Still
		_, s.Message = p.standsStill()
	case p.def.Task.After != nil:
		s.Phase = nightwatch.PhaseScheduled
		s.Reason, s.Message = p.waitsForUpstreams()
	case p.def.Task.Recurring() && len(s.Next) > 0:
		s.Phase = nightwatch.PhaseScheduled
	case p.def.Task.Recurring():
		s.Phase = nightwatch.PhaseFinished
	case s.LastRun != nil:
		s.Phase, s.Reason, s.Message = s.LastRun.Phase, s.LastRun.Reason, s.LastRun.Message
	case s.SubmittedRevision != 0:
		s.Phase = nightwatch.PhaseFinished // its records have left the history
	default:
		s.Phase = nightwatch.PhasePending
	}
}

// encodeAny is a value of ours as it stands in the store, for comparison.
func encodeAny(v any) string {
	data, _ := nightwatch.Encode(v) // values of ours can be written
	return string(data)
}
