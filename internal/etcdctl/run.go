package etcdctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// buildTimeout bounds the first build, which may have to fetch the module.
	buildTimeout = 10 * time.Minute

	// runTimeout bounds one call. etcdctl itself gives up after 5 s.
	runTimeout = 30 * time.Second
)

// built is the outcome of the one build of this process.
var built struct {
	sync.Mutex
	path string
}

// Path returns the path of etcdctl and builds it first if no run before this one has, which takes about a minute with
// empty caches. The binary is static, and shared: nothing may write to it. The test fails if it cannot be built.
func Path(t testing.TB) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.path != "" {
		return built.path
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	path, err := build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	built.path = path
	return path
}

// Run calls etcdctl with these arguments against the endpoint and returns what it printed on standard output. The test
// fails if etcdctl does.
func Run(t testing.TB, endpoint string, args ...string) string {
	t.Helper()
	stdout, err := Try(t, endpoint, args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout
}

// Try is Run for a call that may be refused: the error of a call that failed has what etcdctl printed on standard error.
func Try(t testing.TB, endpoint string, args ...string) (stdout string, err error) {
	t.Helper()
	Path(t) // to build it takes longer than any call of it
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := Command(ctx, t, endpoint, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("etcdctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), err
}

// Command returns an etcdctl that has not been started, for calls that go on (watch, lock) or read standard input. The
// end of ctx kills it.
func Command(ctx context.Context, t testing.TB, endpoint string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, Path(t), args...)
	// Settings of the person who runs the tests have no say.
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "ETCDCTL_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, "ETCDCTL_ENDPOINTS="+endpoint)
	return cmd
}
