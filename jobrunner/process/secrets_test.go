package process_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

const canary = "canary-7d1e-bird"

// TestSecrets has programs that have a secret tell everybody: they have it, and nobody else.
func TestSecrets(t *testing.T) {
	r := newRunner(t, process.Config{})
	for _, tt := range []struct {
		name            string
		spec            nightwatch.ProcessSpec
		reason, message string
		output          string
		log             string // its end
	}{
		{name: "kept", spec: nightwatch.ProcessSpec{Shell: "[ $BIRD = " + canary[:6] + "'" + canary[6:] + "' ] && echo yes"}, output: "yes\n", log: "yes\n"},
		{name: "told", spec: nightwatch.ProcessSpec{Shell: "echo $BIRD; echo $BIRD >&2"}, output: "***\n***\n", log: "***\n***\n"},
		{name: "told in pieces", spec: nightwatch.ProcessSpec{Shell: "printf canary-; sleep 0.2; printf 7d1e-; sleep 0.2; echo bird"}, output: "***\n", log: "***\n"},
		{name: "told where output is cut", spec: nightwatch.ProcessSpec{Shell: "printf %s $BIRD; head -c 2046 /dev/zero | tr '\\0' x"}, output: "**" + strings.Repeat("x", 2046), log: "***" + strings.Repeat("x", 2046)},
		{name: "half of it at the end", spec: nightwatch.ProcessSpec{Shell: "printf canary-"}, output: "canary-", log: "canary-"},
		{name: "told where output is dropped", spec: nightwatch.ProcessSpec{Shell: "i=0; while [ $i -lt 20000 ]; do echo $BIRD $i; i=$((i+1)); done"}, log: "*** 19999\n"},
		{name: "two of them", spec: nightwatch.ProcessSpec{Shell: "echo $BIRD$TREE", Env: map[string]nightwatch.TextOrFile{"TREE": nightwatch.FromFile("tree")}}, output: "******\n", log: "******\n"},
		{name: "not there", spec: nightwatch.ProcessSpec{Shell: "true", Env: map[string]nightwatch.TextOrFile{"A": nightwatch.FromFile("fish")}}, reason: nightwatch.ReasonStartRefused, message: `process.env.A: secret "fish": there is no such secret`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]nightwatch.TextOrFile{"BIRD": nightwatch.FromFile("bird")}
			for name, value := range tt.spec.Env {
				env[name] = value
			}
			tt.spec.Env = env
			a, _ := runnertest.Attempt(t, &nightwatch.Task{Process: &tt.spec})
			a.Secrets = runnertest.Secrets{"bird": canary, "tree": "an old oak"}
			out := outcome(t, start(t.Context(), r, a))
			if out.Reason != tt.reason || out.Message != tt.message || tt.output != "" && out.Output != tt.output {
				t.Errorf("%+v: want %s, %s, output %q", out, tt.reason, tt.message, tt.output)
			}
			log := fmt.Sprint(a.Log)
			if !strings.HasSuffix(log, tt.log) {
				t.Errorf("the log ends with %q: want %q", log[max(0, len(log)-60):], tt.log)
			}
			for what, text := range map[string]string{"outcome": fmt.Sprintf("%+v", out), "log": log} {
				if strings.Contains(text, canary) || strings.Contains(text, "an old oak") {
					t.Errorf("%s: a secret is in it", what)
				}
			}
		})
	}
}
