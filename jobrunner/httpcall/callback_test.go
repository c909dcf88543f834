package httpcall_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// listen is a node's listener, and where it takes callbacks.
func listen(t *testing.T) *jobrunner.Callbacks {
	t.Helper()
	node := httptest.NewUnstartedServer(nil)
	callbacks, err := jobrunner.NewCallbacks("http://" + node.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	node.Config.Handler = callbacks
	node.Start()
	t.Cleanup(node.Close)
	return callbacks
}

// say calls back, as a server does, and gives the status.
func say(t testing.TB, url, body string) int {
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// logged waits until an attempt's log has a text.
func logged(t *testing.T, a *jobrunner.Attempt, text string) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for late := time.After(20 * time.Second); !strings.Contains(fmt.Sprint(a.Log), text); {
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("the log has %s: want %q", a.Log, text)
		}
	}
}

func waiting(url string) *nightwatch.Task {
	return &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: url, Callback: &nightwatch.HTTPCallback{}}}
}

// TestConformanceOfCallbacks takes for the effect of an attempt that it waits: a call that means nothing finds it there.
func TestConformanceOfCallbacks(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	callbacks := listen(t)
	var mu sync.Mutex
	started, urls := map[string]int{}, map[string]string{}
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		id, url := req.Header.Get("Nightwatch-Run"), req.Header.Get("Nightwatch-Callback-Url")
		mu.Lock()
		started[id]++
		urls[id] = url
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		w.(http.Flusher).Flush()
		switch runnertest.Kind(req.URL.Path[1:]) {
		case runnertest.Succeed:
			say(t, url, `{"phase":"Succeeded"}`)
		case runnertest.Fail:
			say(t, url, `{"phase":"Failed"}`)
		case runnertest.Permanent:
			say(t, url, `{"phase":"Failed","retry":false}`)
		case runnertest.Retryable:
			say(t, url, `{"phase":"Failed","retry":true}`)
		}
	})
	runnertest.Run(t, runnertest.Subject{
		New: func(testing.TB) jobrunner.Runner {
			return callable{httpcall.New(httpcall.Config{Allow: loopback}), callbacks}
		},
		Task: func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task {
			if kind == runnertest.Big {
				return nil // its answer is as any other's
			}
			return waiting(server.URL + "/" + string(kind))
		},
		Started: func(run jobrunner.Run) int { mu.Lock(); defer mu.Unlock(); return started[run.ID] },
		Live: func(run jobrunner.Run) bool {
			mu.Lock()
			url := urls[run.ID]
			mu.Unlock()
			return url != "" && say(t, url, `{}`) == http.StatusBadRequest
		},
	})
}

// callable is a runner on a node that can be called back.
type callable struct {
	jobrunner.Runner
	callbacks *jobrunner.Callbacks
}

func (c callable) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	a.Callbacks = c.callbacks
	return c.Runner.Run(ctx, a)
}

