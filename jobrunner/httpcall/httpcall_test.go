package httpcall_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func serve(t *testing.T, fn http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(fn)
	t.Cleanup(server.Close)
	return server
}

func get(url string) *nightwatch.Task {
	return &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: url}}
}

func texts(of map[string]string) map[string]nightwatch.TextOrFile {
	values := map[string]nightwatch.TextOrFile{}
	for name, text := range of {
		values[name] = nightwatch.Text(text)
	}
	return values
}

func run(t *testing.T, task *nightwatch.Task) jobrunner.Outcome {
	t.Helper()
	a, _ := runnertest.Attempt(t, task)
	return httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
}

func TestConformance(t *testing.T) {
	var mu sync.Mutex
	started, live, told := map[string]int{}, map[string]bool{}, map[string]jobrunner.Run{}
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		id := req.Header.Get("Nightwatch-Run")
		mu.Lock()
		told[id] = toldBy(t, req.Header)
		started[id]++
		live[id] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			live[id] = false
		}()
		kind := runnertest.Kind(req.URL.Path[1:])
		if kind != runnertest.Fail {
			fmt.Fprintln(w, "hello")
			w.(http.Flusher).Flush()
		}
		switch kind {
		case runnertest.Fail:
			w.WriteHeader(http.StatusTeapot)
		case runnertest.Live:
			<-req.Context().Done()
		case runnertest.Big:
			fmt.Fprintln(w, strings.Repeat("x", 1<<20), runnertest.BigEnd)
		}
	})
	runnertest.Run(t, runnertest.Subject{
		New: func(testing.TB) jobrunner.Runner { return httpcall.New(httpcall.Config{Allow: loopback}) },
		Task: func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task {
			if kind == runnertest.Permanent || kind == runnertest.Retryable {
				return nil // those that are called back can say so
			}
			return get(server.URL + "/" + string(kind))
		},
		Says:    "hello\n",
		Started: func(run jobrunner.Run) int { mu.Lock(); defer mu.Unlock(); return started[run.ID] },
		Live:    func(run jobrunner.Run) bool { mu.Lock(); defer mu.Unlock(); return live[run.ID] },
		Told:    func(run jobrunner.Run) jobrunner.Run { mu.Lock(); defer mu.Unlock(); return told[run.ID] },
	})
}

// toldBy is what headers say of a run.
func toldBy(t *testing.T, header http.Header) (run jobrunner.Run) {
	run.Namespace, run.Task, run.ID = header.Get("Nightwatch-Namespace"), header.Get("Nightwatch-Task"), header.Get("Nightwatch-Run")
	var errs [4]error
	run.Attempt, errs[0] = strconv.Atoi(header.Get("Nightwatch-Attempt"))
	run.Fence, errs[1] = strconv.ParseInt(header.Get("Nightwatch-Fence"), 10, 64)
	run.NominalTime, errs[2] = time.Parse(time.RFC3339Nano, header.Get("Nightwatch-Nominal-Time"))
	if params := header.Get("Nightwatch-Params"); params != "" {
		errs[3] = json.Unmarshal([]byte(params), &run.Params)
	}
	if err := errors.Join(errs[:]...); err != nil {
		t.Error(err)
	}
	return run
}

func TestRequest(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	type seen struct {
		method, host, path, body string
		header                   http.Header
	}
	var got seen
	server := serve(t, func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got = seen{req.Method, req.Host, req.URL.Path, string(body), req.Header}
	})
	task := &nightwatch.Task{
		HTTP: &nightwatch.HTTPSpec{URL: server.URL, Body: "hello", Headers: texts(map[string]string{
			"Host": "example.org", "X-Color": "red", "content-type": "text/plain", "nightwatch-fence": "999999",
		})},
		Params: map[string]json.RawMessage{"city": json.RawMessage("\"Zürich 😀 \x7f\"")},
	}
	a, _ := runnertest.Attempt(t, task)
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("%+v", out)
	}
	if got.method != "POST" || got.host != "example.org" || got.body != "hello" {
		t.Errorf("the server saw %+v", got)
	}
	for name, want := range map[string]string{
		"X-Color": "red", "Content-Type": "text/plain", "User-Agent": "nightwatch", "Accept-Encoding": "",
		"Idempotency-Key": a.Run.IdempotencyKey, "Nightwatch-Namespace": "runnertest", "Nightwatch-Task": "subject",
		"Nightwatch-Run": a.Run.ID, "Nightwatch-Attempt": "1", "Nightwatch-Nominal-Time": "2026-11-20T14:15:00Z",
		"Nightwatch-Fence": fmt.Sprint(a.Run.Fence), "Nightwatch-Params": `{"city":"Z\u00fcrich \ud83d\ude00 \u007f"}`,
	} {
		if values := got.header.Values(name); strings.Join(values, "|") != want {
			t.Errorf("%s: %q: want %q", name, values, want)
		}
	}
	task.Params["big"] = json.RawMessage(`"` + strings.Repeat("x", 5000) + `"`)
	if run(t, task); got.header.Get("Nightwatch-Params") != "" {
		t.Error("large params went into a header")
	}
	if got.header.Get("Nightwatch-Shards") != "" {
		t.Error("a run that is not split was told of shards")
	}
	shard, _ := runnertest.Attempt(t, task)
	shard.Run.Shards, shard.Run.Shard, shard.Run.ShardParam = 4, 2, json.RawMessage(`{"city":"Zürich"}`)
	httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), shard)
	for name, want := range map[string]string{"Nightwatch-Shard": "2", "Nightwatch-Shards": "4", "Nightwatch-Shard-Param": `{"city":"Z\u00fcrich"}`} {
		if text := got.header.Get(name); text != want {
			t.Errorf("%s: %q: want %q", name, text, want)
		}
	}
	task.HTTP.URL, task.HTTP.Body = server.URL+"/{{.Params.city}}?run={{.Run}}", `{"city":{{json .Params.city}}}`
	task.HTTP.Headers["X-Color"] = nightwatch.Text("{{.Task}}-{{.Attempt}}")
	run(t, task)
	if got.path != "/Zürich 😀 \x7f" || got.header.Get("X-Color") != "subject-1" || got.body != `{"city":"Zürich 😀 \u007f"}` && got.body != "{\"city\":\"Zürich 😀 \x7f\"}" {
		t.Errorf("the server saw %+v of a template", got)
	}
	if run(t, get(server.URL)); got.method != "GET" || got.body != "" {
		t.Errorf("the server saw %+v: want a GET", got)
	}
}

