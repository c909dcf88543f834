package bench

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Report is what a bench found.
type Report struct {
	Time   time.Time `json:"time"` // when the first was due
	Tasks  int       `json:"tasks"`
	Nodes  int       `json:"nodes"`
	Runner string    `json:"runner"`
	Rate   float64   `json:"rate,omitempty"` // offered; left out when all were due at once

	// Runs is how many occurrences had their effect. RunsPerSecond counts from the moment that the first was due: of a burst to
	// the one at which the last with an effect was recorded to its end, of an even load to its end or to its last effect.
	Runs          int     `json:"runs"`
	RunsPerSecond float64 `json:"runsPerSecond"`
	// CeilingPerSecond is what etcd takes of bare lives of runs, measured right before; Efficiency is the share of it that
	// was reached.
	CeilingPerSecond float64 `json:"ceilingPerSecond"`
	Efficiency       float64 `json:"efficiency"`

	LatenessMs Lateness `json:"latenessMs"`
	// Missed occurrences had no effect; Duplicated is how many effects there were beyond one of each.
	Missed     int `json:"missed"`
	Duplicated int `json:"duplicated"`

	// What a run cost in etcd, from the history of its keys; absent when that has been compacted meanwhile, or nothing ran. A request is
	// one that wrote; bytes are those of keys and values.
	RequestsPerRun float64 `json:"requestsPerRun,omitempty"`
	KeysPerRun     float64 `json:"keysPerRun,omitempty"`
	BytesPerRun    float64 `json:"bytesPerRun,omitempty"`
	// DatabaseBytesPerRun is by how much etcd's database grew.
	DatabaseBytesPerRun float64 `json:"databaseBytesPerRun"`
	// CPUSecondsPerThousand is processor time of the bench with its nodes, which lead the cluster when there are no others;
	// MaxRSSBytes is the most memory it had, its own bookkeeping included.
	CPUSecondsPerThousand float64 `json:"cpuSecondsPerThousand"`
	MaxRSSBytes           int64   `json:"maxRSSBytes"`

	// Processes are those that are not the bench's: the cluster's own nodes, which run none of its tasks, and one of which leads;
	// etcd; and the API server. Those that do not tell what they use are left out: nodes that announce no address, an etcd
	// whose metrics are elsewhere, an API server that does not let the bench read them.
	Processes []Process `json:"processes,omitempty"`

	// Kubernetes says how the Jobs came about, if runs were Jobs.
	Kubernetes *Jobs `json:"kubernetes,omitempty"`

	// Quantiles and Timeline are for the plots.
	Quantiles []Quantile `json:"-"`
	Timeline  []Moment   `json:"-"`
}

// state is what is measured before and after the load.
type state struct {
	revision  int64
	database  int64
	cpu       time.Duration
	rss       int64
	requests  int64 // to the API server of Kubernetes
	processes []*used
}

func (b *bench) measure(ctx context.Context) (state, error) {
	response, err := b.client.Get(ctx, b.keys.MetaVersion())
	if err != nil {
		return state{}, fmt.Errorf("get %s: %w", b.keys.MetaVersion(), err)
	}
	s := state{revision: response.Header.Revision}
	// The database of one member says enough; etcd's users without rights to maintenance do without.
	if status, err := b.client.Status(ctx, b.client.Endpoints()[0]); err == nil {
		s.database = status.DbSizeInUse
	}
	s.cpu, s.rss = usage()
	s.processes = look(ctx, b.sources)
	if b.Kubernetes != nil {
		s.requests = b.Kubernetes.Requests()
	}
	return s, nil
}

func (b *bench) report(ctx context.Context, from, to, recorded time.Time, expected int, before, after state) (*Report, error) {
	seen, extra := b.effects.count()
	r := &Report{
		Time: from.UTC(), Tasks: b.Tasks, Nodes: b.Nodes, Runner: b.Task.Runner(), Rate: b.Rate, Runs: seen,
		Missed: max(expected-seen, 0), Duplicated: extra,
	}
	if b.ownHandler() {
		r.Runner = "handler"
	}
	r.LatenessMs, r.Quantiles, r.Timeline = b.effects.lateness(), b.effects.quantiles(), b.effects.timeline()
	if seen == 0 {
		return r, nil
	}
	length := recorded.Sub(from)
	if b.Rate > 0 {
		length = max(to.Sub(from), b.effects.end().Sub(from)) // the load itself ends later than its last run
	}
	r.RunsPerSecond = round(float64(seen) / length.Seconds())
	cost, known, err := b.history(ctx, before.revision, after.revision)
	if err != nil {
		return nil, err
	}
	runs := float64(seen)
	if known {
		r.RequestsPerRun, r.KeysPerRun, r.BytesPerRun = round(float64(cost.requests)/runs), round(float64(cost.keys)/runs), round(float64(cost.bytes)/runs)
	}
	r.DatabaseBytesPerRun = round(float64(max(after.database-before.database, 0)) / runs)
	r.CPUSecondsPerThousand = round((after.cpu - before.cpu).Seconds() * 1000 / runs)
	r.MaxRSSBytes = after.rss
	r.Processes = processReport(b.sources, before.processes, after.processes, runs)
	if b.Kubernetes != nil {
		r.Kubernetes = b.jobsReport(from, after.requests-before.requests)
	}
	return r, nil
}

// round keeps three significant digits after the point at the most.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }
