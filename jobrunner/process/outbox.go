package process

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	// window is how many bytes of an attempt's output may be on their way to the node's log, and spoolLimit how many the
	// guard holds besides. A program waits for a full spool for spoolPatience at most each time the node stops taking.
	window        = 256 << 10
	spoolLimit    = 256 << 10
	spoolPatience = time.Second
	// maxWrote is how many bytes of output an event carries.
	maxWrote = 32 << 10
	// lastWords is how long an attempt's end waits for the node to take the output before it.
	lastWords = 2 * time.Second
)

// outbox writes a guard's events in their order from one goroutine, so that nobody else ever waits for the pipe. What
// it holds is bounded by the attempts: two events each and a spool of output, and one pong.
type outbox struct {
	lines *json.Encoder
	kick  chan struct{}

	mu      sync.Mutex
	waiting []event
	pong    bool
	streams map[int64]*stream
	idle    chan struct{}
	dead    bool
}

// stream is what an attempt writes. Its last event comes after all of it.
type stream struct {
	*jobrunner.Spool
	id int64
	// credit is how many bytes the node is ready to take.
	credit int
	last   *event
	// late is set when the rest is to be dropped, by timer.
	late  bool
	timer *time.Timer
}

func newOutbox(w io.Writer) *outbox {
	return &outbox{lines: json.NewEncoder(w), kick: make(chan struct{}, 1), streams: map[int64]*stream{}}
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

// open makes the spool of an attempt's output.
func (o *outbox) open(id int64) *jobrunner.Spool {
	s := &stream{id: id, credit: window}
	s.Spool = jobrunner.NewSpool(spoolLimit, spoolPatience, func() { wake(o.kick) })
	o.mu.Lock()
	defer o.mu.Unlock()
	o.streams[id] = s
	if o.dead {
		s.Close()
	}
	return s.Spool
}

// end puts the last event of an attempt that has an output. A node that does not take the rest of that in time gets the
// event without it.
func (o *outbox) end(ev event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.streams[ev.ID]
	s.Close()
	s.last = &ev
	s.timer = time.AfterFunc(lastWords, func() {
		o.mu.Lock()
		s.late = true
		o.mu.Unlock()
		wake(o.kick)
	})
	wake(o.kick)
}

// took says that the node has taken bytes of an attempt's output.
func (o *outbox) took(id int64, bytes int) {
	o.mu.Lock()
	if s := o.streams[id]; s != nil {
		s.credit += bytes
	}
	o.mu.Unlock()
	wake(o.kick)
}

// run writes until the process ends.
func (o *outbox) run() {
	for range o.kick {
		for _, ev := range o.next() {
			if o.lines.Encode(ev) != nil {
				o.giveUp()
				break
			}
		}
		o.mu.Lock()
		if o.idle != nil && len(o.waiting) == 0 && len(o.streams) == 0 {
			close(o.idle)
			o.idle = nil
		}
		o.mu.Unlock()
	}
}

// next is what to write now.
func (o *outbox) next() []event {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch := o.waiting
	if o.pong {
		batch = append(batch, event{Pong: true})
	}
	o.waiting, o.pong = nil, false
	for _, s := range o.streams {
		if o.idle != nil {
			s.credit = spoolLimit // the node reads on, and says no more
		}
		batch = append(batch, s.next()...)
		if s.last != nil && (s.late || s.Empty()) {
			batch = append(batch, *s.last)
			o.remove(s)
		}
	}
	return batch
}

// remove is called with o.mu held.
func (o *outbox) remove(s *stream) {
	s.timer.Stop()
	delete(o.streams, s.id)
}

// next is as much of the output as the node is ready to take.
func (s *stream) next() []event {
	if s.late {
		rest, dropped := s.Take()
		if dropped += int64(len(rest)); dropped == 0 {
			return nil
		}
		return []event{{ID: s.id, Dropped: dropped}}
	}
	if s.credit <= 0 {
		return nil
	}
	data, dropped := s.TakeUpTo(s.credit)
	s.credit -= len(data)
	var events []event
	for len(data) > 0 || dropped > 0 {
		n := min(len(data), maxWrote)
		events = append(events, event{ID: s.id, Wrote: data[:n], Dropped: dropped})
		data, dropped = data[n:], 0
	}
	return events
}

// giveUp has nobody wait any longer for a node that is gone.
func (o *outbox) giveUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dead = true
	for _, s := range o.streams {
		s.Close()
		if s.last != nil {
			o.remove(s)
		}
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
