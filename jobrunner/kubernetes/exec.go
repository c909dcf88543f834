package kubernetes

import (
	"context"
	"net/http"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// pluginRequests is how many requests may wait for a credential plugin at once. Others wait for one of these.
const pluginRequests = 256

// withPlugin ends requests with their context also while a credential plugin runs, for which client-go waits as long as
// the plugin likes, whatever the request's context says.
type withPlugin struct {
	next  http.RoundTripper
	slots chan struct{}
}

func newWithPlugin(next http.RoundTripper) withPlugin {
	return withPlugin{next, make(chan struct{}, pluginRequests)}
}

// RoundTrip is http.RoundTripper's. What it has given up is never sent: a transport looks at the context first.
func (w withPlugin) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var response *http.Response
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		response, err = w.next.RoundTrip(request) //nolint:bodyclose // the caller's, or closed below
		<-w.slots
	}()
	select {
	case <-answered:
		return response, err
	case <-ctx.Done():
		go func() {
			if <-answered; err == nil {
				_ = response.Body.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// CloseIdleConnections is what http.Client looks for.
func (w withPlugin) CloseIdleConnections() { utilnet.CloseIdleConnectionsFor(w.next) }