func TestCallbackOutcomes(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	callbacks := listen(t)
	retry, permanent := true, false
	for _, tt := range []struct {
		name string
		// status is the answer's; 0 is none until the request's end. says is the callback, before the answer if early.
		status  int
		says    string
		early   bool
		success []string

		phase           nightwatch.Phase
		reason, message string
		result          string
		retry           *bool
		after           int // what a further call is answered
	}{
		{name: "succeeds", status: 202, says: `{"phase":"Succeeded","message":"all of it","result":{"pages":7}}`, phase: nightwatch.PhaseSucceeded, result: `{"pages":7}`, after: 200},
		{name: "any success means begun", status: 200, says: `{"phase":"Succeeded"}`, phase: nightwatch.PhaseSucceeded, after: 200},
		{name: "fails", status: 202, says: `{"phase":"Failed","message":"no paper","result":"page 6"}`, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonCallbackFailed, message: "no paper", result: `"page 6"`, after: 200},
		{name: "fails without a word", status: 202, says: `{"phase":"Failed"}`, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonCallbackFailed, message: "the server called back that it failed", after: 200},
		{name: "fails, worth another attempt", status: 202, says: `{"phase":"Failed","retry":true}`, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonCallbackFailed, retry: &retry, after: 200},
		{name: "fails for good", status: 202, says: `{"phase":"Failed","retry":false}`, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonCallbackFailed, retry: &permanent, after: 200},
		{name: "before the answer", says: `{"phase":"Succeeded","result":7}`, early: true, phase: nightwatch.PhaseSucceeded, result: "7", after: 200},
		{name: "before an answer that means failure", status: 500, says: `{"phase":"Succeeded"}`, early: true, phase: nightwatch.PhaseSucceeded, after: 200},
		{name: "refused by the server", status: 503, says: `{"phase":"Succeeded"}`, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 503", after: 410},
		{name: "another idea of success", status: 200, success: []string{"202"}, says: `{"phase":"Succeeded"}`, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 200", after: 410},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := make(chan string, 1)
			server := serve(t, func(w http.ResponseWriter, req *http.Request) {
				to := req.Header.Get("Nightwatch-Callback-Url")
				if !strings.HasSuffix(to, "/api/v1/callbacks/"+req.Header.Get("Nightwatch-Callback-Token")) {
					t.Errorf("told to call %s with %s", to, req.Header.Get("Nightwatch-Callback-Token"))
				}
				if tt.early {
					say(t, to, tt.says)
				}
				if tt.status == 0 {
					<-req.Context().Done()
				} else {
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, "begun")
				}
				url <- to
			})
			task := waiting(server.URL)
			task.HTTP.Success = tt.success
			a, saves := runnertest.Attempt(t, task)
			a.Callbacks = callbacks
			done := make(chan jobrunner.Outcome, 1)
			go func() { done <- httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a) }()
			to := <-url
			if !tt.early && tt.after == 200 {
				logged(t, a, "waiting to be called back")
				say(t, to, tt.says)
			}
			out := <-done
			if out.Phase != tt.phase || out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || out.Hint.Retryable() != (tt.retry == &retry) || out.Hint.Permanent() != (tt.retry == &permanent) {
				t.Errorf("%+v: want %s %s %s", out, tt.phase, tt.reason, tt.message)
			}
			if !tt.early && out.Output != "begun" {
				t.Errorf("output %q", out.Output)
			}
			if got := string(saves.Record().Result); got != tt.result {
				t.Errorf("result %s: want %s", got, tt.result)
			}
			if got := say(t, to, tt.says); got != tt.after {
				t.Errorf("a further call is answered %d: want %d", got, tt.after)
			}
		})
	}
}

// TestCallbackStaysWithItsServer: a server that sends the request elsewhere does not give the token away.
func TestCallbackStaysWithItsServer(t *testing.T) {
	var got http.Header
	elsewhere := serve(t, func(w http.ResponseWriter, req *http.Request) {
		got = req.Header
		w.WriteHeader(http.StatusTeapot)
	})
	var kept []string
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		kept = append(kept, req.Header.Get("Nightwatch-Callback-Url"))
		if req.URL.Path == "/" {
			http.Redirect(w, req, "/here", http.StatusTemporaryRedirect)
			return
		}
		http.Redirect(w, req, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	a, _ := runnertest.Attempt(t, waiting(server.URL))
	a.Callbacks = listen(t)
	httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
	if len(kept) != 2 || kept[0] == "" || kept[0] != kept[1] {
		t.Errorf("the server itself was told %q", kept)
	}
	for name := range got {
		if strings.Contains(name, "Callback") {
			t.Errorf("the other server was told %s: %s", name, got[name])
		}
	}
	if got.Get("Nightwatch-Run") == "" {
		t.Error("the other server was not asked")
	}
}

// TestCallbackWithoutAnAddress sends nothing: nobody could say how it ended.
func TestCallbackWithoutAnAddress(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	if out := run(t, waiting(server.URL)); out.Reason != nightwatch.ReasonStartRefused || out.Message != "http.callback: this node has no address at which it could be called back" {
		t.Errorf("%+v", out)
	}
}

// TestCallbackTokensAreSecret: who may read the record and the log of a run cannot speak for its server.
func TestCallbackTokensAreSecret(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	var token string
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		token = req.Header.Get("Nightwatch-Callback-Token")
		say(t, req.Header.Get("Nightwatch-Callback-Url"), `{"phase":"Failed","message":"no"}`)
	})
	a, saves := runnertest.Attempt(t, waiting(server.URL))
	a.Callbacks = listen(t)
	out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
	for what, text := range map[string]string{"outcome": fmt.Sprintf("%+v", out), "log": fmt.Sprint(a.Log), "record": fmt.Sprintf("%+v", saves.Record())} {
		if strings.Contains(text, token) {
			t.Errorf("%s: %s", what, text)
		}
	}
	if !strings.Contains(fmt.Sprint(a.Log), "called back: Failed no") {
		t.Errorf("the log has %s", a.Log)
	}
}
