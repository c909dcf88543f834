package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// TestEverySkipsAcrossTerms has a function that ignores its context until after its node has won the role again.
func TestEverySkipsAcrossTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := periodic{log: hclog.NewNullLogger()}
		var live, most, calls atomic.Int64
		release := make(chan struct{})
		times, err := schedule.Parse(schedule.Spec{Expressions: []string{"@every 1s"}})
		if err != nil {
			t.Fatal(err)
		}
		remove := p.add(&function{name: "deaf", times: times, call: func(context.Context) error {
			most.Store(max(most.Load(), live.Add(1)))
			defer live.Add(-1)
			if calls.Add(1) == 1 {
				<-release
			}
			return nil
		}})
		defer remove()
		for range 2 {
			ctx, resign := context.WithTimeout(t.Context(), 10*time.Second)
			p.run(ctx)
			resign()
		}
		if calls.Load() != 1 || most.Load() != 1 {
			t.Errorf("%d calls, %d at once, while the first goes on", calls.Load(), most.Load())
		}
		close(release)
		ctx, resign := context.WithTimeout(t.Context(), 10*time.Second)
		defer resign()
		p.run(ctx)
		if calls.Load() < 5 || most.Load() != 1 {
			t.Errorf("%d calls, %d at once, after the first has ended", calls.Load(), most.Load())
		}
	})
}
