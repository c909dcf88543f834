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
)

// countFinished adds to the counts every finished run whose record is younger than what they hold already.
func countFinished(p *plan) {
	counted := p.status.CountedRevision
	for _, r := range p.all() {
		if p.runs[r.run.ID] == nil && !r.run.Live() && r.mod > p.status.CountedRevision {
			p.status.Counts.Add(r.run.Phase, 1)
			counted = max(counted, r.mod)
		}
	}
	p.status.CountedRevision = counted
}

// saveStatus derives what the status says from the rest of the plan, and writes it if that differs from what stands
// in the store.
func (p *plan) saveStatus() {
	s := &p.status
	live, all := p.live(), p.all()
	s.ActiveCount, s.Active = len(live), nil
	for _, r := range live[:min(len(live), maxActive)] {
		s.Active = append(s.Active, r.run.ID)
	}
	s.LastRun = nil
	if len(all) > 0 {
		s.LastRun = &all[len(all)-1].run
	}
	s.Next, s.Still = nil, ""
	if p.def != nil {
		s.Still = p.standsStill()
		s.Next = p.next()
	}
	p.derivePhase(live)
	if p.t.statusAt.present() && sameStatus(&p.t.status, s) {
		return
	}
	s.UpdateTime = p.now
	p.put(p.keys.Status(p.t.name), p.t.statusAt.mod, s)
}

func sameStatus(a, b *nightwatch.Status) bool {
	x, y := *a, *b
	x.UpdateTime, y.UpdateTime = nothing, nothing
	if reflect.DeepEqual(x, y) {
		return true
	}
	return encodeAny(&x) == encodeAny(&y) // empty and absent are the same in the store
}

// next are the times that follow the cursor, so that the list changes only when the cursor does.
func (p *plan) next() []time.Time {
	if !p.def.Task.Recurring() || p.status.Still != "" {
		return nil
	}
	var next []time.Time
	for at := p.status.Cursor; len(next) < maxNext; {
		following, ok := p.def.Task.Times().Next(at)
		if !ok {
			break
		}
		next = append(next, following)
		at = following
	}
	return next
}

func (p *plan) derivePhase(live []*runView) {
	s := &p.status
	s.Reason, s.Message = "", ""
	switch {
	case len(live) > 0:
		s.Phase = nightwatch.PhasePending
		for _, r := range live {
			if r.run.Phase == nightwatch.PhaseRunning || (r.run.Phase == nightwatch.PhaseAssigned && p.def != nil && p.def.Task.Recurring()) {
				s.Phase = nightwatch.PhaseRunning
			}
		}
		if oldest := &live[0].run; s.Phase == nightwatch.PhasePending {
			s.Reason, s.Message = oldest.Reason, oldest.Message
		}
	case p.def == nil:
		s.Phase = nightwatch.PhaseInvalid
	case s.Still != "" && (p.def.Task.Recurring() || s.PendingRevision != 0):
		s.Phase, s.Reason = nightwatch.PhaseSuspended, s.Still
		if what, frozen := p.view.frozen(p.t.name); frozen && s.Still == nightwatch.ReasonFrozen {
			s.Message = "freeze/" + what + " is there"
		}
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
