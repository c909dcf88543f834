package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/schedule"
	"github.com/nightwatch-go/nightwatch/store"
)

// taskDescription is all there is to say of a task.
type taskDescription struct {
	Task string `json:"task"`
	// Now is what the task is doing and waiting for, in sentences.
	Now []string `json:"now"`
	// Definition is the version in force.
	Definition *nightwatch.Task `json:"definition,omitempty"`
	// Schedule is what it says of times, in words.
	Schedule string                       `json:"schedule,omitempty"`
	Status   *nightwatch.Status           `json:"status,omitempty"`
	Freezes  map[string]nightwatch.Freeze `json:"freezes,omitempty"`
	// Locks tell who dispatches the task, or holds its dispatch.
	Locks    []string                      `json:"locks,omitempty"`
	Runs     []nightwatch.Run              `json:"runs,omitempty"`
	Requests map[string]nightwatch.Request `json:"requests,omitempty"`
	Verdicts map[string]nightwatch.Verdict `json:"verdicts,omitempty"`

	account ledger.Account
}

func readTaskDescription(ctx context.Context, st *store.Store, task string) (*taskDescription, error) {
	account, err := st.Account(ctx, task)
	if err != nil {
		return nil, err
	}
	answer := ledger.Why(account, time.Time{})
	d := &taskDescription{
		Task: task, Now: append([]string{answer.Headline}, answer.Details...), Status: account.Status, Freezes: account.Freezes,
		Runs: account.Runs, account: account,
	}
	slices.SortFunc(d.Runs, func(a, b nightwatch.Run) int { // the newest first
		return cmp.Or(b.CreateTime.Compare(a.CreateTime), strings.Compare(b.ID, a.ID))
	})
	if account.Accepted != nil {
		d.Definition = &account.Accepted.Task
		if times := d.Definition.Times(); times != nil {
			d.Schedule = times.Explain(schedule.English)
		}
	}
	keys := st.Keys()
	if d.Requests, err = readBelow[nightwatch.Request](ctx, st, keys.Of(store.Requests)+task+"/"); err != nil {
		return nil, err
	}
	if d.Verdicts, err = readBelow[nightwatch.Verdict](ctx, st, keys.Of(store.Verdicts)+task+"/"); err != nil {
		return nil, err
	}
	d.Locks, err = readLocks(ctx, st, account)
	return d, err
}

// readLocks tells of the keys below a task's lock, the oldest first, whose holds it.
func readLocks(ctx context.Context, st *store.Store, account ledger.Account) ([]string, error) {
	prefix := st.Keys().Of(store.Locks)
	events, _, err := store.List(ctx, st.Client(), prefix+account.Task+"/")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	slices.SortFunc(events, func(a, b store.Event) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) })
	var locks []string
	for _, event := range events {
		_, session, run, ok := store.SplitLock(event.Key[len(prefix):])
		text := "somebody outside of the cluster, such as \"etcdctl lock\", by the key " + event.Key
		at := slices.IndexFunc(account.Nodes, func(n nightwatch.Node) bool { return ok && n.Session == session })
		if at >= 0 {
			text = "node " + account.Nodes[at].Name + ", which is starting a run"
			if run != "" {
				text = "node " + account.Nodes[at].Name + ", which is starting run " + run
			}
		}
		locks = append(locks, text)
	}
	return locks, nil
}

func (d *taskDescription) show(out io.Writer) {
	fact(out, "Task", d.Task)
	if def := d.Definition; def != nil {
		fact(out, "Description", def.Description)
		fact(out, "Owner", def.Owner)
		fact(out, "Labels", labelText(def.Labels))
	}
	facts(out, "Now", d.Now)
	d.showVerdict(out)
	if def := d.Definition; def != nil {
		fact(out, "Runs", whatText(def))
		fact(out, "Due", d.Schedule)
		fact(out, "Calendars", calendarsText(def.Calendars))
		for _, rule := range rules(def) {
			fact(out, rule[0], rule[1])
		}
	}
	if s := d.Status; s != nil {
		var next []string
		for _, t := range s.Next {
			next = append(next, stamp(t)+noteIn(s.NextNotes, t))
		}
		facts(out, "Next", next)
		for _, b := range s.Backfills {
			fact(out, "Backfill", backfillText(b))
		}
	}
	for _, tail := range slices.Sorted(maps.Keys(d.Freezes)) {
		fact(out, "Frozen", "by the key freeze/"+tail+", "+freezeText(d.Freezes[tail]))
	}
	for _, lock := range d.Locks {
		fact(out, "Locked", "by "+lock)
	}
	if d.Status != nil {
		fact(out, "Counts", countsText(d.Status.Counts))
	}
	d.showRuns(out)
	d.showRequests(out)
}

