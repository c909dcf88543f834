package httpcall

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// call is one attempt on its way. Its fields that change belong to the goroutine of do.
type call struct {
	runner  *Runner
	attempt *jobrunner.Attempt
	spec    *nightwatch.HTTPSpec // without templates
	origin  *url.URL             // where the task wants its request sent
	// giveUp ends the context of the requests.
	giveUp context.CancelCauseFunc
	client *http.Client
	// back is how the server says later how it went; nil when its answer does.
	back *jobrunner.Callback

	// strayed says that a server has sent the call elsewhere: from then on servers choose where it goes.
	strayed   bool
	redirects int
	polls     int
}

func newCall(r *Runner, a *jobrunner.Attempt, spec *nightwatch.HTTPSpec, origin *url.URL, giveUp context.CancelCauseFunc) *call {
	c := &call{runner: r, attempt: a, spec: spec, origin: origin, giveUp: giveUp}
	c.client = &http.Client{CheckRedirect: c.redirect, Transport: roundTrip(c.send)}
	return c
}

type roundTrip func(*http.Request) (*http.Response, error)

func (fn roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return fn(req) }

// send makes one request on a connection of its own.
func (c *call) send(req *http.Request) (*http.Response, error) {
	security := &tls.Config{RootCAs: c.runner.roots}
	if c.atOrigin(req.URL) { // another server has a name of its own
		security.ServerName = c.spec.TLS.ServerName
	}
	transport := &http.Transport{
		// The context that the transport gives outlasts the request, for the sake of a later one that there is not.
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			return c.dial(req.Context(), network, address)
		},
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        security,
		TLSHandshakeTimeout:    connectWithin,
	}
	c.asked(req)
	resp, err := transport.RoundTrip(req)
	c.heard(resp, err)
	return resp, err
}

func (c *call) atOrigin(target *url.URL) bool {
	return target.Scheme == c.origin.Scheme && target.Host == c.origin.Host
}

// redirect counts, and gives up.
func (c *call) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	c.redirects++
	// The address it came from may hold what only that server should know.
	req.Header.Del("Referer")
	c.sendOn(req)
	return nil
}

// told are the headers of ours that say more than whose request it is: what the task wants, and how to say that it is done.
var told = []string{"Nightwatch-Params", "Nightwatch-Shard-Param", callbackURL, callbackToken}

// sendOn prepares a request whose address a server has chosen. Unless all of the call has been at the origin, it has not
// the headers of the task: they are for that server alone, and at places of the task's choosing or the server's own.
func (c *call) sendOn(req *http.Request) {
	c.strayed = c.strayed || !c.atOrigin(req.URL)
	if c.strayed {
		for name := range c.spec.Headers {
			req.Header.Del(name)
		}
		for _, name := range told {
			req.Header.Del(name)
		}
		req.Host = ""
	}
	// A header of the task may have had the name of one of ours.
	for name, value := range identity(c.attempt.Run) {
		if !slices.Contains(told, name) {
			req.Header.Set(name, value)
		}
	}
}

// dial connects, to addresses that are allowed, once they are known. The connection is closed when ctx ends, be it in a
// TLS handshake.
func (c *call) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	named, err := c.runner.rules.host(host)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		Timeout: connectWithin,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return &deniedError{target: address, why: "not an address"}
			}
			return c.runner.rules.address(to.Addr(), named)
		},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	closing := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &guardedConn{Conn: conn, call: c, release: closing}, nil
}

// guardedConn is a connection on which nothing is written past the attempt's deadline.
type guardedConn struct {
	net.Conn
	call    *call
	release func() bool
}

func (g *guardedConn) Close() error {
	g.release()
	return g.Conn.Close()
}

var errLate = errors.New("past the deadline of the session")

// Write asks for the deadline last before the effect. One write is one effect: the request's header goes out in it.
func (g *guardedConn) Write(data []byte) (int, error) {
	if !time.Now().Before(g.call.attempt.Deadline()) {
		g.call.giveUp(errLate)
		return 0, errLate
	}
	return g.Conn.Write(data)
}

// way is how a call got to where it ended: "after 2 redirects and 1 poll", or nothing.
func (c *call) way() string {
	var parts []string
	for _, part := range []struct {
		n    int
		name string
	}{{c.redirects, "redirect"}, {c.polls, "poll"}} {
		switch {
		case part.n == 1:
			parts = append(parts, "1 "+part.name)
		case part.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", part.n, part.name))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "after " + strings.Join(parts, " and ")
}
