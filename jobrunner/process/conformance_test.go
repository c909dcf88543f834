package process_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
			return shell(begin + map[runnertest.Kind]string{
				runnertest.Succeed: "true", runnertest.Fail: "exit 3", runnertest.Live: "sleep 60",
			}[kind])
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
		Told:     func(run jobrunner.Run) jobrunner.Run { return told(t, filepath.Join(dir, run.ID+".env")) },
		ExitCode: 3,
	})
}

// told is what an environment says of a run.
func told(t *testing.T, file string) (run jobrunner.Run) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch name {
		case "NIGHTWATCH_NAMESPACE":
			run.Namespace = value
		case "NIGHTWATCH_TASK":
			run.Task = value
		case "NIGHTWATCH_RUN":
			run.ID = value
		case "NIGHTWATCH_ATTEMPT":
			run.Attempt, err = strconv.Atoi(value)
		case "NIGHTWATCH_FENCE":
			run.Fence, err = strconv.ParseInt(value, 10, 64)
		case "NIGHTWATCH_NOMINAL_TIME":
			run.NominalTime, err = time.Parse(time.RFC3339Nano, value)
		case "NIGHTWATCH_PARAMS":
			err = json.Unmarshal([]byte(value), &run.Params)
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	return run
}
