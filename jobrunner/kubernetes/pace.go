package kubernetes

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pace says when the next request to one API server may be sent. Requests take turns, as many a second as the
// configuration allows, and no more than maxFlying are under way: an API server that falls behind is not asked for ever more
// at once, until it answers none in time. What a request waits for its turn is not part of the time that it may take. When the API server
// asks to be left alone for a time, all of them wait, as it does not ask one of them but the client.
//
// client-go can do both, but has the wait for a turn use up the time of the request, and repeats a request whose answer
// says when, without telling that it was refused: a create that was answered would be taken for one that was not.
type pace struct {
	limiter *rate.Limiter
	flying  chan struct{}
	metrics clusterMetrics

	mu    sync.Mutex
	until time.Time // before which nothing is sent
}

const (
	// maxRetryAfter bounds what an API server can ask for.
	maxRetryAfter = time.Minute
	// maxFlying is a third of the changes that an API server works on at once by default, whoever asks for them
	// (--max-mutating-requests-inflight).
	maxFlying = 64
)

func newPace(qps float32, burst int, metrics clusterMetrics) *pace {
	return &pace{limiter: rate.NewLimiter(rate.Limit(qps), burst), flying: make(chan struct{}, maxFlying), metrics: metrics}
}

// turn returns when it is a request's turn, which lasts until it calls over, or with an error when ctx ends first.
func (p *pace) turn(ctx context.Context) (over func(), err error) {
	began := time.Now()
	defer func() { p.metrics.waited(time.Since(began)) }()
	select {
	case p.flying <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := p.rest(ctx); err != nil {
		<-p.flying
		return nil, err
	}
	return func() { <-p.flying }, nil
}

// wait is turn for what begins a stream, which may last for ever.
func (p *pace) wait(ctx context.Context) error {
	over, err := p.turn(ctx)
	if err == nil {
		over()
	}
	return err
}

// rest waits for as long as the API server asked for, and for the limit of requests a second.
func (p *pace) rest(ctx context.Context) error {
	for {
		p.mu.Lock()
		rest := time.Until(p.until)
		p.mu.Unlock()
		if rest <= 0 {
			break
		}
		sleep(ctx, rest)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	// Its Wait would not wait for a context that ends before the turn comes, which says of it only when it has ended.
	turn := p.limiter.Reserve()
	sleep(ctx, turn.Delay())
	if ctx.Err() != nil {
		turn.Cancel()
		return context.Cause(ctx)
	}
	return nil
}

// heard takes in what an answer says of the next request.
func (p *pace) heard(response *http.Response) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode < http.StatusInternalServerError {
		return
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return
	}
	response.Header.Del("Retry-After") // else client-go waits and repeats by itself
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(min(time.Duration(seconds)*time.Second, maxRetryAfter)); until.After(p.until) {
		p.until = until
	}
}

func (p *pace) wrap(next http.RoundTripper) http.RoundTripper { return paced{p, next} }

// paced sees every request and its answer.
type paced struct {
	pace *pace
	next http.RoundTripper
}

// RoundTrip is http.RoundTripper's.
func (p paced) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.next.RoundTrip(request)
	if err == nil {
		p.pace.heard(response)
	}
	p.pace.metrics.requested(request, response)
	return response, err
}

// WrappedRoundTripper is what client-go looks for, to close idle connections and the like.
func (p paced) WrappedRoundTripper() http.RoundTripper { return p.next }
