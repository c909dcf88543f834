package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// nodeDescription is all there is to say of a node.
type nodeDescription struct {
	nodeView
	// Queue are the runs that it is to do or does.
	Queue []nightwatch.Run `json:"queue"`
	// Checks are the lines of its /readyz, or why that could not be asked.
	Checks     []string `json:"checks,omitempty"`
	CheckError string   `json:"checkError,omitempty"`
}

func (d *describing) node(cmd *cobra.Command, args []string) error {
	if err := d.out.check(); err != nil {
		return err
	}
	return d.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
		views, err := readNodes(ctx, st)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(views, func(v nodeView) bool { return v.Name == args[0] })
		if at < 0 {
			return fmt.Errorf("node %s: %w", args[0], nightwatch.ErrNotFound)
		}
		description := &nodeDescription{nodeView: views[at]}
		if description.Queue, err = readQueue(ctx, st, args[0]); err != nil {
			return err
		}
		description.Checks, err = readChecks(ctx, args[0], description.Address)
		if err != nil {
			description.CheckError = err.Error()
		}
		now := time.Now()
		return d.out.print(cmd.OutOrStdout(), description, func(out io.Writer) { description.show(out, now) })
	})
}

// readQueue reads what a node is to do, the oldest first.
func readQueue(ctx context.Context, st *store.Store, node string) ([]nightwatch.Run, error) {
	prefix := st.Keys().QueueOf(node)
	events, _, err := store.List(ctx, st.Client(), prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	runs := []nightwatch.Run{}
	for _, event := range events {
		var given nightwatch.Run // as the run was when it was given to the node
		if json.Unmarshal(event.Value, &given) != nil {
			continue
		}
		if run, _, err := st.Run(ctx, given.Task, given.ID); err == nil {
			given = run
		}
		given.Log = nil
		runs = append(runs, given)
	}
	slices.SortFunc(runs, func(a, b nightwatch.Run) int {
		return cmp.Or(a.CreateTime.Compare(b.CreateTime), strings.Compare(a.Task+a.ID, b.Task+b.ID))
	})
	return runs, nil
}

// checksWithin bounds the question to a node that may not answer.
const checksWithin = 2 * time.Second

// readChecks asks a node how it is. Of what another says there, nothing is taken.
func readChecks(ctx context.Context, node, address string) ([]string, error) {
	if address == "" {
		return nil, fmt.Errorf("the node has no address (--listen there)")
	}
	ctx, cancel := context.WithTimeout(ctx, checksWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return nil, err
	}
	answer, err := logClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w (--advertise there says where it is reached)", err)
	}
	defer answer.Body.Close()
	switch by := answer.Header.Get(nightwatch.NodeHeader); by {
	case node:
	case "":
		return nil, fmt.Errorf("what answers at %s does not say that it is a node: %s (--advertise there says where it is reached)", address, answer.Status)
	default:
		return nil, fmt.Errorf("at %s answers node %s (--advertise there says where it is reached)", address, by)
	}
	var checks []string
	lines := bufio.NewScanner(io.LimitReader(answer.Body, 64<<10))
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "[") {
			checks = append(checks, line)
		}
	}
	return checks, lines.Err()
}

func (d *nodeDescription) show(out io.Writer, now time.Time) {
	fact(out, "Node", d.Name)
	fact(out, "State", d.State)
	if d.Scheduler {
		fact(out, "Role", "scheduler")
	}
	if d.Cordon != nil {
		fact(out, "Cordon", d.Cordon.String())
	}
	fact(out, "Address", d.Address)
	fact(out, "Version", d.Version)
	fact(out, "Session", d.Session)
	if !d.StartTime.IsZero() {
		fact(out, "Started", fmt.Sprintf("%s (%s ago)", stamp(d.StartTime), took(d.StartTime, time.Time{}, now)))
	}
	fact(out, "Labels", labelText(d.Labels))
	fact(out, "Runners", strings.Join(d.Runners, ", "))
	fact(out, "Handlers", strings.Join(d.Handlers, ", "))
	for _, name := range slices.Sorted(maps.Keys(d.Clusters)) {
		fact(out, "Cluster", strings.TrimSpace(name+" "+d.Clusters[name]+" "+labelText(d.ClusterLabels[name])))
	}
	fact(out, "Capacity", capacityText(d.Node))
	for _, check := range d.Checks {
		fact(out, "Check", check)
	}
	if d.CheckError != "" {
		fact(out, "Checks", "cannot be asked: "+d.CheckError)
	}
	if len(d.Queue) == 0 {
		return
	}
	section(out, "Runs", "TASK", "RUN", "PHASE", "ATTEMPT", "FOR", "IS AT")
	for i := range d.Queue {
		r := &d.Queue[i]
		indented(out, r.Task, r.ID, string(r.Phase), strconv.Itoa(r.Attempt), took(cmp.Or(r.AttemptTime, r.StartTime, r.CreateTime), time.Time{}, now), short(standText(r), 50))
	}
}
