package httpcall_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// reply is one answer of a scripted server.
type reply struct {
	status     int
	location   string
	retryAfter string
	body       string
	hangUp     bool
}

// script is a server that answers each request with the next of its replies, and its own failure when they have run out.
type script struct {
	*httptest.Server
	mu       sync.Mutex
	replies  []reply
	requests []*http.Request
	bodies   []string
	times    []time.Time
}

func play(t *testing.T, replies ...reply) *script {
	t.Helper()
	s := &script{replies: replies}
	s.Server = serve(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests, s.bodies, s.times = append(s.requests, req), append(s.bodies, string(body)), append(s.times, time.Now())
		n := len(s.requests)
		if n > len(s.replies) {
			t.Errorf("request %d: %s %s", n, req.Method, req.URL)
			n = len(s.replies)
		}
		r := s.replies[n-1]
		if r.hangUp {
			panic(http.ErrAbortHandler)
		}
		for name, value := range map[string]string{"Location": r.location, "Retry-After": r.retryAfter} {
			if value != "" {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.body)
	})
	return s
}

// seen are the requests so far, as "METHOD path".
func (s *script) seen() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, req := range s.requests {
		all = append(all, req.Method+" "+req.URL.RequestURI())
	}
	return all
}

func TestPollOutcomes(t *testing.T) {
	begun := reply{status: http.StatusAccepted, location: "/status"}
	again := reply{status: http.StatusAccepted}
	hangUp := reply{hangUp: true}
	for _, tt := range []struct {
		name    string
		replies []reply
		success []string
		seen    []string
		phase   nightwatch.Phase
		reason  string
		message string
		output  string
	}{
		{name: "done at once", replies: []reply{{status: 200, body: "done"}}, seen: []string{"POST /"}, phase: nightwatch.PhaseSucceeded, output: "done"},
		{name: "done at the first poll", replies: []reply{begun, {status: 200, body: "done"}}, seen: []string{"POST /", "GET /status"}, phase: nightwatch.PhaseSucceeded, output: "done"},
		{name: "done without a word", replies: []reply{begun, again, {status: 204}}, seen: []string{"POST /", "GET /status", "GET /status"}, phase: nightwatch.PhaseSucceeded},
		{name: "sent on", replies: []reply{begun, {status: 202, location: "status/2"}, again, {status: 200}}, seen: []string{"POST /", "GET /status", "GET /status/2", "GET /status/2"}, phase: nightwatch.PhaseSucceeded},
		{name: "see other", replies: []reply{begun, {status: 303, location: "/result"}, {status: 200, body: "done"}}, seen: []string{"POST /", "GET /status", "GET /result"}, phase: nightwatch.PhaseSucceeded, output: "done"},
		{name: "failed", replies: []reply{begun, again, {status: 500, body: "broken"}}, seen: []string{"POST /", "GET /status", "GET /status"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 500 Internal Server Error after 2 polls, from http://", output: "broken"},
		{name: "forgotten", replies: []reply{begun, {status: 404}}, seen: []string{"POST /", "GET /status"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 404 Not Found after 1 poll"},
		{name: "refused at once", replies: []reply{{status: 503, retryAfter: "1"}}, seen: []string{"POST /"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 503"},
		{name: "not available", replies: []reply{begun, {status: 503}}, seen: []string{"POST /", "GET /status"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 503"},
		{name: "not available now", replies: []reply{begun, {status: 503, retryAfter: "1"}, {status: 200}}, seen: []string{"POST /", "GET /status", "GET /status"}, phase: nightwatch.PhaseSucceeded},
		{name: "asked too often", replies: []reply{begun, {status: 429, retryAfter: "1"}, {status: 200}}, seen: []string{"POST /", "GET /status", "GET /status"}, phase: nightwatch.PhaseSucceeded},
		{name: "other codes of success", replies: []reply{begun, {status: 410}}, success: []string{"410"}, seen: []string{"POST /", "GET /status"}, phase: nightwatch.PhaseSucceeded},
		{name: "202 as a success", replies: []reply{begun, {status: 200}}, success: []string{"202"}, seen: []string{"POST /", "GET /status"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 200 OK"},
		{name: "nothing to poll", replies: []reply{{status: 202, body: "soon"}}, seen: []string{"POST /"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "status 202 without a Location to poll", output: "soon"},
		{name: "something else to poll", replies: []reply{{status: 202, location: "file:///etc/passwd"}}, seen: []string{"POST /"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "unsupported protocol scheme"},
		{name: "no answer now and then", replies: []reply{begun, hangUp, hangUp, again, hangUp, hangUp, {status: 200}}, seen: []string{"POST /", "GET /status", "GET /status", "GET /status", "GET /status", "GET /status", "GET /status"}, phase: nightwatch.PhaseSucceeded},
		{name: "no answer any more", replies: []reply{begun, hangUp, hangUp, hangUp}, seen: []string{"POST /", "GET /status", "GET /status", "GET /status"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "after 3 polls: Get http://"},
		{name: "no answer at all", replies: []reply{hangUp}, seen: []string{"POST /"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "Post http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := play(t, tt.replies...)
			out := run(t, &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: server.URL, Method: "POST", Success: tt.success, Poll: often}})
			if out.Phase != tt.phase || out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || out.Output != tt.output {
				t.Errorf("outcome %+v: want %s %s, message %q, output %q", out, tt.phase, tt.reason, tt.message, tt.output)
			}
			if seen := server.seen(); !slices.Equal(seen, tt.seen) {
				t.Errorf("the server saw %q: want %q", seen, tt.seen)
			}
		})
	}
}

// TestPollRequest checks what a poll says: the same as the first request, but that it has no body.
func TestPollRequest(t *testing.T) {
	server := play(t, reply{status: 202, location: "/status"}, reply{status: 200})
	task := &nightwatch.Task{
		HTTP: &nightwatch.HTTPSpec{URL: server.URL, Body: "{}", Poll: often, Headers: texts(map[string]string{
			"Authorization": "secret", "Host": "good.example", "content-type": "application/json",
		})},
		Params: map[string]json.RawMessage{"a": json.RawMessage(`1`)},
	}
	a, saves := runnertest.Attempt(t, task)
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("%+v", out)
	}
	poll := server.requests[1]
	for name, want := range map[string]string{
		"Authorization": "secret", "Content-Type": "", "User-Agent": "nightwatch", "Nightwatch-Params": `{"a":1}`,
		"Idempotency-Key": a.Run.IdempotencyKey, "Nightwatch-Run": a.Run.ID, "Nightwatch-Fence": fmt.Sprint(a.Run.Fence),
	} {
		if got := poll.Header.Get(name); got != want {
			t.Errorf("%s: %q: want %q", name, got, want)
		}
	}
	if poll.Host != "good.example" || server.bodies[1] != "" || poll.ContentLength != 0 {
		t.Errorf("host %q, body %q of %d bytes", poll.Host, server.bodies[1], poll.ContentLength)
	}
	if n := saves.Count(); n > 1 {
		t.Errorf("%d calls of Save", n)
	}
}

// TestPollElsewhere has servers name other servers to poll, and the first one again: what has been elsewhere is never
// given the headers of the task, nor is what comes back from there.
func TestPollElsewhere(t *testing.T) {
	first := play(t, reply{status: 202}, reply{status: 202}, reply{status: 200})
	second := play(t, reply{status: 202, location: first.URL + "/chosen"})
	first.replies[0].location = second.URL
	task := get(first.URL)
	task.HTTP.Poll = often
	task.HTTP.Headers = texts(map[string]string{"Authorization": "secret", "Host": "good.example"})
	task.Params = map[string]json.RawMessage{"key": json.RawMessage(`"secret"`)}
	if out := run(t, task); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("%+v", out)
	}
	if got := first.requests[0]; got.Header.Get("Authorization") != "secret" || got.Host != "good.example" {
		t.Errorf("the task's own request has %v", got.Header)
	}
	for _, got := range append(second.requests, first.requests[1:]...) {
		if text := fmt.Sprint(got.Header); strings.Contains(text, "secret") || got.Host == "good.example" || got.Header.Get("Nightwatch-Fence") == "" {
			t.Errorf("%s %s was given %s", got.Host, got.URL, text)
		}
	}
}

// TestRetryAfterIsObeyed: the server's word goes before the task's, and is measured from its answer.
func TestRetryAfterIsObeyed(t *testing.T) {
	for _, tt := range []struct {
		name     string
		interval time.Duration
		after    func() string
		least    time.Duration
		most     time.Duration
	}{
		{name: "longer than the interval", interval: time.Millisecond, after: func() string { return "1" }, least: time.Second, most: 9 * time.Second},
		{name: "shorter than the interval", interval: time.Hour, after: func() string { return "1" }, least: time.Second, most: 9 * time.Second},
		{name: "a time", interval: time.Hour, after: func() string { return time.Now().UTC().Add(2 * time.Second).Format(http.TimeFormat) }, least: 900 * time.Millisecond, most: 9 * time.Second},
		{name: "nothing to obey", interval: 300 * time.Millisecond, after: func() string { return "soon" }, least: 300 * time.Millisecond, most: 9 * time.Second},
		{name: "no time at all", interval: 300 * time.Millisecond, after: func() string { return "0" }, least: 300 * time.Millisecond, most: 9 * time.Second},
		{name: "a time that has passed", interval: 300 * time.Millisecond, after: func() string { return "Fri, 20 Nov 2020 14:15:00 GMT" }, least: 300 * time.Millisecond, most: 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := play(t, reply{status: 202, location: "/status", retryAfter: tt.after()}, reply{status: 200})
			task := get(server.URL)
			task.HTTP.Poll = &nightwatch.HTTPPoll{Interval: nightwatch.Duration(tt.interval)}
			if out := run(t, task); out.Phase != nightwatch.PhaseSucceeded {
				t.Fatalf("%+v", out)
			}
			if d := server.times[1].Sub(server.times[0]); d < tt.least || d > tt.most {
				t.Errorf("asked again after %v: want %v to %v", d, tt.least, tt.most)
			}
		})
	}
}

// TestPollDeadline has the deadline of the session pass between two polls.
func TestPollDeadline(t *testing.T) {
	server := play(t, reply{status: 202, location: "/status"}, reply{status: 202})
	task := get(server.URL)
	task.HTTP.Poll = often
	a, _ := runnertest.Attempt(t, task)
	a.Deadline = func() time.Time {
		if len(server.seen()) < 2 {
			return time.Now().Add(10 * time.Second)
		}
		return time.Now().Add(-time.Second)
	}
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); out != jobrunner.Interrupted {
		t.Errorf("%+v: want Interrupted", out)
	}
}