func (d *taskDescription) showVerdict(out io.Writer) {
	s := d.Status
	if s == nil {
		fact(out, "Verdict", "none yet: no scheduler has looked at the task")
		return
	}
	verdict := fmt.Sprintf("accepted (revision %d)", s.ObservedRevision)
	if !s.Accepted {
		verdict = fmt.Sprintf("refused (revision %d): %v", s.ObservedRevision, nightwatch.InvalidError(s.Errors))
		if s.AcceptedRevision != 0 {
			verdict += fmt.Sprintf("; revision %d stays in force", s.AcceptedRevision)
		}
	}
	if d.account.TaskRevision == 0 {
		verdict += "; the task has been deleted"
	} else if d.account.TaskRevision > s.ObservedRevision {
		verdict += "; there is a newer value, which the scheduler has not seen yet"
	}
	fact(out, "Verdict", verdict)
	for _, warning := range s.Warnings {
		fact(out, "Warning", warning.Error())
	}
}

// whatText says what a task runs, in a line.
func whatText(t *nightwatch.Task) string {
	switch {
	case t.Process != nil && t.Process.Shell != "":
		return "a shell script: " + short(t.Process.Shell, 80)
	case t.Process != nil && t.Process.Python != "":
		return "a Python script: " + short(t.Process.Python, 80)
	case t.Process != nil:
		return "the process " + short(strings.Join(t.Process.Command, " "), 80)
	case t.HTTP != nil:
		return "an HTTP request: " + strings.TrimSpace(t.HTTP.Method+" "+short(t.HTTP.URL, 80))
	case t.Handler != nil:
		return "the handler " + t.Handler.Name
	case t.Image != "":
		return "a Kubernetes Job of the image " + t.Image
	case t.Kubernetes != nil && t.Kubernetes.Image != "":
		return "a Kubernetes Job of the image " + t.Kubernetes.Image
	}
	return "a Kubernetes Job"
}

func calendarsText(use nightwatch.CalendarUse) string {
	var parts []string
	if len(use.Include) > 0 {
		parts = append(parts, "on days of "+strings.Join(use.Include, ", "))
	}
	if len(use.Exclude) > 0 {
		parts = append(parts, "not on days of "+strings.Join(use.Exclude, ", "))
	}
	return strings.Join(parts, ", ")
}

// rules are what a task says of how it runs, where that is not the default.
func rules(t *nightwatch.Task) [][2]string {
	var found [][2]string
	say := func(name, value string) { found = append(found, [2]string{name, value}) }
	say("Overlap", t.Overlap)
	if t.Suspend {
		say("Suspended", "yes: new times do not count")
	}
	if t.Retry.Attempts > 1 {
		say("Retry", fmt.Sprintf("%d attempts", t.Retry.Attempts))
	}
	for _, limit := range []struct {
		name  string
		value nightwatch.Duration
	}{{"Timeout", t.Timeout}, {"Run timeout", t.RunTimeout}, {"Start within", t.StartWithin}} {
		if limit.value > 0 {
			say(limit.name, limit.value.String())
		}
	}
	if t.Delivery == nightwatch.AtMostOnce {
		say("Delivery", t.Delivery)
	}
	if shards := t.Split().String(); shards != "0" {
		say("Shards", shards)
	}
	say("Runs on", t.RunsOn)
	say("Pool", t.Pool)
	if t.Priority != 0 {
		say("Priority", strconv.Itoa(t.Priority))
	}
	return found
}

