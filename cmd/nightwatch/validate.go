package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

// validation is the verdict on one document.
type validation struct {
	Source   string                  `json:"source"`
	Task     string                  `json:"task,omitempty"`
	Accepted bool                    `json:"accepted"`
	Errors   []nightwatch.FieldError `json:"errors,omitempty"`
	Warnings []nightwatch.FieldError `json:"warnings,omitempty"`
	// Explanation is the schedule in words.
	Explanation string `json:"explanation,omitempty"`
	// Next are the times from now on, and NextNotes those of them that daylight saving moved; none when the task's
	// Calendars have a say, which only the cluster knows.
	Next      []time.Time             `json:"next,omitempty"`
	NextNotes []nightwatch.Occurrence `json:"nextNotes,omitempty"`
	Calendars []string                `json:"calendars,omitempty"`
	// Server is the Kubernetes cluster whose API server was asked, and the namespace that the Job would be in.
	Server *answeredBy `json:"server,omitempty"`
	// After are the tasks that this one comes after. Whether they are there, and lead to no cycle, only the cluster knows.
	After []string `json:"after,omitempty"`

	zone *time.Location
}

// nextShown is how many times a verdict on a task shows.
const nextShown = 5

// validate is the verdict on a document.
func validate(d document, now time.Time) (validation, error) {
	v := validation{Source: d.source, Task: d.key, Accepted: len(d.faults) == 0, Errors: d.faults}
	if v.Accepted {
		v.After = d.task.Upstreams()
	}
	if !v.Accepted || !d.task.Recurring() {
		return v, nil
	}
	times := d.task.Times()
	v.Warnings, v.Explanation, v.Calendars = d.task.Warnings(), times.Explain(schedule.English), d.task.Calendars.Names()
	var err error
	if v.zone, err = time.LoadLocation(d.task.TimeZone); err != nil || len(v.Calendars) > 0 {
		return v, err
	}
	if warning, none := d.task.NoTimeLeft(times, now); none {
		v.Warnings = append(v.Warnings, warning)
	}
	count := int64(nextShown)
	if d.task.MaxRuns > 0 {
		count = min(count, int64(d.task.MaxRuns))
	}
	for _, o := range occurrences(times, now, int(count)) {
		v.Next = append(v.Next, o.Time)
		if o.Note != "" {
			v.NextNotes = append(v.NextNotes, o)
		}
	}
	return v, nil
}

func newValidate() *cobra.Command {
	var names naming
	var format output
	var files []string
	var server apiServer
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say what the cluster would say of a task, without one",
		Long: `Say what the cluster would say of a task, without one. With --server the Kubernetes API server is asked as well: it
says what it would of the Job that the task makes, admission and quota included, and makes none.`,
		Example: `  nightwatch validate -f hello.yaml
  generate-tasks | nightwatch validate -f - -o json
  nightwatch validate --server --kube-context prod -f report.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAll(&format, &names); err != nil {
				return err
			}
			if name := typed(cmd.Flags(), kubeFlags...); name != "" && !server.wanted {
				return usage("--%s: want --server with it", name)
			}
			documents, err := readDocuments(files, cmd.InOrStdin(), names.namespace)
			if err != nil {
				return failed(err)
			}
			if err := server.connect(); err != nil {
				return err
			}
			now := time.Now()
			var verdicts []validation
			bad := 0
			for _, d := range documents {
				v, err := validate(d, now)
				if err != nil {
					return failed(err)
				}
				if err := server.ask(cmd.Context(), d, &v); err != nil {
					return err
				}
				if !v.Accepted {
					bad++
				}
				verdicts = append(verdicts, v)
			}
			if err := format.print(cmd.OutOrStdout(), verdicts, func(out io.Writer) { showVerdicts(out, verdicts) }); err != nil {
				return failed(err)
			}
			if bad > 0 {
				return failed(fmt.Errorf("refused: %d of %d tasks", bad, len(documents)))
			}
			return nil
		},
	}
	fileFlag(cmd, &files)
	server.flags(cmd.Flags())
	names.flags(cmd.Flags())
	format.flags(cmd.Flags())
	return cmd
}

func showVerdicts(out io.Writer, verdicts []validation) {
	for _, v := range verdicts {
		name := v.Source
		if v.Task != "" {
			name += ": " + v.Task
		}
		if v.Accepted {
			fmt.Fprintf(out, "%s: accepted%s\n", name, v.Server)
			v.showTimes(out)
			continue
		}
		fmt.Fprintf(out, "%s: refused%s\n", name, v.Server)
		for _, fault := range v.Errors {
			fmt.Fprintf(out, "  %s\n", fault.Error())
		}
	}
}

// showTimes says what a schedule means, and what may not be meant by it.
func (v *validation) showTimes(out io.Writer) {
	if v.Explanation != "" {
		fmt.Fprintf(out, "  %s\n", v.Explanation)
	}
	for _, warning := range v.Warnings {
		fmt.Fprintf(out, "  warning: %s\n", warning.Error())
	}
	if len(v.Calendars) > 0 {
		fmt.Fprintf(out, "  next: on the days of its calendars %s, which only the cluster knows\n", strings.Join(v.Calendars, ", "))
	}
	if len(v.After) > 0 {
		fmt.Fprintf(out, "  after: %s; whether they are there, and lead to no cycle, only the cluster knows\n", strings.Join(v.After, ", "))
	}
	for _, t := range v.Next {
		fmt.Fprintf(out, "  next: %s%s\n", t.In(v.zone).Format(fine), noteIn(v.NextNotes, t))
	}
}

// noteIn is what notes say of a time, in brackets.
func noteIn(notes []nightwatch.Occurrence, t time.Time) string {
	for _, o := range notes {
		if o.Time.Equal(t) {
			return " (" + o.Note + ")"
		}
	}
	return ""
}

func fileFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "filename", "f", nil, "file of tasks, JSON or YAML, several by --- lines; - is standard input; repeatable")
	argument(cmd.Flags(), "filename")
}

// checkAll checks the flags that several commands share.
func checkAll(checks ...interface{ check() error }) error {
	for _, c := range checks {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}
