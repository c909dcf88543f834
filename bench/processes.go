package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// Process is what one of the cluster's own nodes took for the load, by its /metrics.
type Process struct {
	Node                  string  `json:"node"`
	CPUSecondsPerThousand float64 `json:"cpuSecondsPerThousand"`
	// RSSBytes is its memory at the end.
	RSSBytes int64 `json:"rssBytes"`
}

// MiB is RSSBytes for people.
func (p Process) MiB() int64 { return p.RSSBytes >> 20 }

// metricsTimeout bounds one look at the metrics of a node.
const metricsTimeout = 2 * time.Second

// used is what a process has used so far.
type used struct{ cpu, rss float64 }

// processes asks the nodes that were there before the bench, by session. One that announces no address, or does not
// answer there under its name with what processes tell of themselves, is left out.
func (b *bench) processes(ctx context.Context) map[string]used {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	var mu sync.Mutex
	all := map[string]used{}
	var group sync.WaitGroup
	for _, n := range b.others {
		if n.Address == "" {
			continue
		}
		group.Go(func() {
			if u, err := metricsOf(ctx, n); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all[n.Session] = u
			}
		})
	}
	group.Wait()
	return all
}

// metricsOf refuses what another node tells at the same address, or somebody who does not say which node it is.
func metricsOf(ctx context.Context, n nightwatch.Node) (u used, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Address+"/metrics", nil)
	if err != nil {
		return u, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return u, err
	}
	defer answer.Body.Close()
	if by := answer.Header.Get(nightwatch.NodeHeader); by != n.Name {
		return u, fmt.Errorf("%s answers as node %q, not %s", n.Address, by, n.Name)
	}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "process_cpu_seconds_total":
			u.cpu, err = strconv.ParseFloat(value, 64)
		case "process_resident_memory_bytes":
			u.rss, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return u, err
		}
	}
	if u.rss == 0 {
		return u, fmt.Errorf("%s: no metrics of a process", n.Address)
	}
	return u, nil
}

// processReport is of the nodes whose processes answered before and after the load.
func processReport(others map[string]nightwatch.Node, before, after map[string]used, runs float64) (all []Process) {
	for _, n := range others {
		from, seen := before[n.Session]
		to, still := after[n.Session]
		if seen && still && to.cpu >= from.cpu {
			all = append(all, Process{n.Name, round((to.cpu - from.cpu) * 1000 / runs), int64(to.rss)})
		}
	}
	slices.SortFunc(all, func(a, b Process) int { return strings.Compare(a.Node, b.Node) })
	return all
}
