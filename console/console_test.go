package console_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/console"
	"github.com/nightwatch-go/nightwatch/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(handler http.Handler, method, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	return answer
}

func TestReadyzNamesEachCheck(t *testing.T) {
	var checks []node.Check
	handler := console.New(console.Config{Checks: func() []node.Check { return checks }})
	for _, test := range []struct {
		name   string
		checks []node.Check
		status int
		text   string
	}{
		{"none", nil, 200, "readyz check passed\n"},
		{"all well", []node.Check{{Name: "session"}, {Name: "etcd"}}, 200, "[+]session ok\n[+]etcd ok\nreadyz check passed\n"},
		{
			"one fails", []node.Check{{Name: "session"}, {Name: "etcd", Err: errors.New("no answer\nfor 7s")}}, 503,
			"[+]session ok\n[-]etcd failed: no answer for 7s\nreadyz check failed\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			checks = test.checks
			got := get(handler, "GET", "/readyz")
			if got.Code != test.status || got.Body.String() != test.text {
				t.Errorf("got %d\n%s\nwant %d\n%s", got.Code, got.Body, test.status, test.text)
			}
			if live := get(handler, "GET", "/livez"); live.Code != 200 || live.Body.String() != "ok\n" {
				t.Errorf("/livez: got %d %q", live.Code, live.Body)
			}
		})
	}
}

func TestEveryAnswerSaysWhoseItIs(t *testing.T) {
	handler := console.New(console.Config{Node: "n1", Gatherer: prometheus.NewRegistry()})
	for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/nothing"} {
		if by := get(handler, "GET", path).Header().Get(nightwatch.NodeHeader); by != "n1" {
			t.Errorf("%s: %q", path, by)
		}
	}
	if by := get(console.New(console.Config{}), "GET", "/livez").Header().Values(nightwatch.NodeHeader); len(by) > 0 {
		t.Errorf("without a name: %q", by)
	}
}

func TestMetricsAreTheNodesOwn(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "ours_total", Help: "Ours."}, func() float64 { return 7 }))
	handler := console.New(console.Config{Gatherer: registry})
	if got := get(handler, "GET", "/metrics"); got.Code != 200 || !strings.Contains(got.Body.String(), "ours_total 7") || strings.Contains(got.Body.String(), "go_goroutines") {
		t.Errorf("got %d\n%s", got.Code, got.Body)
	}
	if got := get(console.New(console.Config{}), "GET", "/metrics"); got.Code != 404 {
		t.Errorf("without a registry: got %d, want 404", got.Code)
	}
}

func TestOnlyReading(t *testing.T) {
	handler := console.New(console.Config{})
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/livez", 200}, {"POST", "/livez", 405}, {"DELETE", "/readyz", 405}, {"OPTIONS", "/livez", 405},
		{"GET", "/", 200}, {"GET", "/nothing", 404},
	} {
		got := get(handler, test.method, test.path)
		if got.Code != test.status {
			t.Errorf("%s %s: got %d, want %d", test.method, test.path, got.Code, test.status)
		}
		if allowed := got.Header().Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("%s %s: allows origin %q", test.method, test.path, allowed)
		}
	}
}

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:7420": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]:7420": true, "[::1]": true, "::1": true,
		"localhost": true, "LocalHost:7420": true, "[::ffff:127.0.0.1]:80": true,
		"": false, "evil.example": false, "evil.example:7420": false, "127.0.0.1.evil.example": false, "localhost.evil.example:7420": false,
		"10.0.0.7:7420": false, "0.0.0.0:7420": false, "[::]:7420": false,
	} {
		if got := console.LocalHost(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

func serve(t *testing.T, listener net.Listener, handler http.Handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- console.Serve(ctx, listener, handler) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func TestServeRefusesForeignHosts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, listener, console.New(console.Config{
		Gatherer:  prometheus.NewRegistry(),
		Callbacks: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
		Log: func(_ context.Context, r node.LogRequest) (io.ReadCloser, error) {
			if r.Token != "secret" {
				return nil, node.ErrLogDenied
			}
			return io.NopCloser(strings.NewReader("")), nil
		},
	}))
	for _, row := range []struct {
		method, path, host, token string
		want                      int
	}{
		{method: "GET", path: "/livez", want: 200},
		{method: "GET", path: "/livez", host: "localhost:7420", want: 200},
		{method: "GET", path: "/livez", host: "evil.example", want: 421},
		{method: "GET", path: "/livez", host: "evil.example:7420", want: 421},
		{method: "GET", path: "/readyz", host: "evil.example", want: 421},
		{method: "GET", path: "/metrics", host: "evil.example", want: 421},
		{method: "GET", path: "/", host: "evil.example", want: 421},
		{method: "POST", path: "/api/v1/callbacks/", host: "evil.example", want: 421},
		// What wants a token comes from anywhere, and from nobody without one.
		{method: "POST", path: "/api/v1/callbacks/token", host: "n1.example", want: 200},
		{method: "GET", path: logPath, host: "n1.example", token: "secret", want: 200},
		{method: "GET", path: logPath, host: "evil.example", want: 401},
		{method: "GET", path: logPath, host: "evil.example", token: "guess", want: 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), row.method, "http://"+listener.Addr().String()+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = row.host
		request.Close = true
		if row.token != "" {
			request.Header.Set("Authorization", "Bearer "+row.token)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != row.want {
			t.Errorf("%s %s with Host %q: got %d, want %d", row.method, row.path, row.host, answer.StatusCode, row.want)
		}
	}
}

// elsewhere says that it listens on an address that is not loopback.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 7420} }

func TestServeTakesAnyHostElsewhere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, elsewhere{listener}, console.New(console.Config{}))
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /livez HTTP/1.1\r\nHost: node-7.example:7420\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("got %d, want 200", answer.StatusCode)
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan bool), make(chan bool)
	stop := serve(t, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "done")
	}))
	got := make(chan string, 1)
	go func() {
		answer, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		got <- string(text)
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(release)
	if text := <-got; text != "done" {
		t.Errorf("got %q, want the whole answer", text)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the listener is still open")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServeSaysWhyItEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := console.Serve(t.Context(), listener, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), listener.Addr().String()) {
		t.Errorf("got %v, want an error that names the address", err)
	}
}
