package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// showRun tells everything about a run.
func showRun(out io.Writer, r *nightwatch.Run, now time.Time) {
	fact(out, "Run", r.ID)
	fact(out, "Task", fmt.Sprintf("%s (revision %d)", r.Task, r.TaskRevision))
	fact(out, "Phase", string(r.Phase))
	fact(out, "Reason", r.Reason)
	fact(out, "Message", r.Message)
	if r.Cancel != nil {
		fact(out, "Cancel", strings.Trim(fmt.Sprintf("%s, by %s, at %s: %s", r.Cancel.Reason, cmp.Or(r.Cancel.By, "the system"), stamp(r.Cancel.Time), r.Cancel.Why), ": "))
	}
	fact(out, "Due", stamp(r.NominalTime))
	fact(out, "Created", stamp(r.CreateTime))
	if r.Live() {
		fact(out, "Not before", stamp(r.NotBefore))
	}
	fact(out, "Started", stamp(r.StartTime)+lateText(r))
	fact(out, "Ended", stamp(r.EndTime))
	fact(out, "Took", took(r.StartTime, r.EndTime, now))
	fact(out, "Attempt", strconv.Itoa(r.Attempt))
	fact(out, "Runner", r.Runner)
	if r.Node != "" {
		fact(out, "Node", fmt.Sprintf("%s (session %s)", r.Node, r.Session))
	}
	if r.LostSessions > 0 {
		fact(out, "Nodes lost", strconv.Itoa(r.LostSessions))
	}
	if r.Job != nil {
		fact(out, "Job", r.Job.Namespace+"/"+r.Job.Name)
		fact(out, "Cluster", strings.TrimSpace(r.Cluster+" "+r.Job.Cluster))
	}
	fact(out, "Fence", strconv.FormatInt(r.Fence, 10))
	fact(out, "Exit code", exitText(r.ExitCode))
	if u := r.Usage; u != nil {
		fact(out, "Used", usageText(u))
	}
	fact(out, "Retry of", r.RetryOf)
	fact(out, "Resolved by", r.ResolvedBy)
	fact(out, "Backfill", r.Backfill)
	if r.Shard != nil {
		fact(out, "Shard", fmt.Sprintf("%d of %d of %s", r.Shard.Index, r.Shard.Count, r.Shard.Of))
	}
	fact(out, "Shards", shardsText(r.Shards))
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		fact(out, "Param "+name, short(string(r.Params[name]), 100))
	}
	if p := r.Progress; p != nil {
		fact(out, "Progress", strings.TrimSpace(fmt.Sprintf("%.1f %% %s", p.Fraction*100, p.Message)))
	}
	fact(out, "Result", short(string(r.Result), 500))
	if len(r.Checkpoint) > 0 {
		fact(out, "Checkpoint", fmt.Sprintf("%d bytes", len(r.Checkpoint)))
	}
	if len(r.Attempts) > 0 {
		section(out, "Attempts before", "ATTEMPT", "NODE", "STARTED", "TOOK", "REASON", "EXIT", "MESSAGE")
		for _, a := range r.Attempts {
			indented(out, strconv.Itoa(a.Attempt), a.Node, stamp(a.StartTime), took(a.StartTime, a.EndTime, a.EndTime), a.Reason, exitText(a.ExitCode), short(a.Message, 60))
		}
	}
	if r.Output != "" {
		section(out, "The end of its output")
		for line := range strings.Lines(r.Output) {
			fmt.Fprintf(out, "  %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
}

// lateText is how late a run started, if it was late by a second or more.
func lateText(r *nightwatch.Run) string {
	due := r.NominalTime
	if r.NotBefore.After(due) && r.Attempt == 1 {
		due = r.NotBefore
	}
	if late := r.StartTime.Sub(due); !r.StartTime.IsZero() && late >= time.Second {
		return fmt.Sprintf(" (%s late)", late.Round(time.Second))
	}
	return ""
}

func usageText(u *nightwatch.Usage) string {
	text := fmt.Sprintf("%.2f s of processor time", u.UserSeconds+u.SystemSeconds)
	if u.MaxRSSBytes > 0 {
		text += fmt.Sprintf(", %d MiB of memory", u.MaxRSSBytes>>20)
	}
	if u.LimitedBy != "" {
		text += ", limited by " + u.LimitedBy
	}
	return text
}
