package suite

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// kubeAPI stands between nodes and the Kubernetes API, and can be in the way.
type kubeAPI struct {
	// Kubeconfig is the file by which nodes reach it.
	Kubeconfig string

	forward http.Handler
	mood    atomic.Int32
}

// What it may do to every other request.
const (
	moodGood    = iota
	moodBusy    // 429, with a second to wait
	moodBroken  // 500
	moodUnheard // the request is done, and the connection breaks before its answer
	moods
)

func startKubeAPI(t testing.TB, config *rest.Config, dir string) (*kubeAPI, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	k := &kubeAPI{Kubeconfig: filepath.Join(dir, "kubeconfig")}
	k.forward = &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	server := httptest.NewServer(k)
	t.Cleanup(func() {
		server.CloseClientConnections() // watches are cut
		server.Close()
	})
	return k, os.WriteFile(k.Kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: suite
clusters: [{name: suite, cluster: {server: %q}}]
contexts: [{name: suite, context: {cluster: suite, user: suite}}]
users: [{name: suite, user: {}}]
`, server.URL), 0o600)
}

func (k *kubeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mood := k.mood.Load()
	if rand.IntN(2) == 0 {
		mood = moodGood
	}
	switch mood {
	case moodBusy:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "it is busy", http.StatusTooManyRequests)
	case moodBroken:
		http.Error(w, "it is broken", http.StatusInternalServerError)
	case moodUnheard:
		if r.FormValue("watch") == "" {
			k.forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler) // which closes the connection, and is not told
	default:
		k.forward.ServeHTTP(w, r)
	}
}
