package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/schedule"
	"github.com/nightwatch-go/nightwatch/store"
)

// maxNextCount is how many times next lists at most.
const maxNextCount = 10_000

// asked is what next is asked for.
type asked struct {
	etcd     connection
	out      output
	spec     schedule.Spec
	task     string
	from     string
	count    int
	language string
}

// coming are times, and what there is to say of them. Only the times are part of the output that programs read.
type coming struct {
	explanation string
	remarks     []string
	zone        *time.Location
	times       []nightwatch.Occurrence
}

func newNext() *cobra.Command {
	var a asked
	cmd := &cobra.Command{
		Use:   "next SCHEDULE... | --task TASK",
		Short: "Say in words what a schedule means, and list its next times",
		Long: `Say in words what a schedule means, and list its next times, at or after --from.

A schedule is a cron expression of 5 fields, of 6 with seconds first, of 7 with a year last as well, or @daily and the
like, or "@every 90s". The times of several are put together. No cluster is needed, except with --task, which takes the
schedule of a task in force there, on the days of its calendars.`,
		Example: `  nightwatch next '*/5 * * * *'
  nightwatch next '30 2 * * *' --zone Europe/Berlin --from 2026-03-28 -n 3
  nightwatch next --task team-a/report -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.spec.Expressions = args
			from, err := a.check(cmd)
			if err != nil {
				return err
			}
			now := time.Now()
			var c coming
			if a.task == "" {
				if c, err = a.ofSpec(from, now); err != nil {
					return failed(err)
				}
			} else {
				err = a.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
					account, err := st.Account(ctx, a.task)
					if err != nil {
						return ofTask(a.task, err)
					}
					c, err = a.ofTask(account, from)
					return err
				})
				if err != nil {
					return err
				}
			}
			for _, remark := range c.remarks {
				fmt.Fprintln(cmd.ErrOrStderr(), remark)
			}
			return failed(a.out.print(cmd.OutOrStdout(), c.times, c.show))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.task, "task", "", "take the schedule of this task, [namespace/]task")
	flags.StringVar(&a.spec.TimeZone, "zone", "", "IANA name of the time zone of the schedule (default UTC)")
	flags.StringVar(&a.from, "from", "", "where to begin: "+momentForms+"; without an offset in the schedule's zone (default now)")
	flags.IntVarP(&a.count, "count", "n", 10, "how many times")
	flags.StringVar(&a.spec.DaylightSaving, "daylight-saving", "", "once, skip or both: what becomes of times that the clock jumps over or shows twice (default once)")
	flags.StringVar(&a.spec.DayMatch, "day-match", "", "or, and: what a day must match when day of month and day of week are both restricted (default or)")
	flags.StringVar(&a.spec.Key, "hash-key", "", "namespace/task from whose name H takes its numbers")
	flags.StringVar(&a.language, "language", schedule.English, "en or zh: the language of the explanation")
	argument(flags, scheduleFlags...)
	argument(flags, "task", "from", "count", "language")
	a.out.flags(flags)
	a.etcd.flags(flags)
	return cmd
}

// scheduleFlags are those that say of a schedule what a task says itself.
var scheduleFlags = []string{"zone", "daylight-saving", "day-match", "hash-key"}

// check looks at all that can be told to be wrong from the command line alone.
func (a *asked) check(cmd *cobra.Command) (from moment, err error) {
	if err := a.out.check(); err != nil {
		return from, err
	}
	if len(a.spec.Expressions) > 0 == (a.task != "") {
		return from, usage("want a schedule, such as '*/5 * * * *', or --task")
	}
	for _, name := range scheduleFlags {
		if a.task != "" && cmd.Flags().Changed(name) {
			return from, usage("--%s: goes with a schedule; with --task the task says it", name)
		}
	}
	if a.task != "" {
		names := naming{namespace: "default"}
		if a.task, err = names.task(a.task); err != nil {
			return from, usage("--task: %w", err)
		}
	}
	if key := a.spec.Key; key != "" {
		// A name alone is not one of the namespace default here: H in another one would come out differently.
		if !strings.Contains(key, "/") {
			return from, usage("--hash-key: %q: want namespace/task", key)
		}
		if _, _, err := nightwatch.ParseTaskName(key); err != nil {
			return from, usage("--hash-key: %q: want namespace/task: %w", key, err)
		}
	}
	if a.count < 1 || a.count > maxNextCount {
		return from, usage("--count: %d: want 1 to %d", a.count, maxNextCount)
	}
	if a.language != schedule.English && a.language != schedule.Chinese {
		return from, usage("--language: %q: want %s or %s", a.language, schedule.English, schedule.Chinese)
	}
	return parseMoment("from", a.from)
}

// ofSpec are the times of a schedule on the command line.
func (a *asked) ofSpec(from moment, now time.Time) (coming, error) {
	times, err := schedule.Parse(a.spec)
	if err != nil {
		return coming{}, a.hinted(err)
	}
	zone, err := time.LoadLocation(a.zone())
	if err != nil {
		return coming{}, err
	}
	c := coming{explanation: times.Explain(a.language), zone: zone}
	for _, warning := range times.Warnings() {
		c.remarks = append(c.remarks, "Warning: "+warning.Error())
	}
	c.times = occurrences(times, begin(from, now, zone), a.count)
	return c, nil
}

// hinted adds to the fault of a schedule how H gets its key, should a key change what is wrong with it.
func (a *asked) hinted(fault error) error {
	if a.spec.Key != "" {
		return fault
	}
	keyed := a.spec
	keyed.Key = "default/any"
	if _, err := schedule.Parse(keyed); err != nil && err.Error() == fault.Error() {
		return fault
	}
	return fmt.Errorf("%w; give the key by --hash-key namespace/task", fault)
}

// zone is the one whose clock the schedule, which was found good, goes by: the one that its expressions name
// themselves, where all name the same.
func (a *asked) zone() string {
	named := ""
	for i, expression := range a.spec.Expressions {
		prefix, name, _ := strings.Cut(strings.Fields(expression)[0], "=")
		if prefix != "CRON_TZ" && prefix != "TZ" || i > 0 && name != named {
			return a.spec.TimeZone
		}
		named = name
	}
	return named
}

// begin is where a list of times begins: now unless something else was written.
func begin(from moment, now time.Time, zone *time.Location) time.Time {
	if from.form == absent {
		return now
	}
	return from.last(now, zone)
}

// ofTask are the times of a task's schedule, whatever keeps the task from starting at the moment.
func (a *asked) ofTask(account ledger.Account, from moment) (coming, error) {
	if account.Accepted == nil {
		return coming{}, neverAccepted(a.task)
	}
	task := &account.Accepted.Task
	if task.After != nil {
		return coming{}, fmt.Errorf("%s: has no times of its own: it is due when %s have run; `nightwatch why` tells what it waits for", a.task, strings.Join(task.Upstreams(), ", "))
	}
	if !task.Recurring() {
		return coming{}, fmt.Errorf("%s: has no schedule: it runs once for each time it is put", a.task)
	}
	times, missing := account.Times()
	if len(missing) > 0 {
		return coming{}, fmt.Errorf("%s: calendars that it uses are not in force: %s", a.task, strings.Join(missing, ", "))
	}
	zone, err := taskZone(account.Accepted)
	if err != nil {
		return coming{}, err
	}
	c := coming{explanation: times.Explain(a.language), zone: zone, remarks: standing(account)}
	for _, warning := range task.Warnings() {
		c.remarks = append(c.remarks, "Warning: "+warning.Error())
	}
	if times.AfterFinish() {
		c.times = []nightwatch.Occurrence{}
		if account.Status != nil {
			for _, t := range account.Status.Next {
				c.times = append(c.times, nightwatch.Occurrence{Time: t})
			}
		}
		return c, nil
	}
	c.times = occurrences(times, begin(from, account.Now, zone), a.count)
	return c, nil
}

// standing says what keeps all times of a task from counting at the moment.
func standing(account ledger.Account) []string {
	var remarks []string
	if account.Accepted.Task.Suspend {
		remarks = append(remarks, account.Task+" is suspended: no time of it counts until suspend is taken away")
	}
	for _, tail := range slices.Sorted(maps.Keys(account.Freezes)) {
		freeze := account.Freezes[tail]
		if !freeze.Until.IsZero() && !freeze.Until.After(account.Now) {
			continue // it is over, and the scheduler is about to notice
		}
		text := fmt.Sprintf("%s is paused by the key freeze/%s", account.Task, tail)
		if told := freezeText(freeze); told != "" {
			text += ", " + told
		}
		if fault := account.FreezeErrors[tail]; fault != "" {
			text += " (its value is not as it should be: " + fault + ")"
		}
		remarks = append(remarks, text)
	}
	return remarks
}

// occurrences are the first times of a schedule at or after from, with their notes.
func occurrences(times *schedule.Schedule, from time.Time, count int) []nightwatch.Occurrence {
	list := []nightwatch.Occurrence{}
	// A time has whole milliseconds: those strictly after the last one before from are those from there on.
	for at := from.Add(-1); len(list) < count; {
		next, ok := times.Next(at)
		if !ok {
			break
		}
		list = append(list, nightwatch.Occurrence{Time: next, Note: times.Note(next)})
		at = next
	}
	return list
}

// show prints times as the zone's clock shows them, and in UTC.
func (c *coming) show(out io.Writer) {
	fmt.Fprintln(out, c.explanation)
	if len(c.times) == 0 {
		fmt.Fprintln(out, "There are no further times.")
		return
	}
	utc := c.zone == time.UTC
	noted := slices.ContainsFunc(c.times, func(o nightwatch.Occurrence) bool { return o.Note != "" })
	line := func(local, day, inUTC, note string) {
		cells := []string{local, day}
		if !utc {
			cells = append(cells, inUTC)
		}
		if noted {
			cells = append(cells, note)
		}
		row(out, cells...)
	}
	line("LOCAL TIME", "DAY", "UTC", "NOTE")
	for _, o := range c.times {
		local := o.Time.In(c.zone)
		line(local.Format(fine), local.Format("Mon"), o.Time.Format(fine), o.Note)
	}
}

// fine is RFC 3339 with the fraction of a second that a time has.
const fine = time.RFC3339Nano

// neverAccepted is the error of a command that needs the version of a task that is in force.
func neverAccepted(task string) error {
	return fmt.Errorf("%s: no version of it is in force", task)
}

// taskZone is the time zone of a version of a task, UTC of none.
func taskZone(accepted *nightwatch.Accepted) (*time.Location, error) {
	if accepted == nil {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(accepted.Task.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time zone of %s: %w", accepted.Key, err)
	}
	return zone, nil
}
