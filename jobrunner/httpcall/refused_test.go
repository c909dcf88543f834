package httpcall_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// TestNamesThatChange has a name lead somewhere else each time it is looked up.
func TestNamesThatChange(t *testing.T) {
	var calls atomic.Int32
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		calls.Add(1)
		switch req.URL.Path {
		case "/redirect":
			http.Redirect(w, req, "/again", http.StatusFound)
		case "/poll":
			w.Header().Set("Location", "/again")
			w.WriteHeader(http.StatusAccepted)
		}
	})
	port := server.Listener.Addr().(*net.TCPAddr).Port
	const name = "changing.example"
	for _, tt := range []struct {
		name    string
		path    string
		answers []string
		calls   int32
		lookups int
		reason  string
		message string
	}{
		{name: "good name", path: "/", answers: []string{"127.0.0.1"}, calls: 1, lookups: 1},
		{name: "bad from the start", path: "/", answers: []string{"127.9.9.9"}, lookups: 1, reason: nightwatch.ReasonStartRefused, message: "127.9.9.9 are refused (loopback)"},
		{name: "bad only when asked twice", path: "/", answers: []string{"127.0.0.1", "169.254.169.254"}, calls: 1, lookups: 1},
		{name: "bad at the redirect", path: "/redirect", answers: []string{"127.0.0.1", "169.254.169.254"}, calls: 1, lookups: 2, reason: nightwatch.ReasonHTTPError, message: "after 1 redirect: Get"},
		{name: "bad at the poll", path: "/poll", answers: []string{"127.0.0.1", "169.254.169.254"}, calls: 1, lookups: 2, reason: nightwatch.ReasonHTTPError, message: "a cloud's metadata service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls.Store(0)
			names := resolve(t, map[string][]string{name: tt.answers})
			task := get(fmt.Sprintf("http://%s:%d%s", name, port, tt.path))
			task.HTTP.Poll = often
			a, _ := runnertest.Attempt(t, task)
			out := httpcall.New(httpcall.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}).Run(t.Context(), a)
			if out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) {
				t.Errorf("%+v: want %s, %s", out, tt.reason, tt.message)
			}
			if calls.Load() != tt.calls || names.count(name) != tt.lookups {
				t.Errorf("%d requests, %d lookups: want %d and %d", calls.Load(), names.count(name), tt.calls, tt.lookups)
			}
		})
	}
}

// TestNarrowed has a node that is narrowed to networks or to hosts, and servers that lead elsewhere.
func TestNarrowed(t *testing.T) {
	var calls atomic.Int32
	var target atomic.Value
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		calls.Add(1)
		switch req.URL.Path {
		case "/redirect":
			http.Redirect(w, req, target.Load().(string), http.StatusFound)
		case "/poll":
			w.Header().Set("Location", target.Load().(string))
			w.WriteHeader(http.StatusAccepted)
		}
	})
	port := server.Listener.Addr().(*net.TCPAddr).Port
	at := func(host, path string) string { return fmt.Sprintf("http://%s:%d%s", host, port, path) }
	network := httpcall.Config{Allow: loopback, OnlyNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	host := httpcall.Config{Allow: loopback, OnlyHosts: []string{"good.example"}}
	for _, tt := range []struct {
		name    string
		config  httpcall.Config
		url     string
		target  string
		calls   int32
		lookups int // of other.example
		reason  string
	}{
		{name: "network", config: network, url: at("127.0.0.1", "/"), calls: 1},
		{name: "beside the network", config: network, url: at("127.0.0.2", "/"), reason: nightwatch.ReasonStartRefused},
		{name: "name of the network", config: network, url: at("good.example", "/"), calls: 1},
		{name: "name of another network", config: network, url: at("other.example", "/"), lookups: 1, reason: nightwatch.ReasonStartRefused},
		{name: "redirect out of the network", config: network, url: at("127.0.0.1", "/redirect"), target: at("127.0.0.2", "/"), calls: 1, reason: nightwatch.ReasonHTTPError},
		{name: "poll out of the network", config: network, url: at("127.0.0.1", "/poll"), target: at("other.example", "/"), calls: 1, lookups: 1, reason: nightwatch.ReasonHTTPError},
		{name: "host", config: host, url: at("GOOD.example", "/"), calls: 1},
		{name: "another host", config: host, url: at("other.example", "/"), reason: nightwatch.ReasonStartRefused},
		{name: "address of the host", config: host, url: at("127.0.0.1", "/"), reason: nightwatch.ReasonStartRefused},
		{name: "redirect to another host", config: host, url: at("good.example", "/redirect"), target: at("other.example", "/"), calls: 1, reason: nightwatch.ReasonHTTPError},
		{name: "poll at another host", config: host, url: at("good.example", "/poll"), target: at("other.example", "/"), calls: 1, reason: nightwatch.ReasonHTTPError},
		{name: "poll at the host", config: host, url: at("good.example", "/poll"), target: "/", calls: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls.Store(0)
			target.Store(tt.target)
			names := resolve(t, map[string][]string{"good.example": {"127.0.0.1"}, "other.example": {"127.0.0.3"}})
			task := get(tt.url)
			task.HTTP.Poll = often
			a, _ := runnertest.Attempt(t, task)
			out := httpcall.New(tt.config).Run(t.Context(), a)
			if out.Reason != tt.reason || tt.reason != "" && !strings.Contains(out.Message, "not among those the node is narrowed to") {
				t.Errorf("%+v: want %q", out, tt.reason)
			}
			if calls.Load() != tt.calls || names.count("other.example") != tt.lookups {
				t.Errorf("%d requests, %d lookups: want %d and %d", calls.Load(), names.count("other.example"), tt.calls, tt.lookups)
			}
		})
	}
}

// TestHostHeaderIsNotAHost: a node that is narrowed to hosts goes by where requests go, not by what they say.
func TestHostHeaderIsNotAHost(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	task := get(server.URL)
	task.HTTP.Headers = texts(map[string]string{"Host": "good.example"})
	a, _ := runnertest.Attempt(t, task)
	out := httpcall.New(httpcall.Config{Allow: loopback, OnlyHosts: []string{"good.example"}}).Run(t.Context(), a)
	if out.Reason != nightwatch.ReasonStartRefused {
		t.Errorf("%+v: want StartRefused", out)
	}
}

// often is as often as tests poll.
var often = &nightwatch.HTTPPoll{Interval: nightwatch.Duration(5 * time.Millisecond)}
