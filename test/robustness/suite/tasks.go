package suite

import (
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// task is a task that is there from the beginning to the end.
type task struct{ name, value string }

// drains is how long a node that is to end waits for its runs to.
const drains = 10 * time.Second

// spread is how far apart the times of tasks are that are due once a minute.
const spread = 5 * time.Second

// Each of the probes is due once in probed, one of them every probeEvery.
const (
	probed     = 100 * time.Millisecond
	probeEvery = 25 * time.Millisecond
)

// The members of tasks that must run at every one of their times, however late: none is skipped, or missed.
const (
	everyTime = `"overlap":"allow","catchUp":{"mode":"all","max":1000},"history":{"succeeded":1000,"failed":1000,"skipped":1000}`
	atMost    = `"delivery":"at-most-once"`
)

// tasks are fifty-five runs a second: all runners, all overlap policies, both deliveries, attempts that fail.
func (s *suite) tasks() []task {
	var all []task
	add := func(name, runner string, work cluster.Work, fields string) {
		all = append(all, task{s.namespace + "/" + name, fmt.Sprintf(`{%s,%s}`, s.Work(runner, work), fields)})
	}
	const (
		http, handler, process, kube = nightwatch.RunnerHTTP, nightwatch.RunnerHandler, nightwatch.RunnerProcess, nightwatch.RunnerKubernetes
		second                       = `"every":"1s",`
	)
	quick := cluster.Work{}
	// Not more often: nodes contend for the lock of the task while it catches up, and start about eighteen a second.
	add("http-250ms", http, quick, `"every":"250ms",`+everyTime)
	// By these it is seen when there is a scheduler again: something is due all the time, on nodes of both kinds.
	// What they cannot keep up with they skip: runs that wait would start in no order.
	for i := range int(probed / probeEvery) {
		runner, fields := []string{handler, http}[i%2], ""
		if i > 0 {
			fields = fmt.Sprintf(`,"offset":%q`, time.Duration(i)*probeEvery)
		}
		add(fmt.Sprintf("probe-%d-%s", i, runner), runner, quick, fmt.Sprintf(`"every":%q%s`, probed, fields))
	}
	add("http-second", http, quick, second+everyTime)
	add("http-second-most", http, quick, second+everyTime+","+atMost)
	add("http-queue", http, cluster.Work{Lasts: 300 * time.Millisecond}, second+`"overlap":"queue-all"`)
	add("handler-skip", handler, cluster.Work{Lasts: 1300 * time.Millisecond}, second+`"overlap":"skip"`)
	add("handler-replace", handler, cluster.Work{Lasts: 1300 * time.Millisecond}, `"every":"2s","overlap":"replace"`)
	add("handler-most", handler, cluster.Work{Lasts: 500 * time.Millisecond}, second+everyTime+","+atMost)
	add("process-second", process, quick, second+everyTime)
	add("process-queue", process, cluster.Work{Lasts: time.Second}, `"every":"2s","overlap":"queue-one"`)
	add("process-most", process, cluster.Work{Lasts: 500 * time.Millisecond}, `"every":"2s",`+everyTime+","+atMost)
	const retry = `,"retry":{"attempts":%d,"backoff":"200ms"}`
	add("http-retry", http, cluster.Work{Fails: 1}, `"every":"2s",`+everyTime+fmt.Sprintf(retry, 3))
	add("process-retry", process, cluster.Work{Fails: 1}, `"every":"5s","overlap":"skip"`+fmt.Sprintf(retry, 3))
	add("handler-fails", handler, cluster.Work{Fails: 2}, `"every":"5s",`+everyTime+fmt.Sprintf(retry, 2))
	// What goes on for longer than its node may when it is cut off, and for longer than one that is to end waits.
	long := cluster.Work{Lasts: 4 * s.config.LeaseTTL}
	for _, runner := range []string{http, handler, process} {
		add(runner+"-long", runner, long, `"every":"10s"`)
	}
	add("process-longer", process, cluster.Work{Lasts: drains + s.config.LeaseTTL}, `"every":"15s"`)
	add("process-longer-most", process, cluster.Work{Lasts: drains + s.config.LeaseTTL}, `"every":"15s",`+atMost)
	short := cluster.Work{Lasts: 10 * time.Millisecond}
	if s.jobs != nil {
		add("job", kube, short, `"every":"2s",`+everyTime)
		add("job-skip", kube, cluster.Work{Lasts: 3 * time.Second}, `"every":"5s","overlap":"skip"`)
		add("job-most", kube, cluster.Work{Lasts: 3 * time.Second}, `"every":"5s",`+everyTime+","+atMost)
		add("job-fails", kube, cluster.Work{Lasts: 10 * time.Millisecond, Fails: 1}, `"every":"10s",`+everyTime+fmt.Sprintf(retry, 2))
	}
	runners := s.runners()
	for i := range int(time.Minute / spread) {
		runner, fields := runners[i%len(runners)], ""
		if i/len(runners)%2 == 1 {
			fields = "," + atMost
		}
		offset := time.Duration(i) * spread
		if offset > 0 {
			fields += fmt.Sprintf(`,"offset":%q`, offset)
		}
		add(fmt.Sprintf("minute-%02d-%s", i, runner), runner, short, `"every":"1m"`+fields)
	}
	return all
}