func TestOutcomes(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/ok":
			_, _ = io.WriteString(w, "fine\n")
		case "/404":
			http.Error(w, "gone fishing", http.StatusNotFound)
		case "/binary":
			_, _ = w.Write([]byte{0xff, 0xfe, 'x'})
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "part")
		case "/hang-up":
			panic(http.ErrAbortHandler)
		case "/once":
			http.Redirect(w, req, "/404", http.StatusFound)
		case "/loop":
			http.Redirect(w, req, "/loop", http.StatusFound)
		case "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		case "/202":
			w.Header().Set("Location", "/404")
			w.WriteHeader(http.StatusAccepted)
		case "/headers":
			w.Header().Set("X-Big", strings.Repeat("x", 1<<20))
		}
	})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, tt := range []struct {
		name    string
		url     string
		body    string
		success []string
		phase   nightwatch.Phase
		reason  string
		message string
		output  string
	}{
		{name: "success", url: server.URL + "/ok", phase: nightwatch.PhaseSucceeded, output: "fine\n"},
		{name: "status", url: server.URL + "/404", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 404 Not Found", output: "gone fishing\n"},
		{name: "status that means success", url: server.URL + "/404", success: []string{"200", "400-499"}, phase: nightwatch.PhaseSucceeded, output: "gone fishing\n"},
		{name: "status that does not", url: server.URL + "/ok", success: []string{"204"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 200 OK", output: "fine\n"},
		{name: "binary answer", url: server.URL + "/binary", phase: nightwatch.PhaseSucceeded, output: "\uFFFDx"},
		{name: "answer cut short", url: server.URL + "/cut", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "read the answer (status 200): unexpected EOF", output: "part"},
		{name: "no answer", url: server.URL + "/hang-up", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "EOF"},
		{name: "huge header", url: server.URL + "/headers", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "header"},
		{name: "redirect", url: server.URL + "/once", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 404 Not Found after 1 redirect, from http://", output: "gone fishing\n"},
		{name: "too many redirects", url: server.URL + "/loop", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "stopped after 10 redirects"},
		{name: "redirect to a file", url: server.URL + "/file", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "unsupported protocol scheme"},
		{name: "connection refused", url: closed.URL, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "connection refused"},
		{name: "no such host", url: "http://no-such-host.invalid/", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "no-such-host.invalid"},
		{name: "bad URL", url: "http://[/", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "make request"},
		{name: "template that finds nothing", url: server.URL + "/ok", body: "{{.Params.city}}", phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: `http.body: line 1: <.Params.city>: map has no entry for key "city"`},
		{name: "202 that is not polled", url: server.URL + "/202", phase: nightwatch.PhaseSucceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := run(t, &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: tt.url, Body: tt.body, Success: tt.success}})
			if out.Phase != tt.phase || out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || out.Output != tt.output {
				t.Errorf("outcome %+v: want %s %s, message %q, output %q", out, tt.phase, tt.reason, tt.message, tt.output)
			}
		})
	}
}

