package process_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	log := func(run jobrunner.Run) []string {
		data, _ := os.ReadFile(filepath.Join(dir, run.ID))
		return strings.Fields(string(data))
	}
	begin := "echo hello; echo $$ >>" + dir + "/$NIGHTWATCH_RUN; env >" + dir + "/$NIGHTWATCH_RUN.env; "
	runnertest.Run(t, runnertest.Subject{
		New: func(tb testing.TB) jobrunner.Runner {
			r, err := process.New(process.Config{Guard: guardArgs})
			if err != nil {
				tb.Fatal(err)
			}
			return r
		},
		Task: func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task {
			end, ok := map[runnertest.Kind]string{
				runnertest.Succeed: "true", runnertest.Fail: "exit 3", runnertest.Live: "sleep 60",
				runnertest.Big: "head -c 3000000 /dev/zero | tr '\\0' x; echo " + runnertest.BigEnd,
			}[kind]
			if !ok {
				return nil
			}
			return shell(begin + end)
		},
		Says:    "hello\n",
		Started: func(run jobrunner.Run) int { return len(log(run)) },
		Live: func(run jobrunner.Run) bool {
			for _, word := range log(run) {
				if pid, err := strconv.Atoi(word); err == nil && alive(pid) {
					return true
				}
			}
			return false
		},
		Told: func(run jobrunner.Run) jobrunner.Run {
			data, err := os.ReadFile(filepath.Join(dir, run.ID+".env"))
			if err != nil {
				t.Error(err)
			}
			return runnertest.Told(t, strings.Split(string(data), "\n"))
		},
		ExitCode: 3,
	})
}
