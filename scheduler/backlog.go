package scheduler

import (
	"time"

	"github.com/nightwatch-go/nightwatch/store"
)

// How far a standby's view may be behind: so many events, which take it a tenth of a second, and so long.
const (
	maxBacklog = 20_000
	maxBehind  = time.Second
)

// backlog is what a standby has heard and not taken into its view yet. It catches up when it is to lead, and before there is
// too much of it. Of a key that has changed several times since, such as the record of a run that was made, claimed and
// finished, only the newest value is read.
type backlog struct {
	heard  []heard
	events int
	since  time.Time // when the first of them came, by the monotonic clock
}

// heard is a batch, and when it came.
type heard struct {
	batch store.Batch
	at    time.Time
}

func (b *backlog) add(batch store.Batch, at time.Time) {
	if len(b.heard) == 0 {
		b.since = time.Now()
	}
	b.heard = append(b.heard, heard{batch, at})
	b.events += len(batch.Events)
}

// age is how long the oldest has been waiting; 0: there is none.
func (b *backlog) age() time.Duration {
	if len(b.heard) == 0 {
		return 0
	}
	return time.Since(b.since)
}

// take empties the backlog, in order, into apply.
func (b *backlog) take(keys store.Keys, apply func(store.Batch, time.Time)) {
	if len(b.heard) == 0 {
		return
	}
	newest := make(map[string]int64, b.events)
	for _, h := range b.heard {
		for _, e := range h.batch.Events {
			newest[e.Key] = e.ModRevision
		}
	}
	for _, h := range b.heard {
		kept := h.batch.Events[:0]
		for _, e := range h.batch.Events {
			if newest[e.Key] == e.ModRevision || !latestCounts(keys, e.Key) {
				kept = append(kept, e)
			}
		}
		h.batch.Events = kept
		apply(h.batch, h.at)
	}
	*b = backlog{}
}

// latestCounts tells of a key that only its newest value matters, and not how it came to it, as it does with freezes.
func latestCounts(keys store.Keys, key string) bool {
	switch kind, _, _ := keys.Parse(key); kind {
	case store.Runs, store.Statuses, store.Ledgers, store.Locks, store.Queue:
		return true
	default:
		return false
	}
}
