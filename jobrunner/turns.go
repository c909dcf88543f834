package jobrunner

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// turns has the dispatches of one task take turns within this process, the oldest time first. The mutex in etcd is
// re-entrant within a session, so it does not tell two goroutines of one process apart.
type turns struct {
	mu    sync.Mutex
	lines map[string][]*turn // by task; the first of a line has its turn
}

type turn struct {
	nominal time.Time
	comes   chan struct{}
}

// enter waits for the turn of a dispatch of task; leave ends it.
func (t *turns) enter(ctx context.Context, task string, nominal time.Time) (leave func(), err error) {
	mine := &turn{nominal, make(chan struct{})}
	t.mu.Lock()
	line := t.lines[task]
	at := len(line)
	for at > 1 && nominal.Before(line[at-1].nominal) {
		at--
	}
	if at == 0 {
		close(mine.comes)
	}
	if t.lines == nil {
		t.lines = map[string][]*turn{}
	}
	t.lines[task] = slices.Insert(line, at, mine)
	t.mu.Unlock()
	leave = sync.OnceFunc(func() { t.leave(task, mine) })
	select {
	case <-mine.comes:
		return leave, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

func (t *turns) leave(task string, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := t.lines[task]
	at := slices.Index(line, mine)
	line = slices.Delete(line, at, at+1)
	if t.lines[task] = line; len(line) == 0 {
		delete(t.lines, task)
	} else if at == 0 {
		close(line[0].comes)
	}
}

// taken tells whether a dispatch of task is under way.
func (t *turns) taken(task string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.lines[task]) > 0
}

// lockPatience is how long a claim waits while one and the same holder has the task's mutex, before the run is given back:
// another dispatch holds it for a moment, a person for longer.
const lockPatience = 500 * time.Millisecond

// waitForLock rests before another try for the task's mutex. Who has it for long keeps the run from this node: it is to be
// given back. While it goes from one dispatch to the next, this one waits for it.
func (j *job) waitForLock(ctx context.Context, holder int64) error {
	if holder != j.holder {
		j.holder, j.refused = holder, time.Now()
	}
	if time.Since(j.refused) > lockPatience {
		return refusal(nightwatch.ReasonLocked)
	}
	rest(ctx, minPause+rand.N(minPause))
	return nil
}
