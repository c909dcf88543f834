package scheduler

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/schedule"
)

// A backfill runs nominal times of the past that have not run. It is kept in the status of its task from the
// transaction that accepts the request until its last run has ended, so that a successor goes on with it. Its runs are
// those of the nominal times themselves, by name too: a time that has run has a record or a range of the ledger that
// says so, and does not run again; one that was skipped or missed leaves its range, or its record, for the new one.
// The cursor never moves for it.

const (
	// maxBackfills is how many of one task may be under way.
	maxBackfills = 10
	// maxBackfill is how many nominal times one may span.
	maxBackfill = 10_000
	// maxPreview is how many times a verdict lists.
	maxPreview = 10
	// maxBackfillParams is how many bytes of params the status keeps for one.
	maxBackfillParams = 8 << 10
	// maxRecounted is how many times a range from an earlier version may have that a backfill takes apart.
	maxRecounted = 100_000
	// maxLooks bounds the nominal times that one transaction looks at.
	maxLooks = 1000
)

// standing is what is known of a past nominal time.
type standing int

const (
	open     standing = iota // nothing: it may run
	ranged                   // skipped or missed, in a range
	recorded                 // skipped or missed, with a record
	taken                    // it has run, is running, or is the schedule's own
)

// backfill begins a backfill, or with dryRun says what it would do.
func (p *plan) backfill(id string, request *nightwatch.Request, verdict *nightwatch.Verdict) error {
	if !p.def.Task.Recurring() || p.def.Task.AfterFinish > 0 {
		return fault("action", "backfill: wants a task with schedule, every or at")
	}
	times := p.times()
	if times == nil {
		return fault("action", "backfill: %s", p.calendarMessage(p.missingCalendar()))
	}
	policy := request.Overlap
	if policy == "" {
		policy = p.def.Task.OverlapPolicy()
	}
	parallel := max(request.MaxParallel, 1)
	switch since := p.ledger.Since; {
	case request.To.After(p.now):
		return fault("to", "%s is in the future: want at most now", request.To.UTC().Format(time.RFC3339))
	case !since.IsZero() && !request.From.After(since) && request.To.After(p.status.EarliestTime):
		return fault("from", "%s: the ledger tells what ran only after %s", request.From.UTC().Format(time.RFC3339), since.UTC().Format(time.RFC3339))
	case parallel > 1 && policy != nightwatch.OverlapAllow:
		return fault("maxParallel", "%d: the task's overlap is %q, so one at a time; ask for overlap allow to run more", parallel, policy)
	case p.unsettled(times, request):
		return fault("to", "%s: the task stands still (%s), and what was due after %s is settled when that ends",
			request.To.UTC().Format(time.RFC3339), p.status.Still, p.from().Format(time.RFC3339))
	case len(encodeAny(request.Params)) > maxBackfillParams:
		return fault("params", "%d bytes: a backfill takes at most %d", len(encodeAny(request.Params)), maxBackfillParams)
	case slices.ContainsFunc(p.status.Backfills, func(b nightwatch.Backfill) bool { return b.ID == id }):
		return fault("key", "backfill %q is under way: use another id", id)
	case len(p.status.Backfills) >= maxBackfills:
		return fault("action", "backfill: %d are under way: wait for one, or cancel one", maxBackfills)
	}
	spanned := 0
	for at, ok := times.Next(request.From.Add(-time.Millisecond)); ok && at.Before(request.To); at, ok = times.Next(at) {
		if spanned++; spanned > maxBackfill {
			return fault("to", "more than %d times from %s on: ask for fewer at once", maxBackfill, request.From.UTC().Format(time.RFC3339))
		}
		if p.standing(at, times) == taken {
			continue
		}
		if verdict.Count++; len(verdict.Times) < maxPreview {
			verdict.Times = append(verdict.Times, at)
		}
	}
	verdict.Run = nightwatch.RequestedRunID(id)
	if request.DryRun || verdict.Count == 0 {
		return nil
	}
	p.status.Backfills = append(slices.Clone(p.status.Backfills), nightwatch.Backfill{
		ID: id, From: request.From.UTC(), To: request.To.UTC(), MaxParallel: parallel, Overlap: request.Overlap,
		Params: request.Params, By: request.By,
	})
	if request.From.Before(p.status.EarliestTime) {
		p.status.EarliestTime = request.From.UTC()
	}
	return nil
}

// unsettled tells whether a backfill asks for times of a stretch that still stands still.
func (p *plan) unsettled(times *schedule.Schedule, request *nightwatch.Request) bool {
	if p.status.Still == "" {
		return false
	}
	at, ok := times.Next(later(p.from(), request.From.Add(-time.Millisecond)))
	return ok && at.Before(request.To)
}

// standing says whether a past nominal time may be run by a backfill.
func (p *plan) standing(at time.Time, times *schedule.Schedule) standing {
	id := nightwatch.ScheduledRunID(at)
	r := p.runs[id]
	if r == nil {
		r = p.t.runs[id]
	}
	if r != nil {
		if r.run.TaskUID == p.uid && r.run.ResolvedBy == "" && (r.run.Phase == nightwatch.PhaseSkipped || r.run.Phase == nightwatch.PhaseMissed) {
			return recorded
		}
		return taken
	}
	if r, found := ledger.Find(p.ledger, at); found {
		if (r.Outcome == nightwatch.PhaseSkipped || r.Outcome == nightwatch.PhaseMissed) && p.canCarve(r, times) {
			return ranged
		}
		return taken
	}
	if since := p.ledger.Since; !since.IsZero() && !at.After(since) && !at.Before(p.status.EarliestTime) {
		return taken // it may be among the totals
	}
	if at.After(p.from()) {
		return taken // the schedule is about to meet it
	}
	return open
}

