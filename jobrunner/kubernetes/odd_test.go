package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// However many sessions believe that an attempt is theirs, it has one Job.
func TestManyOwners(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.stranger("taken")
	for _, name := range []string{"hello", "taken"} {
		first := p.attempt(name, map[string]string{"run": "500ms"})
		owners := []*run{first}
		for range 7 {
			owner := first.next()
			owner.lost.Store(true)
			owners = append(owners, owner)
		}
		last := first.next()
		for _, owner := range owners {
			owner.start()
		}
		expect(t, last.start().outcome(), nightwatch.PhaseSucceeded, "")
		for _, owner := range owners {
			if out := owner.outcome(); out.Phase != "" {
				t.Errorf("outcome %+v of an owner that is none", out)
			}
		}
		jobs := 0
		for _, job := range p.jobs() {
			if id, ok := identify(&job); ok && id.task == first.Record.Task {
				jobs++
			}
		}
		if jobs != 1 {
			t.Errorf("%s has %d Jobs", name, jobs)
		}
	}
}

func TestRunWithoutWatch(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	unserved, err := New(Config{Clusters: reach("test", kubetest.Shared(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unserved.clusters[0].http.CloseIdleConnections)
	good := p.attempt("good", map[string]string{"run": "100ms"}).startOn(unserved)
	gone := p.attempt("gone", forever).startOn(unserved)
	gone.running()
	background := metav1.DeletePropagationBackground
	if err := p.client.BatchV1().Jobs(p.namespace).Delete(t.Context(), "gone", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	expect(t, good.outcome(), nightwatch.PhaseSucceeded, "")
	expect(t, gone.outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)
}

// A node that reaches another cluster than the record names does nothing at all.
func TestJobInAnotherCluster(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, uid := range []string{"", "u1"} {
		for _, cause := range []error{nil, jobrunner.ErrCancel} {
			r := p.attempt("hello", forever)
			r.Record.Job.Cluster, r.Record.Job.UID, r.Adopt = "elsewhere", uid, true
			if cause != nil {
				r.end(cause)
			}
			if out := r.start().outcome(); out.Phase != "" {
				t.Errorf("outcome %+v", out)
			}
		}
	}
	if got := len(p.jobs()); got != 0 {
		t.Errorf("%d Jobs", got)
	}
}

func TestPodsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		switch {
		case strings.HasSuffix(request.URL.Path, "/pods"):
			return answer(request, metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: "no"}), nil
		case strings.HasSuffix(request.URL.Path, "/namespaces/"+metav1.NamespaceSystem):
			return next.RoundTrip(request)
		case strings.Contains(request.URL.Path, "/api/v1/namespaces/"):
			return nil, errors.New("no route to host")
		}
		return next.RoundTrip(request)
	}))
	good := p.attempt("good", map[string]string{"run": "100ms"}).start()
	bad := p.attempt("bad", map[string]string{"run": "100ms", "exit": "3"}).start()
	out := good.outcome()
	expect(t, out, nightwatch.PhaseSucceeded, "")
	if out.ExitCode == nil || *out.ExitCode != 0 {
		t.Errorf("exit code %v", out.ExitCode)
	}
	expect(t, bad.outcome(), nightwatch.PhaseFailed, "BackoffLimitExceeded")
}

// A Job that changes between the look at it and its deletion is looked at again.
func TestCancelOfAJobThatChanges(t *testing.T) {
	t.Parallel()
	var p *place
	var deletes atomic.Int64
	p = newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodDelete && deletes.Add(1) == 1 {
			if _, err := p.client.BatchV1().Jobs(p.namespace).Patch(request.Context(), "hello", types.MergePatchType,
				[]byte(`{"metadata":{"annotations":{"changed":"since"}}}`), metav1.PatchOptions{}); err != nil {
				return nil, err
			}
		}
		return next.RoundTrip(request)
	}))
	r := p.attempt("hello", forever).start()
	r.running()
	r.end(jobrunner.ErrCancel)
	expect(t, r.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	if deletes.Load() < 2 {
		t.Errorf("%d deletes", deletes.Load())
	}
	if err := p.absent("hello"); err != nil {
		t.Error(err)
	}
}

// The API server may be away when a node starts.
func TestAPIServerAwayAtTheStart(t *testing.T) {
	t.Parallel()
	var here atomic.Bool
	p := newPlace(t)
	config := Config{Clusters: reach("late", kubetest.Shared(t))}
	intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if !here.Load() {
			return nil, errors.New("no route to host")
		}
		return next.RoundTrip(request)
	})(&config)
	late, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if reached(late) != 0 {
		t.Errorf("clusters %v", late.Clusters())
	}
	r := p.attempt("hello", map[string]string{"run": "100ms"})
	r.Record.Job.Cluster = ""
	r.startOn(late)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		late.Serve(ctx, jobrunner.Env{ClusterID: p.clusterID, Node: "n2"})
	}()
	p.eventually("it says what is wrong", func(context.Context) error {
		if err := ready(late); err == nil || !strings.Contains(err.Error(), "no route to host") {
			return fmt.Errorf("check: %w", err)
		}
		return nil
	})
	here.Store(true)
	expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	p.eventually("it is well", func(context.Context) error { return ready(late) })
	if reached(late) != 1 || late.Clusters()[0].UID != p.runner.Clusters()[0].UID {
		t.Errorf("clusters %v and %v", late.Clusters(), p.runner.Clusters())
	}
	stop()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("Serve does not return")
	}
}

// Serving ends at once, also while nothing answers.
func TestServeEndsWhileAPIServerIsAway(t *testing.T) {
	t.Parallel()
	config := Config{Clusters: []Cluster{{REST: &rest.Config{Host: "https://127.0.0.1:1"}}}}
	intercept(func(_ http.RoundTripper, request *http.Request) (*http.Response, error) {
		<-request.Context().Done()
		return nil, request.Context().Err()
	})(&config)
	r, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Serve(ctx, jobrunner.Env{ClusterID: "c", Node: "n1"})
		}()
		stop()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Fatal("Serve does not return")
		}
	}
}
