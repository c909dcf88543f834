package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// Verdict is what came of a run of the suite.
type Verdict struct {
	Seed     uint64         `json:"seed"`
	Duration time.Duration  `json:"duration"` // in nanoseconds, as all of them
	LeaseTTL time.Duration  `json:"leaseTTL"`
	Members  int            `json:"members"`
	Churn    int64          `json:"churn"`
	Faults   []string       `json:"faults"`
	Bounds   checker.Bounds `json:"bounds"`
	Tally
	// Rows are what came of each kind of fault; the first is that of none.
	Rows []Row `json:"rows"`
	// Takeovers are how long it took until another node did what the scheduler does, by the fault that it took.
	Takeovers  []Takeover          `json:"takeovers"`
	Operations int                 `json:"operations"`
	Violations []checker.Violation `json:"violations"`

	// Dir is the folder with all that is left of the run.
	Dir string `json:"-"`
}

// Tally sums up occurrences.
type Tally struct {
	Occurrences int           `json:"occurrences"`
	Lost        int           `json:"lost"`
	Twice       int           `json:"twice"`
	Again       int           `json:"again"` // began again, as their records say: attempts that failed or lost their node
	P99         time.Duration `json:"lateP99"`
	Max         time.Duration `json:"lateMax"`
}

// Row is what became of what was due from the beginning of a fault of its kind until the next fault of any kind began.
// With faults that overlap it is the newer one that it counts for.
type Row struct {
	Fault string `json:"fault"`
	Times int    `json:"times"`
	Tally
	// Recovery is how long after a fault's beginning the last run began that was more than a second late: the median and
	// the longest of all faults of the kind, 0 if there was no such run.
	Recovery        time.Duration `json:"recovery"`
	LongestRecovery time.Duration `json:"longestRecovery"`
}

// noFault is the row of what was due before the first fault, and once all was to be well again.
const noFault = "none"

// punctual is how late a run may be that counts as on time.
const punctual = time.Second

// judge says what came of a run of the suite, and leaves that in its folder.
func judge(config Config, h *checker.History, bounds checker.Bounds, process []checker.Violation) (*Verdict, error) {
	x, err := checker.NewIndex(h)
	if err != nil {
		return nil, err
	}
	v := &Verdict{
		Seed: config.Seed, Duration: config.Duration, LeaseTTL: config.LeaseTTL, Members: config.Members, Churn: config.Churn, Faults: config.Faults, Bounds: bounds,
		Dir: config.Dir, Operations: len(h.Operations), Violations: slices.Concat(process, x.Check(bounds)),
	}
	occurrences := x.Occurrences()
	v.Tally = tally(occurrences)
	v.Rows = rows(occurrences, storms(h), bounds.Heal)
	v.Takeovers = takeovers(x, occurrences)
	return v, v.write(x, occurrences)
}

// Again judges the history of a run anew, by the verdict in its folder.
func Again(dir string, h *checker.History) (*Verdict, error) {
	data, err := os.ReadFile(filepath.Join(dir, verdictFile))
	if err != nil {
		return nil, err
	}
	var before Verdict
	if err := json.Unmarshal(data, &before); err != nil {
		return nil, err
	}
	process := slices.DeleteFunc(before.Violations, func(v checker.Violation) bool { return !slices.Contains(unseen, v.Invariant) })
	config := Config{Seed: before.Seed, Duration: before.Duration, LeaseTTL: before.LeaseTTL, Members: before.Members, Churn: before.Churn, Faults: before.Faults, Dir: dir}
	return judge(config, h, before.Bounds, process)
}

// storms are the suite's own faults, in order, without what they came to for single nodes.
func storms(h *checker.History) []checker.Fault {
	known := Names()
	all := slices.DeleteFunc(slices.Clone(h.Faults), func(f checker.Fault) bool { return !slices.Contains(known, f.Kind) })
	slices.SortStableFunc(all, func(a, b checker.Fault) int { return a.From.Compare(b.From) })
	return all
}

