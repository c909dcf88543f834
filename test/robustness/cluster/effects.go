package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// beatEvery is how often an effect that goes on says so.
const beatEvery = 100 * time.Millisecond

// The ways in which a task may run so that it writes down what it does, as members of its value. Attempts up to hold go
// on until they are ended from outside, or Release; later ones end by themselves at once.

// Process is a process that appends to the file of effects.
func (c *Cluster) Process(hold int) string { return c.ProcessAfter("", hold) }

// ProcessAfter is Process, with shell commands that come first.
func (c *Cluster) ProcessAfter(prelude string, hold int) string {
	script := prelude + fmt.Sprintf(`
say() {
  printf '{"task":"%%s/%%s","run":"%%s","attempt":%%s,"fence":%%s,"event":"%%s","time":%%s}\n' "$NIGHTWATCH_NAMESPACE" "$NIGHTWATCH_TASK" \
    "$NIGHTWATCH_RUN" "$NIGHTWATCH_ATTEMPT" "$NIGHTWATCH_FENCE" "$1" "$(date +%%s%%N)" >> %s
}
say start
while [ "$NIGHTWATCH_ATTEMPT" -le %d ] && ! [ -e %s ]; do sleep %g; say beat; done
say end`, c.effects, hold, c.released, beatEvery.Seconds())
	quoted, _ := json.Marshal(script) // a string
	return fmt.Sprintf(`"process":{"shell":%s}`, quoted)
}

// HTTP is a request to a server that appends to the file of effects. Nodes need leave to reach loopback addresses.
func (c *Cluster) HTTP(hold int) string {
	return fmt.Sprintf(`"http":{"url":"%s/?hold=%d"}`, c.sink.server.URL, hold)
}

// Handler is the handler of a platform.
func (c *Cluster) Handler(hold int) string {
	return fmt.Sprintf(`"handler":{"name":"effect"},"params":{"hold":%d,"released":%q}`, hold, c.released)
}

// Job is a Job whose pod is played: it runs for as long as the annotation says.
func (c *Cluster) Job(runs string) string {
	return fmt.Sprintf(`"image":"effect","annotations":{"kwok-run":%q}`, runs)
}

// Release has what is held end by itself, well. Jobs have pods of their own.
func (c *Cluster) Release() {
	c.t.Helper()
	if err := os.WriteFile(c.released, nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// sink is a server whose requests are effects.
type sink struct {
	server *httptest.Server
	mu     sync.Mutex
	file   *os.File
	// released is a file that is there once nothing is to be held.
	released string
}

func newSink(t testing.TB, file, released string) *sink {
	t.Helper()
	s := &sink{released: released}
	var err error
	if s.file, err = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.server.CloseClientConnections() // held requests are cut
		s.server.Close()
		s.file.Close()
	})
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	attempt, err := strconv.Atoi(r.Header.Get("Nightwatch-Attempt"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fence, err := strconv.ParseInt(r.Header.Get("Nightwatch-Fence"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hold, _ := strconv.Atoi(r.FormValue("hold")) // none is 0
	say := func(event string) {
		s.write(checker.Effect{
			Task: r.Header.Get("Nightwatch-Namespace") + "/" + r.Header.Get("Nightwatch-Task"), Run: r.Header.Get("Nightwatch-Run"),
			Attempt: attempt, Fence: fence, Event: event,
		})
	}
	say(checker.EffectStart)
	if attempt > hold {
		say(checker.EffectEnd)
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			say(checker.EffectCut)
			return
		case <-beat.C:
			say(checker.EffectBeat)
			if _, err := os.Stat(s.released); err == nil {
				say(checker.EffectEnd)
				return
			}
		}
	}
}

func (s *sink) write(e checker.Effect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.Time = time.Now().UnixNano()
	line, _ := json.Marshal(e)
	_, _ = s.file.Write(append(line, '\n')) // a line that is missing shows
}
