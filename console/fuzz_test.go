package console_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/console"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

// fuzzedToken stands in a path for one that was given out.
const fuzzedToken = "TOKEN"

// No request makes the handler panic, or answer with what says nothing of it; a log is only read of a run that can be, with
// a token and options that are in their bounds; and an attempt is told only what can be said of one, once.
func FuzzAPI(f *testing.F) {
	f.Add("GET", "/", "", "", []byte(nil))
	f.Add("HEAD", "/readyz", "", "", []byte(nil))
	f.Add("GET", logPath, "attempt=2&follow=true&tail=10&since=2026-11-20T14:15:00Z&shard=0&timestamps=1", "Bearer x", []byte(nil))
	f.Add("GET", logPath, "tail=-1", "bearer x", []byte(nil))
	f.Add("GET", logPath, "tail=1000001&Tail=1", "Bearer "+strings.Repeat("x", 129), []byte(nil))
	f.Add("GET", logPath, "attempt=1e3&attempt=", "Basic eDp5", []byte(nil))
	f.Add("GET", "/api/v1/namespaces/de%2Ffault/tasks/%2e%2e/runs/rev%00/log", "shard=%zz;since", "Bearer x", []byte(nil))
	f.Add("POST", jobrunner.CallbackPath+fuzzedToken, "", "", []byte(`{"phase":"Succeeded","result":{"a":1}}`))
	f.Add("POST", jobrunner.CallbackPath+fuzzedToken, "", "", []byte(`{"phase":"Failed","retry":false,"message":"\u0000"}`))
	f.Add("POST", jobrunner.CallbackPath+fuzzedToken, "", "", []byte("phase: Succeeded\nphase: Failed"))
	f.Add("POST", jobrunner.CallbackPath+fuzzedToken+"/", "a", "", []byte(strings.Repeat("[", 9000)))
	f.Add("PUT", jobrunner.CallbackPath+"x", "", "", []byte("{}"))
	f.Fuzz(func(t *testing.T, method, path, query, authorization string, body []byte) {
		callbacks, err := jobrunner.NewCallbacks("http://n1:7420")
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(time.Hour)
		waits, err := (&jobrunner.Attempt{Callbacks: callbacks, Deadline: func() time.Time { return deadline }}).OpenCallback()
		if err != nil {
			t.Fatal(err)
		}
		var asked *node.LogRequest
		handler := console.New(console.Config{Node: "n1", Callbacks: callbacks, Log: func(_ context.Context, r node.LogRequest) (io.ReadCloser, error) {
			asked = &r
			return io.NopCloser(strings.NewReader("2026-11-20T14:15:00Z one\n")), nil
		}})
		target := &url.URL{RawQuery: query}
		if parsed, err := url.Parse(strings.ReplaceAll(path, fuzzedToken, waits.Token)); err == nil {
			target.Path, target.RawPath = parsed.Path, parsed.RawPath
		}
		request := &http.Request{
			Method: method, URL: target, Host: "n1", Header: http.Header{"Authorization": {authorization}}, Body: io.NopCloser(strings.NewReader(string(body))),
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request.WithContext(t.Context()))

		switch answer.Code {
		case 200, 301, 307, 400, 401, 404, 405, 410, 413:
		default:
			t.Fatalf("answered %d: %s", answer.Code, answer.Body)
		}
		if answer.Code == 400 && len(answer.Body.String()) < 10 {
			t.Fatalf("refused with no more than %q", answer.Body)
		}
		if asked != nil {
			_, _, err := nightwatch.ParseTaskName(asked.Task)
			if err != nil || !nightwatch.ValidRunID(asked.Run) || asked.Token == "" || asked.Attempt < 0 || asked.Tail < jobrunner.All || asked.Shard < jobrunner.All {
				t.Fatalf("asked for %+v", asked)
			}
		}
		said := waits.Completion()
		if told := answer.Code == 200 && asked == nil && strings.Contains(target.Path, waits.Token); told != (said != nil) {
			t.Fatalf("answered %d %s, and the attempt was told %+v", answer.Code, answer.Body, said)
		}
		if said != nil {
			if said.Phase != nightwatch.PhaseSucceeded && said.Phase != nightwatch.PhaseFailed || len(said.Result) > nightwatch.MaxResult {
				t.Fatalf("the attempt was told %+v", said)
			}
		}
	})
}