func tally(occurrences []checker.Occurrence) Tally {
	t := Tally{Occurrences: len(occurrences)}
	var timely []checker.Occurrence
	for _, o := range occurrences {
		switch {
		case o.Lost():
			t.Lost++
		case o.Twice():
			t.Twice++
		case o.Starts > 1:
			t.Again++
		}
		if !o.Waited {
			timely = append(timely, o)
		}
	}
	late := checker.Late(timely, time.Time{}, time.Unix(1<<40, 0))
	t.P99, t.Max = late.P99, late.Max
	return t
}

func rows(occurrences []checker.Occurrence, faults []checker.Fault, heal time.Duration) []Row {
	due := map[string][]checker.Occurrence{}
	back := map[string][]time.Duration{} // recoveries
	recovered := make([]time.Duration, len(faults))
	var over time.Time
	for _, f := range faults {
		if f.To.After(over) {
			over = f.To
		}
	}
	for _, o := range occurrences {
		i, exact := slices.BinarySearchFunc(faults, o.Due, func(f checker.Fault, at time.Time) int { return f.From.Compare(at) })
		if !exact {
			i--
		}
		kind := noFault
		if i >= 0 && o.Due.Before(over.Add(heal)) {
			kind = faults[i].Kind
			if o.Starts > 0 && !o.Waited && o.Late() > punctual {
				recovered[i] = max(recovered[i], o.Began.Sub(faults[i].From))
			}
		}
		due[kind] = append(due[kind], o)
	}
	for i, f := range faults {
		back[f.Kind] = append(back[f.Kind], recovered[i])
	}
	var all []Row
	for _, name := range append([]string{noFault}, Names()...) {
		row := Row{Fault: name, Times: len(back[name]), Tally: tally(due[name])}
		if row.Times > 0 {
			slices.Sort(back[name])
			row.Recovery, row.LongestRecovery = back[name][row.Times/2], back[name][row.Times-1]
		}
		if row.Times > 0 || name == noFault {
			all = append(all, row)
		}
	}
	return all
}

// OK tells whether every promise was kept.
func (v *Verdict) OK() bool { return v.Lost == 0 && v.Twice == 0 && len(v.Violations) == 0 }

// String is all of it for people. Its last line is for programs as well.
func (v *Verdict) String() string {
	var text strings.Builder
	for _, violation := range v.Violations[:min(len(v.Violations), 50)] {
		fmt.Fprintln(&text, violation)
	}
	if more := len(v.Violations) - 50; more > 0 {
		fmt.Fprintf(&text, "and %d more violations\n", more)
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\ttimes\tdue\tlost\ttwice\tagain\tlate p99\tmax\trecovery\tlongest")
	for _, r := range v.Rows {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", r.Fault, r.Times, r.Occurrences, r.Lost, r.Twice, r.Again,
			round(r.P99), round(r.Max), round(r.Recovery), round(r.LongestRecovery))
	}
	_ = table.Flush() // to memory
	v.writeTakeovers(table)
	_ = table.Flush()
	if !v.OK() {
		fmt.Fprintf(&text, "again: %s\n", v.Command())
	}
	fmt.Fprintf(&text, "occurrences %d, lost %d, twice %d, violations %d, late p99 %s, max %s",
		v.Occurrences, v.Lost, v.Twice, len(v.Violations), round(v.P99), round(v.Max))
	return text.String()
}

// Command is what repeats the run.
func (v *Verdict) Command() string {
	return fmt.Sprintf("make robustness SEED=%d DURATION=%s TTL=%s MEMBERS=%d CHURN=%d FAULTS=%s", v.Seed, v.Duration, v.LeaseTTL, v.Members, v.Churn, strings.Join(v.Faults, ","))
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// What is in the folder, beside the histories and the logs of nodes.
const (
	verdictFile  = "verdict.json"
	timelineFile = "timeline.html"
)

// write writes the verdict and the timeline into the folder.
func (v *Verdict) write(x *checker.Index, occurrences []checker.Occurrence) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(v.Dir, verdictFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	page, err := timeline(v, x, occurrences)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(v.Dir, timelineFile), page, 0o644)
}
