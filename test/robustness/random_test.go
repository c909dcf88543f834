//go:build linux

package robustness

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/test/robustness/suite"
)

// Random faults, for a short while: nothing is lost, nothing runs twice, and all is well again by itself. NIGHTWATCH_SEED
// chooses which faults; make robustness lets them come for longer.
func TestRandomFaults(t *testing.T) {
	control, _ := kube(t)
	seed := rand.Uint64N(1_000_000)
	if text := os.Getenv("NIGHTWATCH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("NIGHTWATCH_SEED: %v", err)
		}
	}
	v := suite.Run(t, suite.Config{
		Binaries: binaries, Seed: seed, Duration: 25 * time.Second, LeaseTTL: leaseTTL, Kubernetes: control,
	})
	t.Log(v)
	if !v.OK() {
		t.Fatalf("what is left of it is in %s; again: NIGHTWATCH_SEED=%d", v.Dir, seed)
	}
	if err := os.RemoveAll(v.Dir); err != nil {
		t.Error(err)
	}
}
