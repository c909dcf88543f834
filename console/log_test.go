package console_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/console"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

const logPath = "/api/v1/namespaces/default/tasks/demo/runs/rev-7/log"

func getLog(handler http.Handler, path, authorization string) *httptest.ResponseRecorder {
	request := httptest.NewRequest("GET", path, nil)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

func TestLogAsksForWhatTheRequestSays(t *testing.T) {
	var asked node.LogRequest
	handler := console.New(console.Config{Node: "n1", Log: func(_ context.Context, r node.LogRequest) (io.ReadCloser, error) {
		asked = r
		return io.NopCloser(strings.NewReader("2026-11-20T14:15:00Z one two\n2026-11-20T14:15:01Z \n2026-11-20T14:15:02Z end")), nil
	}})
	since := time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)
	for _, test := range []struct {
		query string
		want  jobrunner.LogOptions
		of    int
		text  string
	}{
		{"", jobrunner.LogOptions{Tail: jobrunner.All, Shard: jobrunner.All}, 0, "one two\n\nend"},
		{
			"?attempt=3&follow=true&tail=0&since=2026-11-20T14:15:00Z&shard=2&timestamps=true",
			jobrunner.LogOptions{Follow: true, Tail: 0, Since: since, Shard: 2}, 3,
			"2026-11-20T14:15:00Z one two\n2026-11-20T14:15:01Z \n2026-11-20T14:15:02Z end",
		},
	} {
		got := getLog(handler, logPath+test.query, "Bearer secret")
		if got.Code != 200 || got.Body.String() != test.text || got.Header().Get(nightwatch.NodeHeader) != "n1" {
			t.Errorf("%q: %d %q %v", test.query, got.Code, got.Body, got.Header())
		}
		want := node.LogRequest{Task: "default/demo", Run: "rev-7", Attempt: test.of, Token: "secret", LogOptions: test.want}
		if !reflect.DeepEqual(asked, want) {
			t.Errorf("%q: asked for %+v, want %+v", test.query, asked, want)
		}
	}
}

func TestLogRefuses(t *testing.T) {
	var fault error
	handler := console.New(console.Config{Log: func(context.Context, node.LogRequest) (io.ReadCloser, error) { return nil, fault }})
	for _, test := range []struct {
		name, path, authorization string
		fault                     error
		status                    int
		text                      string
	}{
		{"no token", logPath, "", nil, 401, "Authorization: Bearer"},
		{"token of another kind", logPath, "Basic c2VjcmV0", nil, 401, "Authorization: Bearer"},
		{"token in the URL", logPath + "?token=secret", "", nil, 401, "Authorization: Bearer"},
		{"token far too long", logPath, "Bearer " + strings.Repeat("x", 1000), nil, 401, "Authorization: Bearer"},
		{"wrong token", logPath, "Bearer x", node.ErrLogDenied, 401, "not the token"},
		{"nothing kept", logPath, "Bearer x", fmt.Errorf("of attempt 2: %w", nightwatch.ErrNotFound), 404, "attempt 2"},
		{"etcd away", logPath, "Bearer x", errors.New("etcd is\naway"), 503, "etcd is away\n"},
		{"bad namespace", strings.Replace(logPath, "default", "De_fault", 1), "Bearer x", nil, 404, "no run"},
		{"bad run", strings.Replace(logPath, "rev-7", "rev%2f7", 1), "Bearer x", nil, 404, "no run"},
		{"bad attempt", logPath + "?attempt=0", "Bearer x", nil, 400, `attempt: "0": want a number from 1 on`},
		{"bad tail", logPath + "?tail=-1", "Bearer x", nil, 400, `tail: "-1": want`},
		{"bad shard", logPath + "?shard=x", "Bearer x", nil, 400, `shard: "x": want`},
		{"bad since", logPath + "?since=noon", "Bearer x", nil, 400, `since: "noon": want`},
		{"bad follow", logPath + "?follow=x", "Bearer x", nil, 400, `follow: "x": want`},
		{"bad timestamps", logPath + "?timestamps=x", "Bearer x", nil, 400, `timestamps: "x": want`},
		{"unknown", logPath + "?folow=true", "Bearer x", nil, 400, "folow: unknown: want attempt, follow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fault = test.fault
			got := getLog(handler, test.path, test.authorization)
			if got.Code != test.status || !strings.Contains(got.Body.String(), test.text) {
				t.Errorf("got %d %q, want %d %q", got.Code, got.Body, test.status, test.text)
			}
			if test.status == 401 && got.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("headers %v", got.Header())
			}
		})
	}
	if got := getLog(console.New(console.Config{}), logPath, "Bearer x"); got.Code != 404 {
		t.Errorf("without logs: %d", got.Code)
	}
	request := httptest.NewRequest("POST", logPath, nil)
	answer := httptest.NewRecorder()
	if handler.ServeHTTP(answer, request); answer.Code != 405 {
		t.Errorf("POST: %d", answer.Code)
	}
}