// shownRuns is how many finished runs are shown.
const shownRuns = 10

func (d *taskDescription) showRuns(out io.Writer) {
	now := d.account.Now
	var live, over []*nightwatch.Run
	for i := range d.Runs {
		switch r := &d.Runs[i]; {
		case r.Shard != nil:
		case r.Live():
			live = append(live, r)
		case len(over) < shownRuns:
			over = append(over, r)
		}
	}
	if len(live) > 0 {
		section(out, "Live runs", "RUN", "PHASE", "NODE", "ATTEMPT", "FOR", "WAITS FOR, OR IS AT")
		for _, r := range live {
			since := r.CreateTime
			if r.Phase == nightwatch.PhaseRunning {
				since = cmp.Or(r.AttemptTime, r.StartTime)
			}
			indented(out, r.ID, string(r.Phase), r.Node, strconv.Itoa(r.Attempt), took(since, time.Time{}, now), short(standText(r), 60))
		}
	}
	if len(over) > 0 {
		section(out, "Last runs", "RUN", "PHASE", "REASON", "NODE", "ATTEMPTS", "EXIT", "TOOK", "ENDED")
		for _, r := range over {
			indented(out, r.ID, string(r.Phase), r.Reason, r.Node, strconv.Itoa(r.Attempt), exitText(r.ExitCode), took(r.StartTime, r.EndTime, r.EndTime), stamp(r.EndTime))
		}
		d.showLast(out, over[0])
	}
}

// showLast tells more of the newest run that has ended, if it did not go well.
func (d *taskDescription) showLast(out io.Writer, r *nightwatch.Run) {
	if r.Phase == nightwatch.PhaseSucceeded || r.Message == "" && len(r.Attempts) == 0 {
		return
	}
	fmt.Fprintln(out)
	for _, a := range r.Attempts {
		fmt.Fprintf(out, "%s attempt %d on %s: %s\n", r.ID, a.Attempt, a.Node, strings.TrimSuffix(a.Reason+": "+short(a.Message, 100), ": "))
	}
	fmt.Fprintf(out, "%s %s: %s\n", r.ID, r.Phase, short(r.Message, 100))
}

// standText is what a live run waits for, or how far it is.
func standText(r *nightwatch.Run) string {
	var parts []string
	if r.Cancel != nil {
		parts = append(parts, "being canceled")
	}
	if r.Reason != "" || r.Message != "" {
		parts = append(parts, strings.Trim(r.Reason+": "+r.Message, ": "))
	}
	if r.Shards != nil {
		parts = append(parts, "shards "+shardsText(r.Shards))
	}
	if p := r.Progress; p != nil {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%.0f %% %s", p.Fraction*100, p.Message)))
	}
	if r.Phase == nightwatch.PhasePending && r.NotBefore.After(r.NominalTime) {
		parts = append(parts, "not before "+stamp(r.NotBefore))
	}
	return strings.Join(parts, "; ")
}

func exitText(code *int) string {
	if code == nil {
		return ""
	}
	return strconv.Itoa(*code)
}

func (d *taskDescription) showRequests(out io.Writer) {
	if len(d.Requests)+len(d.Verdicts) == 0 {
		return
	}
	section(out, "Requests of the last hour", "ID", "VERDICT")
	for _, id := range slices.Sorted(maps.Keys(d.Requests)) {
		r := d.Requests[id]
		indented(out, short(id, 60), strings.TrimSuffix(fmt.Sprintf("none yet: %s, by %s: %s", r.Action, cmp.Or(r.By, "somebody"), short(r.Note, 60)), ": "))
	}
	for _, id := range slices.Sorted(maps.Keys(d.Verdicts)) {
		v := d.Verdicts[id]
		text := "accepted, run " + v.Run
		switch {
		case !v.Accepted:
			text = "refused: " + nightwatch.InvalidError(v.Errors).Error()
		case v.Run == "":
			text = "accepted"
		}
		indented(out, short(id, 60), short(text, 100))
	}
}
