package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	fmt.Fprintf(errOut, "nightwatch: %v\n", err)
	if code == exitUsage {
		fmt.Fprintf(errOut, "See '%s --help'.\n", command.CommandPath())
	}
	return code
}

func newRoot() *cobra.Command {
	var configFile string
	root := &cobra.Command{
		Use:   "nightwatch",
		Short: "Run tasks on time, once, on a cluster of equal peers",
		Long: `nightwatch runs tasks on time, once, on a cluster of equal peers that share nothing but etcd.

Every flag that is a setting can also be given as an environment variable, NIGHTWATCH_ and the flag's name in capitals
with "_" for "-", and in the YAML file that --config names, under the flag's name. A flag goes before the environment,
the environment before the file.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 cluster not reachable.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return applySettings(cmd, configFile)
		},
	}
	root.PersistentFlags().StringVar(&configFile, "config", "", "YAML file of settings")
	root.AddCommand(
		newDev(), newNode(), newGuard(),
		newApply(), newGet(), newStatus(), newWhy(), newAudit(), newRun(), newBackfill(), newCancel(), newRetry(), newDrop(), newPause(), newResume(), newDelete(),
		newCordon(), newUncordon(), newDrain(),
		newLogsCommand(), newDescribe(), newWatch(),
		newNext(), newValidate(), newBench(), newVersion(),
	)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// argument marks flags that say what one invocation is to do. They are read neither from the environment, where a task
// that runs has NIGHTWATCH_RUN and the like for its own identity, nor from the config file.
func argument(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, argumentAnnotation, []string{"true"}); err != nil {
			panic(err) // a flag that was just defined
		}
	}
}

const argumentAnnotation = "argument"

// setting tells whether a flag can be given by the environment and the config file.
func setting(flag *pflag.Flag) bool {
	_, isArgument := flag.Annotations[argumentAnnotation]
	return !isArgument && flag.Name != "help" && flag.Name != "config" && flag.Name != "version"
}

// environmentName is NIGHTWATCH_<UPPER_SNAKE>.
func environmentName(flag string) string {
	return "NIGHTWATCH_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
