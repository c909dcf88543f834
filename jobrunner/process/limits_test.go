package process

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestLimitsOf(t *testing.T) {
	got, err := limitsOf(nightwatch.ProcessLimits{Memory: "512Mi", CPU: "0.5", Pids: 100})
	if want := (limits{Memory: 512 << 20, CPU: 500, Pids: 100}); err != nil || got != want {
		t.Errorf("%+v, %v: want %+v", got, err, want)
	}
	for field, spec := range map[string]nightwatch.ProcessLimits{"memory": {Memory: "x"}, "cpu": {CPU: "x"}} {
		if _, err := limitsOf(spec); err == nil || !strings.Contains(err.Error(), "process.limits."+field+`: "x": want`) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestKeeper(t *testing.T) {
	all := []string{"cpu", "memory", "pids"}
	memory, cpu, pids := limits{Memory: 1 << 20}, limits{CPU: 500}, limits{Pids: 100}
	everything := limits{Memory: 1 << 20, CPU: 500, Pids: 100}
	for _, tt := range []struct {
		name   string
		limits limits
		means  means
		want   string
		fault  string
	}{
		{name: "no limits", means: means{v2: all}},
		{name: "the newer groups first", limits: everything, means: means{v2: all, v1: all, rlimits: true}, want: keptByCgroup2},
		{name: "what is needed, no more", limits: memory, means: means{v2: []string{"memory"}, v1: all}, want: keptByCgroup2},
		{name: "one controller is in the older groups", limits: everything, means: means{v2: []string{"memory", "pids"}, v1: all}, want: keptByCgroup1},
		{name: "all by one means", limits: everything, means: means{v2: []string{"memory", "pids"}, v1: []string{"cpu"}, rlimits: true},
			fault: "process.limits.cpu: 0.5: this node cannot keep it"},
		{name: "memory by resource limits", limits: memory, means: means{v1: []string{"pids"}, rlimits: true}, want: keptByRlimit},
		{name: "pids of an own user", limits: pids, means: means{rlimits: true, ownUser: true}, want: keptByRlimit},
		{name: "pids of the node's user", limits: pids, means: means{rlimits: true}, fault: "process.limits.pids: 100: this node cannot keep it"},
		{name: "what would help", limits: pids, means: means{rlimits: true}, fault: "want a process.user other than root and the node's own"},
		{name: "both of an own user", limits: limits{Memory: 1 << 20, Pids: 5}, means: means{rlimits: true, ownUser: true}, want: keptByRlimit},
		{name: "cpu", limits: cpu, means: means{rlimits: true, ownUser: true}, fault: "no resource limit bounds it"},
		{name: "why not", limits: cpu, means: means{rlimits: true, whyNot2: "/x is not delegated"}, fault: "(v2: /x is not delegated)"},
		{name: "no resource limits", limits: memory, fault: "process.limits.memory: 1048576: this node cannot keep it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.limits.keeper(tt.means)
			if got != tt.want || (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%q, %v: want %q, %q", got, err, tt.want, tt.fault)
			}
		})
	}
}
