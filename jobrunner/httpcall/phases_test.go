package httpcall_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// phase is where an attempt is when it is ended: reached is closed when it is there.
type phase struct {
	task    *nightwatch.Task
	reached <-chan struct{}
}

// lookingUp is an attempt whose name server does not answer.
func lookingUp(t *testing.T) phase {
	names := resolve(t, nil)
	return phase{get("http://silent.example/"), names.silent}
}

// shakingHands is an attempt whose server takes the connection and does not speak TLS.
func shakingHands(t *testing.T) phase {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reached, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1))
		close(reached)
		_, _ = io.Copy(io.Discard, conn)
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		select {
		case <-ended:
		case <-time.After(9 * time.Second):
			t.Error("the connection outlasted the attempt")
		}
	})
	return phase{get("https://" + listener.Addr().String()), reached}
}

// answering is an attempt that is at a place of what its server does.
func answering(t *testing.T, fn func(w http.ResponseWriter, req *http.Request, reached func())) phase {
	reached := make(chan struct{})
	var once sync.Once
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		fn(w, req, func() { once.Do(func() { close(reached) }) })
	})
	task := get(server.URL)
	task.HTTP.Poll = &nightwatch.HTTPPoll{Interval: nightwatch.Duration(10 * time.Millisecond)}
	return phase{task, reached}
}

func waitingForTheAnswer(t *testing.T) phase {
	return answering(t, func(_ http.ResponseWriter, req *http.Request, reached func()) {
		reached()
		<-req.Context().Done()
	})
}

func readingTheBody(t *testing.T) phase {
	return answering(t, func(w http.ResponseWriter, req *http.Request, reached func()) {
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		reached()
		<-req.Context().Done()
	})
}

func redirected(t *testing.T) phase {
	return answering(t, func(w http.ResponseWriter, req *http.Request, reached func()) {
		if req.URL.Path != "/there" {
			http.Redirect(w, req, "/there", http.StatusFound)
			return
		}
		reached()
		<-req.Context().Done()
	})
}

func betweenPolls(t *testing.T) phase {
	var polls atomic.Int32
	return answering(t, func(w http.ResponseWriter, req *http.Request, reached func()) {
		w.Header().Set("Location", "/status")
		if req.URL.Path == "/status" {
			if polls.Add(1) > 1 {
				t.Error("it was polled again")
			}
			w.Header().Set("Retry-After", "3600")
			reached()
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

func polling(t *testing.T) phase {
	return answering(t, func(w http.ResponseWriter, req *http.Request, reached func()) {
		if req.URL.Path != "/status" {
			w.Header().Set("Location", "/status")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		reached()
		<-req.Context().Done()
	})
}

// TestEndedInEveryPhase ends attempts for every cause, wherever they are: all end soon, in the same way.
func TestEndedInEveryPhase(t *testing.T) {
	phases := []struct {
		name string
		make func(*testing.T) phase
	}{
		{"looking up the name", lookingUp}, {"shaking hands", shakingHands}, {"waiting for the answer", waitingForTheAnswer},
		{"reading the body", readingTheBody}, {"redirected", redirected}, {"between polls", betweenPolls}, {"polling", polling},
	}
	causes := []struct {
		cause  error
		phase  nightwatch.Phase
		reason string
	}{
		{jobrunner.ErrCancel, nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested},
		{jobrunner.ErrTimeout, nightwatch.PhaseFailed, nightwatch.ReasonTimeout},
		{jobrunner.ErrSessionLost, "", ""},
		{jobrunner.ErrStopping, "", ""},
	}
	for _, p := range phases {
		for _, want := range causes {
			t.Run(p.name+", "+want.cause.Error(), func(t *testing.T) {
				at := p.make(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if errors.Is(want.cause, jobrunner.ErrTimeout) {
					at.task.Timeout = nightwatch.Duration(500 * time.Millisecond)
				} else {
					go func() {
						select {
						case <-at.reached:
							cancel(want.cause)
						case <-ctx.Done():
						}
					}()
				}
				a, _ := runnertest.Attempt(t, at.task)
				began := time.Now()
				out := httpcall.New(httpcall.Config{Allow: loopback}).Run(ctx, a)
				if out.Phase != want.phase || out.Reason != want.reason {
					t.Errorf("%+v: want %q, %q", out, want.phase, want.reason)
				}
				select {
				case <-at.reached:
				default:
					t.Error("it ended before it was there")
				}
				if d := time.Since(began); d > 9*time.Second {
					t.Errorf("it took %v", d)
				}
			})
		}
	}
}
