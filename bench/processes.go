package bench

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// Process is what a process that is not the bench's took for the load, by its /metrics.
type Process struct {
	// Kind is ProcessNode, ProcessEtcd or ProcessAPIServer.
	Kind string `json:"kind"`
	// Name is that of the node, the endpoint of etcd, or the address of the API server.
	Name                  string  `json:"name"`
	CPUSecondsPerThousand float64 `json:"cpuSecondsPerThousand"`
	// RSSBytes is its memory at the end.
	RSSBytes int64 `json:"rssBytes"`
}

// Kinds of processes.
const (
	ProcessNode      = "node" // one of the cluster's own
	ProcessEtcd      = "etcd"
	ProcessAPIServer = "kube-apiserver"
)

// MiB is RSSBytes for people.
func (p Process) MiB() int64 { return p.RSSBytes >> 20 }

// metricsTimeout bounds one look at the metrics of all processes.
const metricsTimeout = 2 * time.Second

// source is where a process tells what it uses.
type source struct {
	kind, name string
	open       func(context.Context) (io.ReadCloser, error)
}

// used is what a process has used so far: seconds and bytes. started is when it began, in seconds since 1970.
type used struct{ cpu, rss, started float64 }

// findSources finds the nodes that were there before the bench and announce an address, by name; the members of etcd that the bench
// was given; and the API server.
func (b *bench) findSources() []source {
	client := func(config *tls.Config) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
	}
	var all []source
	nodes := slices.SortedFunc(maps.Values(b.others), func(x, y nightwatch.Node) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Session, y.Session))
	})
	plain, secure := client(nil), client(b.TLS)
	for _, n := range nodes {
		if n.Address != "" {
			all = append(all, source{ProcessNode, n.Name, func(ctx context.Context) (io.ReadCloser, error) {
				return ask(ctx, plain, "http://"+n.Address, n.Name)
			}})
		}
	}
	for _, endpoint := range b.client.Endpoints() {
		scheme, name, ok := strings.Cut(endpoint, "://")
		switch {
		case !ok && b.TLS == nil:
			scheme, name = "http", endpoint
		case !ok:
			scheme, name = "https", endpoint
		}
		all = append(all, source{ProcessEtcd, name, func(ctx context.Context) (io.ReadCloser, error) {
			return ask(ctx, secure, scheme+"://"+name, "")
		}})
	}
	if b.Kubernetes != nil {
		all = append(all, source{ProcessAPIServer, b.Kubernetes.Address(), b.Kubernetes.Metrics})
	}
	return all
}

// ask opens the metrics at a base URL. It refuses what a node tells that is not the one that is meant.
func ask(ctx context.Context, client *http.Client, base, node string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if by := answer.Header.Get(nightwatch.NodeHeader); by != node {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s answers as node %q, not %q", base, by, node)
	}
	return answer.Body, nil
}

// look is what the processes have used by now, in the order of sources; nil for those that do not tell.
func look(ctx context.Context, sources []source) []*used {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	all := make([]*used, len(sources))
	var group sync.WaitGroup
	for i, s := range sources {
		group.Go(func() {
			if body, err := s.open(ctx); err == nil {
				defer body.Close()
				all[i] = read(body)
			}
		})
	}
	group.Wait()
	return all
}

// read finds what a process tells of itself among its metrics; nil if that is not all there.
func read(metrics io.Reader) *used {
	u := used{cpu: -1}
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		var to *float64
		switch name {
		case "process_cpu_seconds_total":
			to = &u.cpu
		case "process_resident_memory_bytes":
			to = &u.rss
		case "process_start_time_seconds":
			to = &u.started
		default:
			continue
		}
		var err error
		if *to, err = strconv.ParseFloat(value, 64); err != nil {
			return nil
		}
	}
	if u.cpu < 0 || u.rss <= 0 || u.started <= 0 {
		return nil
	}
	return &u
}

// processReport is of the processes that told of themselves before and after the load, and were the same ones.
func processReport(sources []source, before, after []*used, runs float64) (all []Process) {
	for i, s := range sources {
		from, to := before[i], after[i]
		if from != nil && to != nil && to.started == from.started && to.cpu >= from.cpu {
			all = append(all, Process{s.kind, s.name, round((to.cpu - from.cpu) * 1000 / runs), int64(to.rss)})
		}
	}
	return all
}