func TestRefusedAddresses(t *testing.T) {
	var calls atomic.Int32
	server := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	port := server.Listener.Addr().(*net.TCPAddr).Port
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::]", "0.0.0.0", "169.254.169.254", "[64:ff9b::7f00:1]",
		"2130706433", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001",
	} {
		a, _ := runnertest.Attempt(t, get(fmt.Sprintf("http://%s:%d/", host, port)))
		out := httpcall.New(httpcall.Config{}).Run(t.Context(), a)
		// A name such as 127.1 need not be an address to everybody's resolver, nor need there be one that answers.
		if out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonStartRefused && !strings.Contains(out.Message, "lookup "+host) {
			t.Errorf("%s: %+v: want StartRefused", host, out)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// TestRedirectElsewhere redirects to another server, which is not allowed, or does not get what is not for it.
func TestRedirectElsewhere(t *testing.T) {
	var got http.Header
	other := serve(t, func(_ http.ResponseWriter, req *http.Request) { got = req.Header })
	var target atomic.Value
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, target.Load().(string), http.StatusTemporaryRedirect)
	})
	task := get(server.URL + "/?token=secret")
	task.HTTP.Headers = texts(map[string]string{"X-Api-Key": "secret", "Authorization": "secret"})
	target.Store(other.URL)
	a, _ := runnertest.Attempt(t, task)
	a.Run.Shards, a.Run.Shard, a.Run.ShardParam = 4, 2, json.RawMessage(`"secret"`)
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("%+v", out)
	}
	if text := fmt.Sprint(got); strings.Contains(text, "secret") || got.Get("Nightwatch-Fence") == "" || got.Get("Nightwatch-Shard") != "2" {
		t.Errorf("the other server was given %s", text)
	}
	target.Store("http://169.254.169.254/latest/meta-data/")
	if out := run(t, task); out.Reason != nightwatch.ReasonHTTPError || !strings.Contains(out.Message, "metadata") {
		t.Errorf("%+v: want HTTPError for a redirect to a metadata service", out)
	}
}

// TestRedirectThereAndBack has a second server send the request back to the first, to a place of its choosing.
func TestRedirectThereAndBack(t *testing.T) {
	var got http.Header
	var first, second *httptest.Server
	first = serve(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/chosen" {
			got = req.Header
			return
		}
		http.Redirect(w, req, second.URL, http.StatusTemporaryRedirect)
	})
	second = serve(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, first.URL+"/chosen", http.StatusTemporaryRedirect)
	})
	task := get(first.URL)
	task.HTTP.Headers = texts(map[string]string{"X-Api-Key": "secret", "Authorization": "secret"})
	task.Params = map[string]json.RawMessage{"key": json.RawMessage(`"secret"`)}
	if out := run(t, task); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("%+v", out)
	}
	if text := fmt.Sprint(got); strings.Contains(text, "secret") || got.Get("Nightwatch-Fence") == "" {
		t.Errorf("the second server had the first given %s", text)
	}
}

// TestMessagesKeepQueries: a server's redirect may carry a signature, and messages are read by others than answers are.
func TestMessagesKeepQueries(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/to-404":
			http.Redirect(w, req, "/404?signature=secret", http.StatusFound)
		case "/to-hang-up":
			http.Redirect(w, req, "/hang-up?signature=secret", http.StatusFound)
		case "/hang-up":
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, req)
		}
	})
	for path, shown := range map[string]string{"/to-404": "/404", "/to-hang-up": "/hang-up", "/hang-up": "/hang-up"} {
		out := run(t, get(server.URL+path+"?token=secret"))
		if out.Phase != nightwatch.PhaseFailed || strings.Contains(out.Message, "secret") || !strings.Contains(out.Message, server.URL+shown) {
			t.Errorf("%s: %+v: want a message that names %s without its query", path, out, shown)
		}
	}
}

// TestSentOnce has a server that hangs up on every request: Go would send some of them again on a connection it keeps.
func TestSentOnce(t *testing.T) {
	var calls atomic.Int32
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch calls.Add(1); req.URL.Path {
		case "/hang-up":
			panic(http.ErrAbortHandler)
		case "/to-hang-up":
			http.Redirect(w, req, "/hang-up", http.StatusFound)
		}
	})
	r := httpcall.New(httpcall.Config{Allow: loopback})
	for _, path := range []string{"/", "/hang-up", "/to-hang-up"} {
		a, _ := runnertest.Attempt(t, get(server.URL+path))
		r.Run(t.Context(), a)
	}
	if n := calls.Load(); n != 4 {
		t.Errorf("%d requests: want 4", n)
	}
}

// TestDeadlineWhileConnecting has the deadline pass between the start of the attempt and the moment of sending.
func TestDeadlineWhileConnecting(t *testing.T) {
	var calls atomic.Int32
	server := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	a, saves := runnertest.Attempt(t, get(server.URL))
	var asked atomic.Int32
	a.Deadline = func() time.Time {
		if asked.Add(1) == 1 {
			return time.Now().Add(time.Second)
		}
		return time.Now().Add(-time.Second)
	}
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); out != jobrunner.Interrupted {
		t.Errorf("%+v: want Interrupted", out)
	}
	if calls.Load() != 0 || saves.Count() != 0 {
		t.Errorf("%d requests, %d calls of Save", calls.Load(), saves.Count())
	}
}

// TestSlowAnswer has the timeout pass in the middle of the body.
func TestSlowAnswer(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	})
	task := get(server.URL)
	task.Timeout = nightwatch.Duration(200 * time.Millisecond)
	if out := run(t, task); out.Reason != nightwatch.ReasonTimeout {
		t.Errorf("%+v: want Timeout", out)
	}
}
