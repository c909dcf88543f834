package httpcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	// settle is how long a request is under way before its start is recorded: one that is answered sooner frees the
	// task's mutex as it finishes.
	settle = 100 * time.Millisecond
	// maxRedirects is how many redirects are followed.
	maxRedirects = 5
	// maxBody is how much of an answer is read; of that the end is kept.
	maxBody = 16 << 20
	// maxHeader is how large an answer's header may be.
	maxHeader = 64 << 10
	// connectWithin bounds the connect and the TLS handshake, each.
	connectWithin = 15 * time.Second
)

// Config says where requests may go.
type Config struct {
	// Allow are networks that requests may go to although they are loopback, link-local, multicast, unspecified or a
	// cloud's metadata service. Default none.
	Allow []netip.Prefix
}

// Runner is the runner "http". It is safe for concurrent use and keeps nothing between attempts.
type Runner struct{ allow []netip.Prefix }

var _ jobrunner.Runner = (*Runner)(nil)

// New makes a runner.
func New(cfg Config) *Runner { return &Runner{allow: slices.Clone(cfg.Allow)} }

// Name is "http".
func (r *Runner) Name() string { return nightwatch.RunnerHTTP }

// Run implements jobrunner.Runner. It returns when the answer has ended or its connection is closed.
func (r *Runner) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	timed, cancel := jobrunner.WithTimeout(ctx, a)
	defer cancel()
	// The request has a context of its own, which ends also when a deadline has passed or Save has failed.
	asking, giveUp := context.WithCancelCause(timed)
	defer giveUp(nil)

	sent := make(chan struct{})
	var once sync.Once
	asking = httptrace.WithClientTrace(asking, &httptrace.ClientTrace{WroteHeaders: func() { once.Do(func() { close(sent) }) }})
	req, err := request(asking, a)
	if err != nil {
		return refused(err)
	}
	if timed.Err() != nil {
		return jobrunner.Stopped(timed)
	}
	if !time.Now().Before(a.Deadline()) {
		return jobrunner.Interrupted
	}
	call := newCall(r.allow, a, giveUp)
	answered := make(chan jobrunner.Outcome, 1)
	// If the node dies from here on, the request may have been sent; its key and its fence tell the server.
	go func() { answered <- call.do(req) }()

	settled := time.NewTimer(settle)
	settled.Stop()
	defer settled.Stop()
	for {
		select {
		case out := <-answered:
			switch {
			case out.Phase != "":
				return out
			case timed.Err() != nil:
				return jobrunner.Stopped(timed)
			default:
				return jobrunner.Interrupted
			}
		case <-sent:
			sent = nil
			settled.Reset(settle)
		case <-settled.C:
			if err := a.Save(timed, func(*nightwatch.Run) {}); err != nil && timed.Err() == nil {
				giveUp(jobrunner.ErrSessionLost)
				<-answered
				return jobrunner.Interrupted
			}
		}
	}
}

// do sends the request, follows redirects and reads the answer. The outcome is Interrupted if the request's context
// ended before.
func (c *call) do(req *http.Request) jobrunner.Outcome {
	resp, err := c.client().Do(req)
	if err != nil {
		return c.failed(req.Context(), err)
	}
	defer resp.Body.Close()
	var tail jobrunner.Tail
	body := io.LimitReader(resp.Body, maxBody)
	if _, err := io.Copy(&tail, body); err != nil {
		out := c.failed(req.Context(), fmt.Errorf("read the answer (status %d): %w", resp.StatusCode, err))
		if out.Phase != "" {
			out.Output = tail.String()
		}
		return out
	}
	out := jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded, Output: tail.String()}
	if !success(resp.StatusCode, c.attempt.Task.HTTP.Success) {
		out.Phase, out.Reason = nightwatch.PhaseFailed, nightwatch.ReasonHTTPStatus
		out.Message = "status " + jobrunner.Clip(resp.Status)
		if c.redirects > 0 {
			out.Message += fmt.Sprintf(" from %s, after %d redirects", shown(resp.Request.URL), c.redirects)
		}
	}
	return out
}

// failed is the outcome of a request that has no answer.
func (c *call) failed(ctx context.Context, err error) jobrunner.Outcome {
	var denied *deniedError
	switch {
	case ctx.Err() != nil:
		return jobrunner.Interrupted
	case errors.As(err, &denied) && c.redirects == 0:
		return refused(denied)
	}
	var of *url.Error
	if errors.As(err, &of) {
		if target, parseErr := url.Parse(of.URL); parseErr == nil {
			err = fmt.Errorf("%s %s: %w", of.Op, shown(target), of.Err)
		}
	}
	return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonHTTPError, Message: jobrunner.Clip(err.Error())}
}

func refused(err error) jobrunner.Outcome {
	return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonStartRefused, Message: jobrunner.Clip(err.Error())}
}

// success tells whether a status is among those that mean success, 200-299 when none are named.
func success(status int, ranges []string) bool {
	if len(ranges) == 0 {
		ranges = []string{"200-299"}
	}
	return slices.ContainsFunc(ranges, func(text string) bool {
		from, to, err := nightwatch.ParseStatusRange(text)
		return err == nil && from <= status && status <= to
	})
}

// shown is a URL as messages show it: without its query, in which a server's redirect may have put a signature.
func shown(target *url.URL) string {
	plain := *target
	plain.RawQuery, plain.Fragment = "", ""
	return jobrunner.Clip(plain.Redacted())
}
