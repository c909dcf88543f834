package httpcall

import (
	"context"
	"errors"
	"net/http"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Headers that tell a server how to say that it is done.
const (
	callbackURL   = "Nightwatch-Callback-Url"
	callbackToken = "Nightwatch-Callback-Token"
)

// expect has a request ask to be called back.
func (c *call) expect(req *http.Request, back *jobrunner.Callback) {
	c.back = back
	req.Header.Set(callbackURL, back.URL)
	req.Header.Set(callbackToken, back.Token)
}

// doAndWait sends the request and waits to be called back, unless the answer says that there is nothing to wait for. What
// the callback says counts from the moment the request is sent: then nobody waits for the answer any more.
func (c *call) doAndWait(req *http.Request) jobrunner.Outcome {
	ctx, stop := context.WithCancel(req.Context())
	defer stop()
	go func() {
		select {
		case <-c.back.Told():
			stop()
		case <-ctx.Done():
		}
	}()
	got, err := c.ask(req.WithContext(ctx))
	if c.back.Completion() == nil {
		if err != nil {
			return c.failed(req.Context(), got, err)
		}
		if out := c.answered(got); out.Phase != nightwatch.PhaseSucceeded {
			return out
		}
		c.attempt.Note("waiting to be called back")
		select {
		case <-c.back.Told():
		case <-req.Context().Done():
			return jobrunner.Interrupted
		}
	}
	return c.calledBack(got)
}

// calledBack is the outcome that the callback says.
func (c *call) calledBack(got answer) jobrunner.Outcome {
	said := c.back.Completion()
	c.attempt.Note("called back: %s %s", said.Phase, said.Message)
	out := jobrunner.Outcome{Phase: said.Phase, Output: got.output}
	if len(said.Result) > 0 {
		if err := c.attempt.Run.SetResult(said.Result); err != nil {
			c.attempt.Note("%v", err)
		}
	}
	if said.Phase == nightwatch.PhaseSucceeded {
		return out
	}
	out.Reason, out.Message = nightwatch.ReasonCallbackFailed, c.clip(said.Message)
	if out.Message == "" {
		out.Message = "the server called back that it failed"
	}
	switch failed := errors.New(out.Message); {
	case said.Retry == nil:
	case *said.Retry:
		out.Hint = nightwatch.HintOf(nightwatch.Retryable(failed))
	default:
		out.Hint = nightwatch.HintOf(nightwatch.Permanent(failed))
	}
	return out
}