// canCarve tells whether a range can be taken apart by the task's times: one that began before they were what they are, under
// an earlier version or another calendar, only if it has just these.
func (p *plan) canCarve(r nightwatch.LedgerRange, times *schedule.Schedule) bool {
	if r.From.After(p.timesSince()) || r.Count == 1 {
		return true
	}
	if p.carvable == nil {
		p.carvable = map[time.Time]bool{}
	}
	can, known := p.carvable[r.From]
	if !known && r.Count <= maxRecounted {
		counted := int64(0)
		last := r.From
		for at, ok := times.Next(r.From.Add(-time.Millisecond)); ok && !at.After(r.To) && counted <= r.Count; at, ok = times.Next(at) {
			if counted == 0 && !at.Equal(r.From) {
				break
			}
			counted, last = counted+1, at
		}
		can = counted == r.Count && last.Equal(r.To)
		p.carvable[r.From] = can
	}
	return can
}

// advanceBackfills makes the next runs of each backfill, and forgets those that are done.
func advanceBackfills(p *plan) {
	if len(p.status.Backfills) == 0 || p.def == nil {
		return
	}
	times := p.times()
	_, frozen := p.view.frozen(p.t.name)
	var under []nightwatch.Backfill
	for _, b := range p.status.Backfills {
		more := b.Cancel == nil
		switch {
		case !p.def.Task.Recurring() || p.def.Task.AfterFinish > 0:
			more = false // an edit has left it without times
		case more && times != nil && !frozen:
			more = p.advance(&b, times)
		}
		if more || p.liveOf(b.ID) > 0 {
			under = append(under, b)
		}
	}
	p.status.Backfills = under
}

// advance makes runs of a backfill as far as it may now. It tells whether there are times left.
func (p *plan) advance(b *nightwatch.Backfill, times *schedule.Schedule) (more bool) {
	policy := b.Overlap
	if policy == "" {
		policy = p.def.Task.OverlapPolicy()
	}
	after := later(b.From.Add(-time.Millisecond), b.Cursor)
	for range maxLooks {
		at, ok := times.Next(after)
		if !ok || !at.Before(b.To) {
			return false
		}
		state := p.standing(at, times)
		if state == taken {
			b.Cursor, after = at, at
			continue
		}
		if p.liveOf(b.ID) >= b.MaxParallel || policy != nightwatch.OverlapAllow && len(p.live()) > 0 {
			return true // the end of a run brings it on
		}
		if p.full() {
			break
		}
		if state == recorded {
			// The record goes first, in a transaction of its own, as only what has been counted may go, and its shards' before
			// that. If we die here the time is one that was skipped or missed, in a range.
			r := p.t.runs[nightwatch.ScheduledRunID(at)]
			if r != nil && p.counts(r) && !p.writes(p.keys.Run(p.t.name, r.run.ID)) {
				p.txn.Seen(p.keys.Status(p.t.name), p.t.statusAt.mod)
				if p.shedShards(r.run.ID) {
					p.fold(r)
				}
				p.changes++ // the history is for the next one: it may want the same record
			}
			break
		}
		if state == ranged {
			left, from, _ := ledger.Carve(p.ledger, at, times)
			p.ledger, p.ledgerChanged = left, true
			p.status.Counts.Add(from.Outcome, -1) // it is counted anew when it has run
		}
		p.seenTask()
		p.txn.Seen(p.keys.Ledger(p.t.name), p.t.ledgerAt.mod)
		r := p.newRun(nightwatch.ScheduledRunID(at), at)
		r.run.Backfill, r.run.Params = b.ID, b.Params
		b.Cursor, after = at, at
		p.assign(r, r.run)
	}
	p.wakeBy(p.now)
	return true
}

// liveOf counts the live runs of a backfill.
func (p *plan) liveOf(id string) int {
	n := 0
	for _, r := range p.live() {
		if r.run.Backfill == id {
			n++
		}
	}
	return n
}

// cancelBackfill writes the wish that a backfill end, if run names one ("req-<id>").
func (p *plan) cancelBackfill(run string, request *nightwatch.Request) bool {
	i := slices.IndexFunc(p.status.Backfills, func(b nightwatch.Backfill) bool { return nightwatch.RequestedRunID(b.ID) == run })
	if i < 0 {
		return false
	}
	if p.status.Backfills[i].Cancel == nil {
		p.status.Backfills = slices.Clone(p.status.Backfills)
		p.status.Backfills[i].Cancel = p.cancelFor(request)
	}
	return true
}

// backfillCancel is the wish that a run end because its backfill is to end.
func (p *plan) backfillCancel(r *nightwatch.Run) *nightwatch.Cancel {
	if r.Backfill == "" {
		return nil
	}
	for _, b := range p.status.Backfills {
		if b.ID == r.Backfill {
			return b.Cancel
		}
	}
	return nil
}
