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

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// beatEvery is how often an effect that goes on says so.
const beatEvery = 100 * time.Millisecond

// Work is what the attempts of a task do, beside writing it down.
type Work struct {
	// Hold has attempts up to this one go on until they are ended from outside, or Release. Jobs know only whether there
	// are any, and have pods of their own, which Release does not end.
	Hold int
	// Lasts is how long every other attempt takes.
	Lasts time.Duration
	// Fails has attempts up to this one fail in the end. A Job of such a task always fails.
	Fails int
	// Prelude is shell commands with which a process begins.
	Prelude string
}

// Work is the member of a task's value that has a runner do it. For requests nodes need leave to reach loopback
// addresses; Jobs have pods that are played. Where it fails, a label says so.
func (c *Cluster) Work(runner string, w Work) string {
	fails := ""
	if w.Fails > 0 {
		fails = fmt.Sprintf(`,"labels":{"fails":"%d"}`, w.Fails)
	}
	return c.work(runner, w) + fails
}

func (c *Cluster) work(runner string, w Work) string {
	switch runner {
	case nightwatch.RunnerProcess:
		quoted, _ := json.Marshal(c.script(w)) // a string
		return fmt.Sprintf(`"process":{"shell":%s}`, quoted)
	case nightwatch.RunnerHTTP:
		return fmt.Sprintf(`"http":{"url":"%s/?hold=%d&lasts=%s&fails=%d"}`, c.sink.server.URL, w.Hold, w.Lasts, w.Fails)
	case nightwatch.RunnerHandler:
		return fmt.Sprintf(`"handler":{"name":"effect"},"params":{"hold":%d,"released":%q,"lasts":%d,"fails":%d}`,
			w.Hold, c.released, w.Lasts.Milliseconds(), w.Fails)
	case nightwatch.RunnerKubernetes:
		runs, exit := w.Lasts.String(), min(w.Fails, 1)
		if w.Hold > 0 {
			runs = kubetest.RunForever
		}
		return fmt.Sprintf(`"image":"effect","annotations":{"kwok-run":%q,"kwok-exit":"%d"}`, runs, exit)
	}
	panic("cluster: no runner " + runner)
}

// script appends to the file of effects.
func (c *Cluster) script(w Work) string {
	return w.Prelude + fmt.Sprintf(`
say() {
  printf '{"task":"%%s/%%s","run":"%%s","attempt":%%s,"fence":%%s,"event":"%%s","time":%%s}\n' "$NIGHTWATCH_NAMESPACE" "$NIGHTWATCH_TASK" \
    "$NIGHTWATCH_RUN" "$NIGHTWATCH_ATTEMPT" "$NIGHTWATCH_FENCE" "$1" "$(date +%%s%%N)" >> %[1]s
}
say start
i=0
while if [ "$NIGHTWATCH_ATTEMPT" -gt %[2]d ]; then [ $i -lt %[4]d ]; else ! [ -e %[3]s ]; fi; do
  sleep %[5]g; say beat; i=$((i+1))
done
[ "$NIGHTWATCH_ATTEMPT" -gt %[6]d ] || exit 1
say end`, c.effects, w.Hold, c.released, w.Lasts/beatEvery, beatEvery.Seconds(), w.Fails)
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
	fails, _ := strconv.Atoi(r.FormValue("fails"))
	lasts, _ := time.ParseDuration(r.FormValue("lasts"))
	say := func(event string) {
		s.write(checker.Effect{
			Task: r.Header.Get("Nightwatch-Namespace") + "/" + r.Header.Get("Nightwatch-Task"), Run: r.Header.Get("Nightwatch-Run"),
			Attempt: attempt, Fence: fence, Event: event,
		})
	}
	over := func() {
		if attempt <= fails {
			http.Error(w, "it is to fail", http.StatusInternalServerError)
			return
		}
		say(checker.EffectEnd)
	}
	say(checker.EffectStart)
	var lasted <-chan time.Time
	if attempt > hold {
		if lasts == 0 {
			over()
			return
		}
		lasted = time.After(lasts)
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			say(checker.EffectCut)
			return
		case <-lasted:
			over()
			return
		case <-beat.C:
			say(checker.EffectBeat)
			if _, err := os.Stat(s.released); err == nil && attempt <= hold {
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
