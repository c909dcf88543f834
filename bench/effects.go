package bench

import (
	"slices"
	"sync"
	"time"
)

// effects are what was seen to happen: which occurrence, and how late.
type effects struct {
	mu   sync.Mutex
	seen map[occurrence]int
	late []time.Duration
	at   []time.Duration // of the same, since from
	from time.Time       // only occurrences from then on count,
	to   time.Time       // and before then, unless it is zero
	last time.Time
}

type occurrence struct {
	task    string
	nominal int64 // milliseconds
}

func newEffects() *effects {
	return &effects{seen: map[occurrence]int{}}
}

// note takes in that an occurrence of a task had its effect at a time.
func (e *effects) note(task string, nominal, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if nominal.Before(e.from) || !e.to.IsZero() && !nominal.Before(e.to) {
		return
	}
	e.seen[occurrence{task, nominal.UnixMilli()}]++
	e.late = append(e.late, at.Sub(nominal))
	e.at = append(e.at, at.Sub(e.from))
	if at.After(e.last) {
		e.last = at
	}
}

// between has only occurrences from one moment up to another count.
func (e *effects) between(from, to time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.from, e.to, e.late, e.at, e.last = from, to, nil, nil, time.Time{}
	clear(e.seen)
}

// end is when the last effect was.
func (e *effects) end() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

// count is how many occurrences were seen, and how many effects there were beyond one of each.
func (e *effects) count() (occurrences, extra int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen), len(e.late) - len(e.seen)
}

// Lateness is from nominal time to effect, in milliseconds.
type Lateness struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// lateness of all that was noted.
func (e *effects) lateness() Lateness {
	e.mu.Lock()
	late := slices.Clone(e.late)
	e.mu.Unlock()
	return latenessOf(late)
}

// latenessOf sorts what it is given.
func latenessOf(late []time.Duration) Lateness {
	if len(late) == 0 {
		return Lateness{}
	}
	slices.Sort(late)
	at := func(share float64) float64 {
		return milliseconds(late[min(int(share*float64(len(late))), len(late)-1)])
	}
	return Lateness{P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: at(1)}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
