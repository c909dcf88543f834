package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

// Config says what New shows.
type Config struct {
	// Checks are what /readyz tells, asked anew by every request; they must not block. Nil means none, and ready.
	Checks func() []node.Check
	// Callbacks takes what is POSTed below /api/v1/callbacks/: a node's Callbacks. Nil means that there is no such path.
	Callbacks http.Handler
	// Log reads the log of a run for /api/v1/…/log: a node's ReadLog. Nil means that there is no such path.
	Log func(context.Context, node.LogRequest) (io.ReadCloser, error)
	// Node is the name that every answer carries as nightwatch.NodeHeader, so that whoever reaches another node than he asked
	// can tell. Empty means that none does.
	Node string
	// Gatherer is what /metrics tells. Nil means that there is no /metrics.
	Gatherer prometheus.Gatherer
}

// Paths that want a token.
const (
	callbackPattern = "POST " + jobrunner.CallbackPath + "{token}"
	logPattern      = "GET /api/v1/namespaces/{namespace}/tasks/{task}/runs/{run}/log"
)

// New is the handler of a node's HTTP listener. It is safe for concurrent use.
func New(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var checks []node.Check
		if cfg.Checks != nil {
			checks = cfg.Checks()
		}
		text, ready := readiness(checks)
		status := http.StatusOK
		if !ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, text)
	})
	paths := "/livez\n/readyz\n"
	if cfg.Gatherer != nil {
		paths += "/metrics\n"
		mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	}
	if cfg.Callbacks != nil {
		mux.Handle(callbackPattern, cfg.Callbacks)
	}
	if cfg.Log != nil {
		mux.Handle(logPattern, newLogs(cfg))
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "nightwatch\n\n"+paths) })
	return guarded(cfg.Node, mux)
}

// readiness is the text of /readyz, a line for each check, and whether all of them pass.
func readiness(checks []node.Check) (text string, ready bool) {
	var b strings.Builder
	ready = true
	for _, check := range checks {
		if check.Err == nil {
			fmt.Fprintf(&b, "[+]%s ok\n", check.Name)
			continue
		}
		ready = false
		fmt.Fprintf(&b, "[-]%s failed: %s\n", check.Name, oneLine(check.Err.Error()))
	}
	if ready {
		b.WriteString("readyz check passed\n")
	} else {
		b.WriteString("readyz check failed\n")
	}
	return b.String(), ready
}

// oneLine keeps a check on the line that scripts look for it on.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client is gone; there is nobody to tell
}

// guarded adds what every answer carries.
func guarded(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name != "" {
			w.Header().Set(nightwatch.NodeHeader, name)
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
