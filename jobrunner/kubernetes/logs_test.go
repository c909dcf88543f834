package kubernetes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// kubelet answers for the log of every pod: nothing stands behind the nodes of the cluster.
func kubelet(log func(pod string, request *http.Request) (io.Reader, int)) setting {
	path := regexp.MustCompile(`/pods/([^/]+)/log$`)
	return intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		match := path.FindStringSubmatch(request.URL.Path)
		if match == nil {
			return next.RoundTrip(request)
		}
		reader, code := log(match[1], request)
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(reader), Request: request, ProtoMajor: 1, ProtoMinor: 1}, nil
	})
}

func (r *run) log(o jobrunner.LogOptions) (string, error) {
	r.p.t.Helper()
	record, err := r.p.records.lookup(r.p.t.Context(), r.Record.Task, r.Record.ID)
	if err != nil {
		r.p.t.Fatal(err)
	}
	reader, err := r.p.runner.ReadLog(r.p.t.Context(), record, record.Attempt, o)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	return string(text), err
}

func TestLogsOfPods(t *testing.T) {
	t.Parallel()
	var asked http.Request
	p := newPlace(t, kubelet(func(pod string, request *http.Request) (io.Reader, int) {
		asked = *request
		second := 1
		if strings.HasPrefix(pod, "split-1-") {
			second = 2
		}
		return strings.NewReader(fmt.Sprintf("2026-11-20T22:00:0%d.5+08:00 begun\n2026-11-20T22:00:0%dZ ended", second, second+3)), http.StatusOK
	}))
	all := jobrunner.LogOptions{Tail: jobrunner.All, Shard: jobrunner.All}
	one := p.attempt("hello", map[string]string{"run": "100ms"})
	if _, err := one.log(all); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("before there are pods: %v", err)
	}
	expect(t, one.start().outcome(), nightwatch.PhaseSucceeded, "")
	text, err := one.log(all)
	if want := "2026-11-20T14:00:01.5Z begun\n2026-11-20T22:00:04Z ended\n"; text != want || err != nil {
		t.Errorf("log %q, %v", text, err)
	}
	if q := asked.URL.Query(); q.Get("container") != "main" || q.Get("timestamps") != "true" || q.Has("follow") || q.Has("tailLines") {
		t.Errorf("asked %s", asked.URL)
	}
	record, _ := p.records.lookup(t.Context(), one.Record.Task, one.Record.ID)
	if _, err := p.runner.ReadLog(t.Context(), record, 2, all); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("of an attempt that was not: %v", err)
	}
	record.Job.Cluster = "elsewhere"
	if _, err := p.runner.ReadLog(t.Context(), record, 1, all); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("of a cluster out of reach: %v", err)
	}

	split := p.split("split", 2)
	split.Task.Annotations["kwok-run"] = "100ms"
	expect(t, split.start().outcome(), nightwatch.PhaseSucceeded, "")
	for o, want := range map[jobrunner.LogOptions]string{
		{Tail: 3, Shard: jobrunner.All}: "2026-11-20T14:00:02.5Z [1] begun\n2026-11-20T22:00:04Z [0] ended\n2026-11-20T22:00:05Z [1] ended\n",
		{Tail: jobrunner.All, Shard: 1}: "2026-11-20T14:00:02.5Z begun\n2026-11-20T22:00:05Z ended\n",
	} {
		if text, err := split.log(o); text != want || err != nil {
			t.Errorf("%+v: log %q, %v", o, text, err)
		}
	}
}

func TestFollowedLog(t *testing.T) {
	t.Parallel()
	said, saying := io.Pipe()
	var tries atomic.Int64
	p := newPlace(t, kubelet(func(_ string, request *http.Request) (io.Reader, int) {
		if tries.Add(1) == 1 {
			return strings.NewReader(`{"kind":"Status","code":400,"reason":"BadRequest","message":"container \"main\" is waiting to start"}`), http.StatusBadRequest
		}
		if request.URL.Query().Get("follow") != "true" {
			t.Errorf("asked %s", request.URL)
		}
		return said, http.StatusOK
	}))
	r := p.attempt("hello", forever).start()
	r.running()
	record, _ := p.records.lookup(t.Context(), r.Record.Task, r.Record.ID)
	reader, err := p.runner.ReadLog(t.Context(), record, 1, jobrunner.LogOptions{Follow: true, Tail: 10, Shard: jobrunner.All})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(reader)
	for _, word := range []string{"one", "two"} {
		if _, err := fmt.Fprintf(saying, "2026-11-20T14:00:00Z %s\n", word); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || lines.Text() != "2026-11-20T14:00:00Z "+word {
			t.Errorf("line %q, %v", lines.Text(), lines.Err())
		}
	}
	p.play(p.pods()[0].Name, map[string]any{"phase": corev1.PodSucceeded, "containerStatuses": endedWith(0, "")})
	expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	_ = saying.Close()
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}

	// Who has seen enough leaves nothing behind.
	other := p.attempt("other", forever).start()
	other.running()
	said, saying = io.Pipe()
	record, _ = p.records.lookup(t.Context(), other.Record.Task, other.Record.ID)
	if reader, err = p.runner.ReadLog(t.Context(), record, 1, jobrunner.LogOptions{Follow: true, Tail: 10, Shard: jobrunner.All}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = fmt.Fprintf(saying, "2026-11-20T14:00:00Z %s\n", strings.Repeat("x", 2*maxLogLine)) }()
	if part, err := io.ReadAll(io.LimitReader(reader, maxLogLine)); len(part) != maxLogLine || err != nil {
		t.Errorf("%d bytes of a long line, %v", len(part), err)
	}
	closed := make(chan error, 1)
	go func() {
		_ = said.CloseWithError(io.ErrClosedPipe) // as the end of a request ends its body
		closed <- reader.Close()
	}()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("closing waits")
	}
}

// A followed log that breaks off says so: who reads it goes on from there.
func TestFollowedLogBreaksOff(t *testing.T) {
	t.Parallel()
	broken := func(first string) io.Reader {
		return io.MultiReader(strings.NewReader(first), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	for name, log := range map[string]func() (io.Reader, int){
		"refused": func() (io.Reader, int) {
			return strings.NewReader(`{"kind":"Status","code":500,"reason":"InternalError","message":"no route to the kubelet"}`), http.StatusInternalServerError
		},
		"cut": func() (io.Reader, int) { return broken("2026-11-20T14:00:00Z one\n"), http.StatusOK },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, kubelet(func(string, *http.Request) (io.Reader, int) { return log() }))
			r := p.attempt("hello", forever).start()
			r.running()
			text, err := r.log(jobrunner.LogOptions{Follow: true, Tail: jobrunner.All, Shard: jobrunner.All})
			if err == nil || !strings.Contains(err.Error(), "log of pod hello-") || name == "cut" && text != "2026-11-20T14:00:00Z one\n" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}
