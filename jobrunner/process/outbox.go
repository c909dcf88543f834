package process

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// outbox writes a guard's events in their order from one goroutine, so that nobody else ever waits for the pipe. What
// it holds is bounded by the attempts: two events each, and one pong.
type outbox struct {
	lines *json.Encoder
	kick  chan struct{}

	mu      sync.Mutex
	waiting []event
	pong    bool
	idle    chan struct{}
}

func newOutbox(w io.Writer) *outbox {
	return &outbox{lines: json.NewEncoder(w), kick: make(chan struct{}, 1)}
}

func (o *outbox) put(ev event) {
	o.mu.Lock()
	if ev.Pong {
		o.pong = true
	} else {
		o.waiting = append(o.waiting, ev)
	}
	o.mu.Unlock()
	wake(o.kick)
}

// run writes until the process ends. After an error there is nobody left to tell.
func (o *outbox) run() {
	for range o.kick {
		o.mu.Lock()
		batch := o.waiting
		if o.pong {
			batch = append(batch, event{Pong: true})
		}
		o.waiting, o.pong = nil, false
		o.mu.Unlock()
		for _, ev := range batch {
			if o.lines.Encode(ev) != nil {
				break
			}
		}
		o.mu.Lock()
		if o.idle != nil && len(o.waiting) == 0 {
			close(o.idle)
			o.idle = nil
		}
		o.mu.Unlock()
	}
}

// flush waits until everything put before has been written, for at most limit.
func (o *outbox) flush(limit time.Duration) {
	idle := make(chan struct{})
	o.mu.Lock()
	o.idle = idle
	o.mu.Unlock()
	wake(o.kick)
	select {
	case <-idle:
	case <-time.After(limit):
	}
}
