package suite

import (
	"fmt"
	"io"
	"time"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// Takeover is how long it took, after one kind of fault, until another node did what the scheduler does. All is measured
// from when the scheduler was killed, or asked to end.
type Takeover struct {
	Fault string `json:"fault"`
	// Cold says that it went to the node that keeps no view of the cluster and lists it first.
	Cold  bool `json:"cold"`
	Times int  `json:"times"`
	// Again is how often who led next was struck too before anything came of it. That is measured from the later one.
	Again int `json:"again"`
	// Effect is until the first effect began of what was due later: one of the probes is due every 25 ms.
	Effect checker.Spread `json:"effect"`
	// Silence is the longest time until then in which nothing began of what was due later.
	Silence checker.Spread `json:"silence"`
	// Gone is until a watch from outside saw that nobody held the role: what etcd takes to end a lease, or the node to resign.
	Gone checker.Spread `json:"gone"`
	// Beyond is by how much the effect came after that.
	Beyond checker.Spread `json:"beyond"`
}

// Name is that of the fault, and whether a cold standby led next.
func (t Takeover) Name() string {
	if t.Cold {
		return t.Fault + ", to a cold standby"
	}
	return t.Fault
}

// Spreads are those that there are.
func (t Takeover) Spreads() []checker.Spread {
	return []checker.Spread{t.Effect, t.Silence, t.Gone, t.Beyond}
}

// takeovers sums up those after each kind of fault that takes the scheduler, and it alone.
func takeovers(x *checker.Index, occurrences []checker.Occurrence) []Takeover {
	all := []Takeover{}
	for _, fault := range []struct{ kind, signal string }{{killScheduler, checker.FaultKill}, {restartScheduler, checker.FaultTerminate}} {
		seen := x.Takeovers(occurrences, signals(x.History, fault.kind, fault.signal))
		for _, cold := range []bool{false, true} {
			of := Takeover{Fault: fault.kind, Cold: cold}
			var effect, silence, gone, beyond []time.Duration
			for _, t := range seen {
				switch {
				case (t.To == coldNode) != cold:
				case t.Again:
					of.Again++
				default:
					effect, silence = append(effect, t.Effect), append(silence, t.Silence)
					gone, beyond = append(gone, t.Gone), append(beyond, t.Effect-t.Gone)
				}
			}
			of.Times, of.Effect, of.Silence = len(effect), checker.SpreadOf(effect), checker.SpreadOf(silence)
			of.Gone, of.Beyond = checker.SpreadOf(gone), checker.SpreadOf(beyond)
			if of.Times > 0 {
				all = append(all, of)
			}
		}
	}
	return all
}

// signals are what the faults of a kind came to for their nodes: they begin when the node got the signal.
func signals(h *checker.History, kind, signal string) []checker.Fault {
	var all []checker.Fault
	for _, f := range h.Faults {
		if f.Kind != kind {
			continue
		}
		var first checker.Fault
		for _, s := range h.Faults {
			if s.Kind == signal && s.Target == f.Target && !s.From.Before(f.From) && (first.Kind == "" || s.From.Before(first.From)) {
				first = s
			}
		}
		all = append(all, first)
	}
	return all
}

func (v *Verdict) writeTakeovers(w io.Writer) {
	if len(v.Takeovers) == 0 {
		return
	}
	fmt.Fprintln(w, "until another leads\ttimes\tagain\teffect p50\tp99\tmax\tsilence p50\tp99\tmax\tkey gone p50\tp99\tmax\tbeyond p50\tp99\tmax")
	for _, t := range v.Takeovers {
		fmt.Fprintf(w, "%s\t%d\t%d", t.Name(), t.Times, t.Again)
		for _, s := range t.Spreads() {
			fmt.Fprintf(w, "\t%s\t%s\t%s", round(s.P50), round(s.P99), round(s.Max))
		}
		fmt.Fprintln(w)
	}
}
