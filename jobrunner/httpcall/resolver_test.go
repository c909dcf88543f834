package httpcall_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// resolver is a name server whose answers change as they are asked for.
type resolver struct {
	mu sync.Mutex
	// answers are the addresses of each name: one a question, the last one for ever. A name that has none is never
	// answered.
	answers map[string][]string
	asked   map[string]int
	// silent is closed when a question is not answered.
	silent  chan struct{}
	silence sync.Once

	conns  []net.Conn
	closed bool
	served sync.WaitGroup
}

// resolve has every name of this process looked up here until the test ends.
func resolve(t *testing.T, answers map[string][]string) *resolver {
	t.Helper()
	r := &resolver{answers: answers, asked: map[string]int{}, silent: make(chan struct{})}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return r.dial()
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		r.close()
	})
	return r
}

func (r *resolver) dial() (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, net.ErrClosed
	}
	client, server := net.Pipe()
	r.conns = append(r.conns, server)
	r.served.Go(func() { r.serve(server) })
	return client, nil
}

// close ends the lookups that nobody waits for any more, which go on for seconds otherwise.
func (r *resolver) close() {
	r.mu.Lock()
	r.closed = true
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.served.Wait()
}

func (r *resolver) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[name]
}

// serve answers questions for addresses of IPv4, as RFC 1035 has them on a stream.
func (r *resolver) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		var labels []string
		at := 12
		for n := int(query[at]); n > 0; n = int(query[at]) {
			labels = append(labels, string(query[at+1:at+1+n]))
			at += 1 + n
		}
		question := query[12 : at+5]
		ipv4 := question[len(question)-3] == 1
		answer := r.next(strings.ToLower(strings.Join(labels, ".")), ipv4)
		if answer == "" {
			continue
		}
		reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
		if ipv4 {
			reply[7] = 1
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, netip.MustParseAddr(answer).AsSlice()...)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

func (r *resolver) next(name string, ipv4 bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers := r.answers[name]
	if len(answers) == 0 {
		r.silence.Do(func() { close(r.silent) })
		return ""
	}
	if ipv4 {
		if r.asked[name]++; len(answers) > 1 {
			r.answers[name] = answers[1:]
		}
	}
	return answers[0]
}
