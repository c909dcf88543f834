package kubernetes

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Who waits for a turn that comes too late for it waits until it is over, and is told why that is so.
func TestTurnThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1, 1, newMetrics(&Runner{}).of("test"))
		began := time.Now()
		turn := func(limit time.Duration) error {
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, jobrunner.ErrTimeout)
			defer cancel()
			over, err := p.turn(ctx)
			if err == nil {
				over()
			}
			return err
		}
		for _, step := range []struct {
			limit, at time.Duration
			late      bool
		}{
			{limit: time.Second},
			{limit: 400 * time.Millisecond, at: 400 * time.Millisecond, late: true},
			{limit: time.Second, at: time.Second}, // the turn that was given up is another's
		} {
			err := turn(step.limit)
			if step.late != errors.Is(err, jobrunner.ErrTimeout) || !step.late && err != nil || time.Since(began) != step.at {
				t.Errorf("%+v: %v after %s", step, err, time.Since(began))
			}
		}
	})
}
