package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

const (
	// maxLogs is how many logs are read at once.
	maxLogs = 64
	// maxToken is longer than any token.
	maxToken = 128
	// maxTail bounds what is remembered to find the last lines.
	maxTail = 1_000_000
)

// logs serves the logs of runs.
type logs struct {
	read  func(context.Context, node.LogRequest) (io.ReadCloser, error)
	turns chan struct{}
}

func newLogs(cfg Config) *logs {
	return &logs{read: cfg.Log, turns: make(chan struct{}, maxLogs)}
}

func (l *logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := node.LogRequest{
		Task: r.PathValue("namespace") + "/" + r.PathValue("task"), Run: r.PathValue("run"), Token: bearer(r),
	}
	if _, _, err := nightwatch.ParseTaskName(request.Task); err != nil || !nightwatch.ValidRunID(request.Run) {
		answer(w, http.StatusNotFound, "no run can have this name\n")
		return
	}
	if request.Token == "" {
		denied(w, "log.token of the run's record is wanted, as Authorization: Bearer <token>")
		return
	}
	timestamps, err := logOptions(r.URL.Query(), &request)
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	default:
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, fmt.Sprintf("%d logs are being read from this node, which is all it does at once\n", maxLogs))
		return
	}
	log, err := l.read(r.Context(), request)
	switch {
	case errors.Is(err, node.ErrLogDenied):
		denied(w, err.Error())
	case errors.Is(err, nightwatch.ErrNotFound):
		answer(w, http.StatusNotFound, oneLine(err.Error())+"\n")
	case err != nil:
		answer(w, http.StatusServiceUnavailable, oneLine(err.Error())+"\n")
	default:
		defer log.Close()
		l.send(w, log, timestamps)
	}
}

// bearer is the token of a request, or nothing.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken {
		return ""
	}
	return token
}

func denied(w http.ResponseWriter, why string) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer(w, http.StatusUnauthorized, why+"\n")
}

// logOptions reads the query, which may say nothing else.
func logOptions(query url.Values, into *node.LogRequest) (timestamps bool, err error) {
	into.Tail, into.Shard = jobrunner.All, jobrunner.All
	for name, values := range query {
		value := values[len(values)-1]
		bad := func(want string) error { return fmt.Errorf("%s: %.80q: want %s", name, value, want) }
		switch name {
		case "attempt":
			if into.Attempt, err = strconv.Atoi(value); err != nil || into.Attempt < 1 {
				return false, bad("a number from 1 on")
			}
		case "tail":
			if into.Tail, err = strconv.Atoi(value); err != nil || into.Tail < 0 || into.Tail > maxTail {
				return false, bad(fmt.Sprintf("a number of lines, 0 to %d", maxTail))
			}
		case "shard":
			if into.Shard, err = strconv.Atoi(value); err != nil || into.Shard < 0 {
				return false, bad("the index of a shard, from 0 on")
			}
		case "since":
			if into.Since, err = time.Parse(time.RFC3339, value); err != nil {
				return false, bad("a time such as 2026-11-20T14:15:00Z")
			}
		case "follow":
			if into.Follow, err = strconv.ParseBool(value); err != nil {
				return false, bad("true or false")
			}
		case "timestamps":
			if timestamps, err = strconv.ParseBool(value); err != nil {
				return false, bad("true or false")
			}
		default:
			return false, fmt.Errorf("%.80s: unknown: want attempt, follow, tail, since, shard or timestamps", name)
		}
	}
	return timestamps, nil
}

// send copies a log to the client as it comes. A log that breaks off breaks the answer off, so that the client can tell
// it from one that has ended.
func (l *logs) send(w http.ResponseWriter, log io.Reader, timestamps bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	control := http.NewResponseController(w)
	// Limits that are for short answers. A client that is gone is noticed by the context's end, or by a write.
	_ = control.SetReadDeadline(time.Time{})
	_ = control.Flush() // whoever follows a silent run is to know that he was heard
	var text texts
	buf := make([]byte, 32<<10)
	for {
		n, err := log.Read(buf)
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		data := buf[:n]
		if !timestamps {
			data = text.of(data)
		}
		if len(data) > 0 {
			if _, err := w.Write(data); err != nil {
				return
			}
			_ = control.Flush()
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			panic(http.ErrAbortHandler)
		}
	}
}

// texts takes the times from the beginnings of lines.
type texts struct {
	begun bool // the rest of the line is text
}

// of is what data has besides times, in data's own place.
func (t *texts) of(data []byte) []byte {
	out := data[:0]
	for len(data) > 0 {
		if !t.begun {
			at := bytes.IndexByte(data, ' ')
			if at < 0 {
				break
			}
			data, t.begun = data[at+1:], true
			continue
		}
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			return append(out, data...)
		}
		out = append(out, data[:end]...)
		data, t.begun = data[end:], false
	}
	return out
}
