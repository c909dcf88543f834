package httpcall

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultInterval is how long after an answer the server is asked again.
	defaultInterval = 5 * time.Second
	// maxRetryAfter bounds what a server may ask for; the task's timeout comes first.
	maxRetryAfter = 24 * time.Hour
	// maxMisses is how many polls in a row may get no answer. What was begun goes on without the connection, and
	// asking again has no effect, as against beginning again.
	maxMisses = 3
)

// begun tells whether an answer says that the server has only begun.
func (c *call) begun(got answer) bool {
	return c.spec.Poll != nil && got.resp.StatusCode == http.StatusAccepted
}

// poll asks the Location of the answer how it is going, until there is an answer that says how it went.
func (c *call) poll(ctx context.Context, got answer) (answer, error) {
	target, err := got.resp.Location()
	if err != nil {
		return got, errors.New("status 202 without a Location to poll")
	}
	pause := c.pause(got.resp)
	for misses := 0; ; {
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return got, context.Cause(ctx)
		case <-wait.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return got, err
		}
		setHeaders(req, c.spec, c.attempt.Run)
		for name := range req.Header {
			if strings.HasPrefix(name, "Content-") { // it has no body
				req.Header.Del(name)
			}
		}
		c.sendOn(req)
		c.polls++
		next, err := c.ask(req)
		var denied *deniedError
		switch {
		case err == nil:
			misses = 0
		case ctx.Err() != nil, errors.As(err, &denied), misses+1 == maxMisses:
			return next, err
		default:
			misses++
			continue
		}
		got, pause = next, c.pause(next.resp)
		if !c.begun(got) && !askedToWait(got.resp) {
			return got, nil
		}
		if location, err := got.resp.Location(); err == nil && c.begun(got) {
			target = location
		}
	}
}

// askedToWait tells whether an answer only says that the question came too soon.
func askedToWait(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return retryAfter(resp) > 0
	}
	return false
}

func (c *call) pause(resp *http.Response) time.Duration {
	if d := retryAfter(resp); d > 0 {
		return d
	}
	if d := time.Duration(c.spec.Poll.Interval); d > 0 {
		return d
	}
	return defaultInterval
}

// retryAfter is how long a server wants to be left alone (RFC 9110, section 10.2.3); 0 if it does not say.
func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}
