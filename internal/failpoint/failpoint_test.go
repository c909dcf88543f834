package failpoint

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// A process is held at the pass that it is told, exactly there, and dies there.
func TestHoldAndKill(t *testing.T) {
	bin := t.TempDir()
	if err := Build(t.Context(), bin, "./internal/failpoint/testdata/steps"); err != nil {
		t.Fatal(err)
	}
	points := Points{Address: freeAddress(t)}
	steps := exec.Command(filepath.Join(bin, "steps"))
	steps.Env = points.Environment()
	var out bytes.Buffer
	steps.Stdout = &out
	if err := steps.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = steps.Process.Kill() })
	etcdtest.Eventually(t, time.Minute, func() error { return points.HoldAfter(t.Context(), "step", 2) }, "it takes orders")
	etcdtest.Eventually(t, time.Minute, func() bool {
		reached, err := points.Reached(t.Context(), "step")
		return err == nil && reached == 3
	}, "it is held")
	if err := steps.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = steps.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "before ") {
		t.Errorf("it died after %q", last)
	}
}

func TestBuildRefuses(t *testing.T) {
	if err := Build(t.Context(), t.TempDir(), "./internal/failpoint/testdata/none"); err == nil {
		t.Error("a package that is not there was built")
	}
	if err := Build(t.Context(), t.TempDir(), "./schedule"); err == nil || !strings.Contains(err.Error(), "there are none in ./schedule") {
		t.Errorf("a package without crash points: %v", err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
