package etcdtest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy that can break the network between a client and a server. It starts out faithful.
//
// Each direction is in one of three states. Open passes bytes on. Held keeps them and passes them on once it is open
// again: a network that stalls. Dropped loses them: a network that eats packets for ever; since a TCP stream does not
// survive a gap, a connection that lost bytes is cut when the direction opens again. Connections made meanwhile are
// accepted and suffer the same: to the client, the server is there and silent.
//
// The methods are safe for concurrent use.
type Proxy struct {
	targets  []string
	listener net.Listener
	workers  sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}  // closed and replaced at each change of state
	state   [2]flow        // by direction
	refuse  bool           // close what connects
	delay   time.Duration  // of what is passed on
	limit   int            // bytes a second, in each direction of a connection; 0 for none
	pairs   map[*pair]bool // open connections
	closed  bool
	next    int               // of the targets
	dropped map[*pair][2]bool // by connection: the directions that lost bytes
}

type flow int

const (
	flowOpen flow = iota
	flowHeld
	flowDropped
)

const (
	requests  = 0
	responses = 1
)

// pair is one proxied connection.
type pair struct{ client, server net.Conn }

func (p *pair) close() {
	_ = p.client.Close()
	_ = p.server.Close()
}

// StartProxy listens on a free loopback port and forwards to the targets, host:port: a new connection to the next of them
// that takes it. It ends with the test.
func StartProxy(t testing.TB, targets ...string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &Proxy{
		targets:  targets,
		listener: listener,
		changed:  make(chan struct{}),
		pairs:    map[*pair]bool{},
		dropped:  map[*pair][2]bool{},
	}
	p.workers.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Proxy starts a proxy in front of the server; clients made with NewClient(t, proxy.Endpoint()) go through it.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	return StartProxy(t, s.Endpoint())
}

// Endpoint is where clients of the proxy connect, host:port.
func (p *Proxy) Endpoint() string { return p.listener.Addr().String() }

// Pause holds both directions: a partition, seen by neither side until its timeouts.
func (p *Proxy) Pause() { p.set(flowHeld, requests, responses) }

// HoldRequests stalls what the client sends.
func (p *Proxy) HoldRequests() { p.set(flowHeld, requests) }

// HoldResponses stalls what the server sends: requests arrive and commit, their answers come late.
func (p *Proxy) HoldResponses() { p.set(flowHeld, responses) }

// DropRequests loses what the client sends.
func (p *Proxy) DropRequests() { p.set(flowDropped, requests) }

// DropResponses loses what the server sends: requests arrive and commit, nobody ever hears of it.
func (p *Proxy) DropResponses() { p.set(flowDropped, responses) }

// Delay passes on what is read from now on so much later, in both directions: a long way.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Limit passes on no more than so many bytes a second, in each direction of a connection: a narrow way.
func (p *Proxy) Limit(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = bytesPerSecond
}

// Resume opens both directions, and accepts connections again: held bytes flow on, connections that lost bytes are cut. What Delay
// and Limit set stays.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
	p.change(flowOpen, requests, responses)
	for pair := range p.dropped {
		pair.close()
	}
}

// Refuse cuts every connection and closes new ones at once: a server that is down. Resume ends it.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
	p.cut()
}

// Cut closes the connections that are open now; new ones are served.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// Reset is Cut by which both sides are told that the connection is broken, not that it has ended.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pair := range p.pairs {
		for _, side := range []net.Conn{pair.client, pair.server} {
			if tcp, ok := side.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}
	}
	p.cut()
}

func (p *Proxy) cut() {
	for pair := range p.pairs {
		pair.close()
	}
}

func (p *Proxy) set(state flow, directions ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(state, directions...)
}

// change is called with mu held.
func (p *Proxy) change(state flow, directions ...int) {
	for _, direction := range directions {
		p.state[direction] = state
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.change(flowOpen, requests, responses)
	p.cut()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.workers.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.workers.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := p.dial()
	if err != nil {
		_ = client.Close()
		return
	}
	connection := &pair{client: client, server: server}
	p.mu.Lock()
	if p.closed || p.refuse {
		p.mu.Unlock()
		connection.close()
		return
	}
	p.pairs[connection] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(connection, requests, server, client) })
	both.Go(func() { p.pump(connection, responses, client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, connection)
	delete(p.dropped, connection)
	p.mu.Unlock()
}

func (p *Proxy) dial() (server net.Conn, err error) {
	for range p.targets {
		p.mu.Lock()
		target := p.targets[p.next%len(p.targets)]
		p.next++
		p.mu.Unlock()
		if server, err = net.DialTimeout("tcp", target, 5*time.Second); err == nil {
			return server, nil
		}
	}
	return nil, err
}

// piece is what was read at once, and when it may be passed on.
type piece struct {
	bytes []byte
	due   time.Time
}

// onTheWay is how many pieces there may be between the two sides of a direction: then nothing more is read.
const onTheWay = 256

// pump copies one direction until either side closes.
func (p *Proxy) pump(connection *pair, direction int, to, from net.Conn) {
	way := make(chan piece, onTheWay)
	var written sync.WaitGroup
	written.Go(func() {
		p.write(connection, direction, to, way)
		connection.close() // which ends the reading, if that has not
		for range way {    // nobody wants it
		}
	})
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			due := time.Now().Add(p.delay)
			p.mu.Unlock()
			way <- piece{buffer[:n], due}
		}
		if err != nil {
			break
		}
	}
	close(way)
	written.Wait()
}

func (p *Proxy) write(connection *pair, direction int, to net.Conn, way <-chan piece) {
	for one := range way {
		p.travel(one)
		if !p.pass(connection, direction) {
			continue
		}
		if _, err := to.Write(one.bytes); err != nil {
			return
		}
	}
}

// travel waits until a piece is due and the way has had the time for its bytes, or the network changes.
func (p *Proxy) travel(one piece) {
	p.mu.Lock()
	changed, limit := p.changed, p.limit
	p.mu.Unlock()
	long := time.Until(one.due)
	if limit > 0 {
		long = max(long, time.Duration(len(one.bytes))*time.Second/time.Duration(limit))
	}
	if long <= 0 {
		return
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	}
}

// pass waits while the direction is held, then says whether bytes that were read go on.
func (p *Proxy) pass(connection *pair, direction int) bool {
	for {
		p.mu.Lock()
		state, changed := p.state[direction], p.changed
		lost := p.dropped[connection]
		if state == flowDropped {
			lost[direction] = true
			p.dropped[connection] = lost
		}
		p.mu.Unlock()
		if state != flowHeld {
			return !lost[direction]
		}
		<-changed
	}
}
