package node_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

// An etcd that is restored from a backup under running nodes has forgotten what came after it, and so have they: what is
// due from then on runs on time and once, and what was put after the backup can be put again.
func TestEtcdIsRestored(t *testing.T) {
	server := etcdtest.Start(t)
	var mu sync.Mutex
	began := map[string]int{} // by task and run
	handle := func(n *node.Node) {
		if _, err := n.Handle("note", func(_ context.Context, run jobrunner.Run) error {
			mu.Lock()
			defer mu.Unlock()
			began[run.Task+" "+run.ID]++
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, handle)
	b := startPeer(t, server.Client(t), node.Config{Name: "b"}, handle)
	waitReady(t, a, b)
	st := a.Store()
	put(t, st, "default/often", `{"handler":{"name":"note"},"every":"500ms"}`)
	ran := func(n int64) func(*nightwatch.Status) bool {
		return func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded >= n }
	}
	waitStatus(t, st, "default/often", ran(2))
	backup := server.Backup(t)
	before := waitStatus(t, st, "default/often", ran(4)).Counts.Succeeded
	waitStatus(t, st, "default/often", ran(before+6))
	put(t, st, "default/late", `{"handler":{"name":"note"}}`)
	waitStatus(t, st, "default/late", succeeded)

	server.Restore(t, backup)
	restored := time.Now()
	var after nightwatch.Status
	etcdtest.Eventually(t, time.Minute, func() (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if after, err = st.Status(ctx, "default/often"); err != nil {
			return err
		}
		if after.LastRun == nil || after.LastRun.Phase != nightwatch.PhaseSucceeded || after.LastRun.NominalTime.Before(restored.Add(2*time.Second)) {
			return errors.New("it does not go on")
		}
		return nil
	}, "times after the restore are met")
	if _, err := st.Status(t.Context(), "default/late"); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("what was put after the backup: %v", err)
	}
	put(t, st, "default/late", `{"handler":{"name":"note"}}`)
	waitStatus(t, st, "default/late", succeeded)
	waitReady(t, a, b)
	mu.Lock()
	defer mu.Unlock()
	for at := restored.Truncate(500 * time.Millisecond).Add(time.Second); !at.After(after.LastRun.NominalTime); at = at.Add(500 * time.Millisecond) {
		if n := began["often "+nightwatch.ScheduledRunID(at)]; n > 1 {
			t.Errorf("%s began %d times", at, n)
		}
	}
}
