package jobrunner

import (
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// A run that its node could not claim in time never begins, whatever would run it, unless it is a Job that may exist.
func TestClaimedTooLate(t *testing.T) {
	const within = 200 * time.Millisecond
	for _, row := range []struct {
		name, value, runner string
		job                 *nightwatch.Job
		want                nightwatch.Phase
		starts              int
	}{
		{"process", `{"process":{"command":["true"]},"startWithin":"200ms"}`, nightwatch.RunnerProcess, nil, nightwatch.PhaseMissed, 0},
		{"Job", `{"image":"busybox","startWithin":"200ms"}`, nightwatch.RunnerKubernetes, nil, nightwatch.PhaseMissed, 0},
		{
			"Job that may exist", `{"image":"busybox","startWithin":"200ms"}`, nightwatch.RunnerKubernetes,
			&nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo"}, nightwatch.PhaseSucceeded, 1,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			r.kube.run = succeed
			r.accept(row.value)
			due := time.Now().Add(500 * time.Millisecond).UTC()
			key := r.start().give("a", func(run *nightwatch.Run) { run.NotBefore, run.Runner, run.Job = due, row.runner, row.job })
			r.told(key)
			r.proxy.Refuse()
			etcdtest.Eventually(t, soon, func() bool {
				tries, _ := r.failures(key)
				return tries > 0 && time.Now().After(due.Add(within))
			}, "it is claimed in vain until it is too late")
			r.proxy.Resume()
			run := r.wait("a", "ends", func(run nightwatch.Run) bool { return run.Phase.Terminal() })
			if got := r.starts() + len(r.kube.attempts); run.Phase != row.want || got != row.starts {
				t.Errorf("%d starts, %+v", got, run)
			}
			if run.Phase == nightwatch.PhaseMissed && (run.Reason != nightwatch.ReasonStartWithin || run.Message != "could not start within 200ms" ||
				!run.StartTime.IsZero() || !run.AttemptTime.IsZero()) {
				t.Errorf("%+v", run)
			}
			r.clean()
		})
	}
}