// followed is a log that goes on for as long as its context.
type followed struct {
	ctx   context.Context
	lines chan string
	rest  string
}

func (f *followed) Read(into []byte) (int, error) {
	if f.rest == "" {
		select {
		case line, more := <-f.lines:
			if !more {
				return 0, io.EOF
			}
			f.rest = line
		case <-f.ctx.Done():
			return 0, f.ctx.Err()
		}
	}
	n := copy(into, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *followed) Close() error { return nil }

// TestFollowedLog is served by a server whose limits are far shorter than the log takes.
func TestFollowedLog(t *testing.T) {
	lines, silent := make(chan string), make(chan string)
	ended := make(chan bool, 1)
	read := func(ctx context.Context, r node.LogRequest) (io.ReadCloser, error) {
		context.AfterFunc(ctx, func() { ended <- true })
		if r.Attempt == 2 {
			return &followed{ctx: ctx, lines: silent}, nil
		}
		return &followed{ctx: ctx, lines: lines}, nil
	}
	server := httptest.NewUnstartedServer(console.New(console.Config{Log: read}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	defer server.Close()
	get := func(ctx context.Context, query string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, "GET", server.URL+logPath+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer x")
		answer, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	answer := get(t.Context(), "?follow=true") // there is an answer before there is a line
	defer answer.Body.Close()
	text := bufio.NewReader(answer.Body)
	for i := range 5 {
		<-time.After(60 * time.Millisecond) // five times that is more than the limits
		lines <- fmt.Sprintf("2026-11-20T14:15:00Z %d\n", i)
		if line, err := text.ReadString('\n'); err != nil || line != fmt.Sprintf("%d\n", i) {
			t.Fatalf("line %d: %q, %v", i, line, err)
		}
	}
	close(lines)
	if rest, err := io.ReadAll(text); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v: want the end", rest, err)
	}

	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	gone := get(ctx, "?follow=true&attempt=2")
	cancel()
	gone.Body.Close()
	<-ended // a client that goes away ends the reading
}

// TestLogThatBreaksOff is told from one that has ended.
func TestLogThatBreaksOff(t *testing.T) {
	server := httptest.NewServer(console.New(console.Config{Log: func(context.Context, node.LogRequest) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("2026-11-20T14:15:00Z one\n"), broken{})), nil
	}}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+logPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer x")
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); string(text) != "one\n" || err == nil {
		t.Errorf("read %q, %v: want an error after what there was", text, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("out of paper") }

func TestLogsAtOnceAreBounded(t *testing.T) {
	inside, release := make(chan bool), make(chan bool)
	handler := console.New(console.Config{Log: func(context.Context, node.LogRequest) (io.ReadCloser, error) {
		inside <- true
		<-release
		return nil, nightwatch.ErrNotFound
	}})
	done := make(chan int)
	for range 64 {
		go func() { done <- getLog(handler, logPath, "Bearer x").Code }()
		<-inside
	}
	if got := getLog(handler, logPath, "Bearer x"); got.Code != 503 || got.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d %v", got.Code, got.Header())
	}
	close(release)
	for range 64 {
		if code := <-done; code != 404 {
			t.Errorf("got %d", code)
		}
	}
}
