package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// logReader reads the log of one attempt, again from where it broke off if need be.
type logReader struct {
	*tailing
	run     *nightwatch.Run
	attempt int
	printed bool
	at      logPosition
}

// unavailable says why a log cannot be had, node by node.
type unavailable struct{ reasons []string }

func (e *unavailable) Error() string { return strings.Join(e.reasons, "; ") }

// read prints the log from one of the nodes that may have it. It returns nil when the log has ended there, or all that
// there is has been printed.
func (r *logReader) read(ctx context.Context) error {
	readCtx, cancel := context.WithTimeout(ctx, r.etcd.timeout)
	nodes, err := r.store.Nodes(readCtx)
	cancel()
	if err != nil {
		return err
	}
	none := new(unavailable)
	name := r.node()
	if name != "" {
		node, alive := nodes[name]
		if !alive {
			none.reasons = append(none.reasons, fmt.Sprintf("node %s, which ran it, is not alive", name))
		} else if done, err := r.from(ctx, node, none); done || err != nil {
			return err
		}
	}
	for _, other := range slices.Sorted(maps.Keys(nodes)) {
		if other == name || !r.reaches(nodes[other]) {
			continue
		}
		if done, err := r.from(ctx, nodes[other], none); done || err != nil {
			return err
		}
	}
	if len(none.reasons) == 0 {
		none.reasons = []string{"the record does not say which node ran it"}
	}
	return none
}

// node is where the attempt ran, as far as the record says.
func (r *logReader) node() string {
	for _, earlier := range r.run.Attempts {
		if earlier.Attempt == r.attempt {
			return earlier.Node
		}
	}
	return r.run.Node
}

// reaches tells whether another node can read the log of the attempt's pods.
func (r *logReader) reaches(node nightwatch.Node) bool {
	job := r.run.Job
	return r.run.Runner == nightwatch.RunnerKubernetes && job != nil &&
		slices.Contains(slices.Collect(maps.Values(node.Clusters)), job.Cluster)
}

// logClient asks nodes for logs: directly, and nobody else.
var logClient = &http.Client{
	Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		ResponseHeaderTimeout: 15 * time.Second,
		DisableKeepAlives:     true,
		DisableCompression:    true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// from prints the log from a node. It is done when that node's log has ended; else it adds to none why not, or returns
// what ends the command.
func (r *logReader) from(ctx context.Context, node nightwatch.Node, none *unavailable) (done bool, err error) {
	because := func(format string, args ...any) (bool, error) {
		none.reasons = append(none.reasons, fmt.Sprintf(format, args...))
		return false, nil
	}
	if node.Address == "" {
		return because("node %s serves no logs: it has no address (--listen there)", node.Name)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(node.Address), nil)
	if err != nil {
		return because("node %s announces the address %q: %v", node.Name, node.Address, err)
	}
	request.Header.Set("Authorization", "Bearer "+r.run.Log.Token)
	answer, err := logClient.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil && loopback(node.Address):
		return because("node %s announces %s, where only its own machine reaches it (--listen and --advertise there say where others do): %v", node.Name, node.Address, err)
	case err != nil:
		return because("node %s cannot be reached at %s, which it announces (--advertise there): %v", node.Name, node.Address, err)
	}
	defer answer.Body.Close()
	switch by := answer.Header.Get(nightwatch.NodeHeader); {
	case by == "":
		return because("what answers at %s, which node %s announces (--advertise there), does not serve logs: %s", node.Address, node.Name, answer.Status)
	case by != node.Name:
		return because("at %s, which node %s announces (--advertise there), answers node %s", node.Address, node.Name, by)
	case answer.StatusCode != http.StatusOK:
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return because("%s", strings.TrimSpace(string(text)))
	}
	r.printed = true
	err = r.copy(answer.Body)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, errOutput):
		return false, err
	case err != nil:
		return because("the log from node %s broke off: %v", node.Name, err)
	}
	return true, nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

func (r *logReader) url(address string) string {
	query := url.Values{"attempt": {strconv.Itoa(r.attempt)}, "timestamps": {"true"}}
	if r.follow {
		query.Set("follow", "true")
	}
	if r.shard != jobrunner.All {
		query.Set("shard", strconv.Itoa(r.shard))
	}
	switch {
	case !r.at.time.IsZero():
		query.Set("since", r.at.time.Format(time.RFC3339Nano))
	case r.tail != jobrunner.All:
		query.Set("tail", strconv.Itoa(r.tail))
	}
	namespace, task, _ := strings.Cut(r.run.Task, "/")
	at := url.URL{
		Scheme: "http", Host: address, RawQuery: query.Encode(),
		Path: fmt.Sprintf("/api/v1/namespaces/%s/tasks/%s/runs/%s/log", namespace, task, r.run.ID),
	}
	return at.String()
}

// errOutput says that what is printed is not taken.
var errOutput = errors.New("print the log")

// copy prints a log as it comes, less what was printed before.
func (r *logReader) copy(log io.Reader) error {
	lines := logLines{at: &r.at, before: r.at, timestamps: r.timestamps}
	buf := make([]byte, 32<<10)
	for {
		n, err := log.Read(buf)
		if out := lines.take(buf[:n]); len(out) > 0 {
			if _, err := r.out.Write(out); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// logPosition is how far a log has been printed: lines of a time, and of a line after them that was begun so many bytes.
type logPosition struct {
	time  time.Time
	lines int
	begun bool
	bytes int
}

// logLines makes of a log with times what is printed, and keeps at true.
type logLines struct {
	at         *logPosition
	before     logPosition // what was printed when this reading began
	timestamps bool

	head []byte // the beginning of a line, up to the space
	text bool   // the rest of the line is text
	skip bool   // of which nothing is printed
	left int    // or not that many bytes
}

// take returns what to print of data.
func (l *logLines) take(data []byte) []byte {
	var out []byte
	for len(data) > 0 {
		if !l.text {
			head, rest, found := bytes.Cut(data, []byte(" "))
			l.head = append(l.head, head...)
			if !found {
				return out
			}
			data = rest
			out = l.begin(out)
			continue
		}
		end := bytes.IndexByte(data, '\n') + 1
		ended := end > 0
		if !ended {
			end = len(data)
		}
		out = l.print(out, data[:end], ended)
		data = data[end:]
	}
	return out
}

// begin takes in the time of a line.
func (l *logLines) begin(out []byte) []byte {
	head := string(l.head)
	l.head, l.text, l.skip, l.left = l.head[:0], true, false, 0
	at, err := time.Parse(time.RFC3339Nano, head)
	if err != nil {
		at = l.at.time
	}
	switch c := at.Compare(l.before.time); {
	case c < 0:
		l.skip = true
		return out
	case c == 0 && l.before.lines > 0:
		l.before.lines--
		l.skip = true
		return out
	case c == 0 && l.before.begun:
		l.left, l.before.begun = l.before.bytes, false
		return out // its time was printed then
	}
	if !at.Equal(l.at.time) {
		*l.at = logPosition{time: at}
	}
	l.at.begun = true
	if l.timestamps {
		out = append(append(out, head...), ' ')
	}
	return out
}

func (l *logLines) print(out, text []byte, ended bool) []byte {
	l.text = !ended
	if l.skip {
		return out
	}
	passed := min(l.left, len(text))
	l.left -= passed
	l.at.bytes += len(text) - passed
	if ended {
		l.at.lines++
		l.at.begun, l.at.bytes = false, 0
	}
	return append(out, text[passed:]...)
}
