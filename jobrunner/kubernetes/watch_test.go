package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func watches(request *http.Request) bool { return request.URL.Query().Get("watch") != "" }

// body is a stream that says something and then nothing until the request ends.
type body struct {
	io.Reader
	ctx context.Context
}

func (b body) Read(data []byte) (int, error) {
	if n, err := b.Reader.Read(data); err == nil {
		return n, nil
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b body) Close() error { return nil }

func stream(request *http.Request, text string) *http.Response {
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: request, ProtoMajor: 1, ProtoMinor: 1,
		Body: body{strings.NewReader(text), request.Context()},
	}
}

// A watch that says nothing, though it is open, is made good by the lists.
func TestDeafWatch(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *Config) { c.Relist = 300 * time.Millisecond },
		intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
			if watches(request) {
				return stream(request, ""), nil
			}
			return next.RoundTrip(request)
		}))
	r := p.attempt("hello", map[string]string{"run": "2s"}).start()
	p.waitSeen("hello")
	expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
}

func TestCompactedWatch(t *testing.T) {
	t.Parallel()
	var watched atomic.Int64
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if watches(request) {
			switch watched.Add(1) {
			case 1: // as an event in an open watch
				return stream(request, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`+"\n"), nil
			case 2: // as the answer to a watch
				return answer(request, metav1.Status{Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old resource version"}), nil
			}
		}
		return next.RoundTrip(request)
	}))
	expect(t, p.attempt("hello", map[string]string{"run": "300ms"}).start().outcome(), nightwatch.PhaseSucceeded, "")
	p.eventually("the watch is well again", func(context.Context) error {
		if watched.Load() < 3 {
			return fmt.Errorf("%d watches", watched.Load())
		}
		return ready(p.runner)
	})
}

func TestViewOfTwoLivesOfAJob(t *testing.T) {
	v := newView()
	name := types.NamespacedName{Namespace: "default", Name: "hello"}
	job := func(uid types.UID, run string) *batchv1.Job {
		j := &batchv1.Job{}
		j.Namespace, j.Name, j.UID, j.ResourceVersion = name.Namespace, name.Name, uid, string(uid)
		j.Labels = map[string]string{LabelClusterID: "c"}
		j.Annotations = map[string]string{
			AnnotationTask: "default/hello", AnnotationTaskUID: "7", AnnotationRun: run, AnnotationAttempt: "1",
		}
		return j
	}
	wake, forget := v.subscribe(name)
	woken := func() bool {
		select {
		case <-wake:
			return true
		default:
			return false
		}
	}
	run := func(id string) jobrunner.RunName { return jobrunner.RunName{Task: "default/hello", Run: id} }

	v.put(job("u1", "rev-7"))
	if !woken() || v.get(name).UID != "u1" || len(v.of(run("rev-7"))) != 1 {
		t.Error("u1 is not there")
	}
	v.replace(map[types.NamespacedName]*batchv1.Job{name: job("u2", "rev-8")}, time.Now())
	if !woken() || v.get(name).UID != "u2" || len(v.of(run("rev-7"))) != 0 || len(v.of(run("rev-8"))) != 1 {
		t.Error("u2 has not taken its place")
	}
	v.replace(map[types.NamespacedName]*batchv1.Job{name: job("u2", "rev-8")}, time.Now())
	if woken() {
		t.Error("woken by a list that says nothing new")
	}
	v.replace(nil, time.Now())
	if !woken() || v.get(name) != nil || len(v.runs) != 0 {
		t.Error("it is still there")
	}
	if forget(); len(v.waiting) != 0 {
		t.Error("the subscription is still there")
	}
}

func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		check := func(what string, want bool) {
			t.Helper()
			if err := v.fresh(time.Now()); (err == nil) != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("nothing listed", false)
		v.replace(nil, time.Now())
		check("listed", true)
		v.fail(io.EOF)
		check("an error just now", true)
		<-time.After(errorGrace + time.Second)
		check("errors for a while", false)
		v.hear(time.Now())
		check("heard again", true)
		<-time.After(silence)
		check("silent", true)
		<-time.After(errorGrace + time.Second)
		check("silent for too long", false)
	})
}
