package httpcall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// call is one attempt on its way.
type call struct {
	attempt *jobrunner.Attempt
	allow   []netip.Prefix
	// giveUp ends the request's context.
	giveUp context.CancelCauseFunc
	// redirects belongs to the goroutine of do.
	redirects int
}

func newCall(allow []netip.Prefix, a *jobrunner.Attempt, giveUp context.CancelCauseFunc) *call {
	return &call{attempt: a, allow: allow, giveUp: giveUp}
}

// client makes connections for this call alone.
func (c *call) client() *http.Client {
	return &http.Client{
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			DialContext:            c.dial,
			DisableCompression:     true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
			TLSHandshakeTimeout:    connectWithin,
		},
	}
}

// redirect counts, and keeps to themselves the headers of a task whose request is sent elsewhere.
func (c *call) redirect(req *http.Request, via []*http.Request) error {
	if c.redirects = len(via); c.redirects > maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	// The address it came from may hold what only that server should know.
	req.Header.Del("Referer")
	elsewhere := func(r *http.Request) bool {
		return r.URL.Scheme != via[0].URL.Scheme || r.URL.Host != via[0].URL.Host
	}
	// What comes back from elsewhere goes where that other server wants it.
	if elsewhere(req) || slices.ContainsFunc(via, elsewhere) {
		for name := range c.attempt.Task.HTTP.Headers {
			req.Header.Del(name)
		}
		req.Header.Del("Nightwatch-Params")
		req.Host = ""
	}
	// A header of the task may have had the name of one of ours.
	for name, value := range identity(c.attempt.Run) {
		if name != "Nightwatch-Params" {
			req.Header.Set(name, value)
		}
	}
	return nil
}

// dial connects, to addresses that are allowed, once they are known.
func (c *call) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout: connectWithin,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return &deniedError{address: address, why: "not an address"}
			}
			return check(to.Addr(), c.allow)
		},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn, call: c}, nil
}

// guardedConn is a connection on which nothing is written past the attempt's deadline.
type guardedConn struct {
	net.Conn
	call *call
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
