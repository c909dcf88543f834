package httpcall

import (
	"context"
	"crypto/x509"
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
	// maxRedirects is how many redirects of one request are followed.
	maxRedirects = 10
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
	// OnlyNetworks and OnlyHosts, when either has any, are all that requests may go to: an address in one of the
	// networks, or any address of a host that is named as the URL, redirect or Location names it. They open nothing
	// that is refused without Allow. Default everywhere.
	OnlyNetworks []netip.Prefix
	OnlyHosts    []string
	// RootCAs are the authorities that servers of https URLs are trusted by. Default the system's.
	RootCAs *x509.CertPool
}

// Runner is the runner "http". It is safe for concurrent use and keeps nothing between attempts.
type Runner struct {
	rules rules
	roots *x509.CertPool
}

var _ jobrunner.Runner = (*Runner)(nil)

// New makes a runner.
func New(cfg Config) *Runner { return &Runner{rules: newRules(cfg), roots: cfg.RootCAs} }

// Name is "http".
func (r *Runner) Name() string { return nightwatch.RunnerHTTP }

// Run implements jobrunner.Runner. It returns when the last answer has ended or its connection is closed.
func (r *Runner) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	timed, cancel := jobrunner.WithTimeout(ctx, a)
	defer cancel()
	// The requests have a context of their own, which ends also when a deadline has passed or Save has failed.
	asking, giveUp := context.WithCancelCause(timed)
	defer giveUp(nil)

	sent := make(chan struct{})
	var once sync.Once
	asking = httptrace.WithClientTrace(asking, &httptrace.ClientTrace{WroteHeaders: func() { once.Do(func() { close(sent) }) }})
	spec, err := render(a)
	if err != nil {
		return refused(err)
	}
	req, err := request(asking, spec, a.Run)
	if err != nil {
		return refused(err)
	}
	if timed.Err() != nil {
		return jobrunner.Stopped(timed)
	}
	if !time.Now().Before(a.Deadline()) {
		return jobrunner.Interrupted
	}
	call := newCall(r, a, spec, req.URL, giveUp)
	if spec.Callback != nil {
		back, err := a.OpenCallback()
		if err != nil {
			return refused(fmt.Errorf("http.callback: %w", err))
		}
		defer back.Close()
		call.expect(req, back)
	}
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

// answer is what a server has said, when its body has been read.
type answer struct {
	resp   *http.Response
	output string
}

// ask sends a request, follows redirects and reads the answer, as much of it as came before an error.
func (c *call) ask(req *http.Request) (answer, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols { // nobody asked for that, and what follows has no end
		return answer{resp: resp}, errors.New("status 101: want an answer, not another protocol")
	}
	var tail jobrunner.Tail
	clean := c.attempt.Mask().Writer(io.MultiWriter(&tail, c.attempt.Log))
	if _, err = io.Copy(clean, io.LimitReader(resp.Body, maxBody)); err != nil {
		err = fmt.Errorf("read the answer (status %d): %w", resp.StatusCode, err)
	}
	_ = clean.Close()
	return answer{resp: resp, output: tail.String()}, err
}

// do sends the request, and polls or waits to be called back when the task says so. The outcome is Interrupted if the
// request's context ended before.
func (c *call) do(req *http.Request) jobrunner.Outcome {
	if c.back != nil {
		return c.doAndWait(req)
	}
	got, err := c.ask(req)
	if err == nil && c.begun(got) {
		got, err = c.poll(req.Context(), got)
	}
	if err != nil {
		return c.failed(req.Context(), got, err)
	}
	return c.answered(got)
}

// answered is the outcome that an answer's status says.
func (c *call) answered(got answer) jobrunner.Outcome {
	out := jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded, Output: got.output}
	if !success(got.resp.StatusCode, c.spec.Success) {
		out.Phase, out.Reason = nightwatch.PhaseFailed, nightwatch.ReasonHTTPStatus
		out.Message = "status " + c.clip(got.resp.Status)
		if way := c.way(); way != "" {
			out.Message += " " + way + ", from " + c.clip(shown(got.resp.Request.URL))
		}
	}
	return out
}

// failed is the outcome of a call that got no answer, or not all of it.
func (c *call) failed(ctx context.Context, got answer, err error) jobrunner.Outcome {
	var denied *deniedError
	switch {
	case ctx.Err() != nil:
		return jobrunner.Interrupted
	case errors.As(err, &denied) && c.redirects+c.polls == 0:
		return refused(denied)
	}
	var of *url.Error
	if errors.As(err, &of) {
		if target, parseErr := url.Parse(of.URL); parseErr == nil {
			err = fmt.Errorf("%s %s: %w", of.Op, shown(target), of.Err)
		}
	}
	message := err.Error()
	if way := c.way(); way != "" {
		message = way + ": " + message
	}
	return jobrunner.Outcome{
		Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonHTTPError, Message: c.clip(message), Output: got.output,
	}
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

// clip bounds what somebody else decides on the length of, without secrets: of one that is cut the mask knows nothing.
func (c *call) clip(text string) string { return jobrunner.Clip(c.attempt.Mask().Text(text)) }

// shown is a URL as messages show it: without its query, in which a server's redirect may have put a signature.
func shown(target *url.URL) string {
	plain := *target
	plain.RawQuery, plain.Fragment = "", ""
	return plain.Redacted()
}
