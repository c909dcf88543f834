package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// caller is a jobrunner.Runner whose effects are requests of the platform's own client. The fields success, poll, callback and
// tls of a task are nothing to it.
type caller struct{ client *http.Client }

func newCaller(user, password string) caller {
	return caller{&http.Client{Transport: signer{http.DefaultTransport, user, password}}}
}

// signer is what the platform's services want of whoever asks.
type signer struct {
	next           http.RoundTripper
	user, password string
}

func (s signer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.SetBasicAuth(s.user, s.password)
	return s.next.RoundTrip(request)
}

// CloseIdleConnections is what http.Client looks for.
func (s signer) CloseIdleConnections() { (&http.Client{Transport: s.next}).CloseIdleConnections() }

// settle is for how long a request is under way before its start is recorded: one that is answered sooner has it recorded
// with its end.
const settle = 100 * time.Millisecond

// Name is that of the tasks that a runner takes.
func (caller) Name() string { return nightwatch.RunnerHTTP }

// Run is one attempt: see jobrunner.Runner.
func (c caller) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	ctx, cancel := jobrunner.WithTimeout(ctx, a)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	request, err := newRequest(ctx, a)
	switch {
	case err != nil:
		return failed(nightwatch.ReasonStartRefused, err)
	case ctx.Err() != nil:
		return jobrunner.Stopped(ctx)
	case !time.Now().Before(a.Deadline()): // asked last of all before the effect
		return jobrunner.Interrupted
	}
	// If the node dies from here on, so does the connection, and the task's delivery says whether another attempt follows.
	answered := make(chan jobrunner.Outcome, 1)
	go func() { answered <- c.send(request, a.Log) }()
	begun := time.NewTimer(settle)
	defer begun.Stop()
	for {
		select {
		case out := <-answered:
			return out
		case <-begun.C:
			// An error while ctx lives means that the run is another's: the request ends with ctx.
			if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil && ctx.Err() == nil {
				giveUp(jobrunner.ErrSessionLost)
			}
		}
	}
}

// newRequest is what the task asks for. The service is told whose attempt it is, as a process would be by its environment.
func newRequest(ctx context.Context, a *jobrunner.Attempt) (*http.Request, error) {
	spec, err := a.Task.HTTP.Render(nightwatch.HTTPValues{
		Namespace: a.Run.Namespace, Task: a.Run.Task, Run: a.Run.ID, Attempt: a.Run.Attempt, NominalTime: a.Run.NominalTime,
		Fence: a.Run.Fence, Params: a.Run.Params, Upstream: a.Run.Upstream,
		Shard: a.Run.Shard, Shards: a.Run.Shards, ShardParam: a.Run.ShardParam,
	}, a.Secret)
	if err != nil {
		return nil, err
	}
	method := spec.Method
	if method == "" && spec.Body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, spec.URL, strings.NewReader(spec.Body))
	if err != nil {
		return nil, err
	}
	for name, value := range spec.Headers {
		request.Header.Set(name, value.Text)
	}
	for _, line := range a.Run.Environment() {
		name, value, _ := strings.Cut(line, "=")
		request.Header.Set(strings.ReplaceAll(name, "_", "-"), value)
	}
	request.Header.Set("Idempotency-Key", a.Run.IdempotencyKey)
	return request, nil
}

// send sends a request and says how that ended; what the service answers goes into the attempt's log.
func (c caller) send(request *http.Request, log io.Writer) jobrunner.Outcome {
	response, err := c.client.Do(request)
	if err == nil {
		defer response.Body.Close()
		_, err = io.Copy(log, response.Body)
	}
	switch ctx := request.Context(); {
	case err != nil && ctx.Err() != nil:
		return jobrunner.Stopped(ctx)
	case err != nil:
		return failed(nightwatch.ReasonHTTPError, err)
	case response.StatusCode < 300:
		return jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded}
	}
	err = fmt.Errorf("status %s", response.Status)
	switch response.StatusCode {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		err = nightwatch.Retryable(err)
	case http.StatusNotFound, http.StatusGone:
		err = nightwatch.Permanent(err)
	}
	return failed(nightwatch.ReasonHTTPStatus, err)
}

// failed is a failure with what its error says of another attempt.
func failed(reason string, err error) jobrunner.Outcome {
	return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: reason, Message: err.Error(), Hint: nightwatch.HintOf(err)}
}
