package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestCallbackEndsARun has a server do its work behind the back of its answer. The first node is killed while it waits to
// be called: the task's delivery has another one ask again, with a token of its own.
func TestCallbackEndsARun(t *testing.T) {
	etcd := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	st := store.New(etcd.Client(t), "")
	type asked struct{ url, attempt, key string }
	requests := make(chan asked, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		requests <- asked{req.Header.Get("Nightwatch-Callback-Url"), req.Header.Get("Nightwatch-Attempt"), req.Header.Get("Idempotency-Key")}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	node := func(name string) (*program, string) {
		address := freeAddress(t)
		p := start(t, environment(t), "node", "--endpoints", etcd.Endpoint(), "--name", name, "--listen", address, "--lease-ttl", "2s", "--http-allow", "127.0.0.1/32")
		becomesReady(t, address)
		return p, address
	}
	first, address := node("n1")
	if _, err := st.Put(t.Context(), "default/far", []byte(`{"http":{"url":"`+server.URL+`","method":"POST","callback":{}},"timeout":"5m"}`)); err != nil {
		t.Fatal(err)
	}
	before := <-requests
	if !strings.HasPrefix(before.url, "http://"+address+"/api/v1/callbacks/") {
		t.Errorf("told to call %s", before.url)
	}
	if code, _ := fetch(t, http.MethodGet, before.url, "", nil); code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
	if code, _ := fetch(t, http.MethodPost, before.url+"x", `{"phase":"Succeeded"}`, nil); code != http.StatusNotFound {
		t.Errorf("another token: %d", code)
	}
	if code, _ := fetch(t, http.MethodPost, before.url, `{"phase":"Done"}`, nil); code != http.StatusBadRequest {
		t.Errorf("another phase: %d", code)
	}
	first.kill()
	_, address = node("n2")
	after := <-requests
	if after.attempt != "2" || after.url == before.url || after.key == before.key {
		t.Errorf("asked again as %+v, before as %+v", after, before)
	}
	_, old, _ := strings.Cut(before.url, "/api/")
	if code, _ := fetch(t, http.MethodPost, "http://"+address+"/api/"+old, `{"phase":"Succeeded"}`, nil); code != http.StatusNotFound {
		t.Errorf("the lost attempt's token at the other node: %d", code)
	}
	for range 2 {
		if code, _ := fetch(t, http.MethodPost, after.url, `{"phase":"Succeeded","result":{"rows":3}}`, nil); code != http.StatusOK {
			t.Errorf("%d", code)
		}
	}
	status, err := st.Wait(t.Context(), "default/far", func(s *nightwatch.Status) bool { return s != nil && s.Phase.Terminal() })
	if err != nil {
		t.Fatal(err)
	}
	if last := status.LastRun; last.Phase != nightwatch.PhaseSucceeded || string(last.Result) != `{"rows":3}` || last.LostSessions != 1 {
		t.Errorf("%+v", last)
	}
}
