package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
)

// validation is the verdict on one document.
type validation struct {
	Source   string                  `json:"source"`
	Task     string                  `json:"task,omitempty"`
	Accepted bool                    `json:"accepted"`
	Errors   []nightwatch.FieldError `json:"errors,omitempty"`
}

func newValidate() *cobra.Command {
	var names naming
	var format output
	var files []string
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say what the cluster would say of a task, without one",
		Example: `  nightwatch validate -f hello.yaml
  generate-tasks | nightwatch validate -f - -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAll(&format, &names); err != nil {
				return err
			}
			documents, err := readDocuments(files, cmd.InOrStdin(), names.namespace)
			if err != nil {
				return failed(err)
			}
			var verdicts []validation
			bad := 0
			for _, d := range documents {
				if len(d.faults) > 0 {
					bad++
				}
				verdicts = append(verdicts, validation{Source: d.source, Task: d.key, Accepted: len(d.faults) == 0, Errors: d.faults})
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
			fmt.Fprintf(out, "%s: accepted\n", name)
			continue
		}
		fmt.Fprintf(out, "%s: refused\n", name)
		for _, fault := range v.Errors {
			fmt.Fprintf(out, "  %s\n", fault.Error())
		}
	}
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
