package node_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// A clock may go wrong while its node stands for the role already. It withdraws then, and stands again when the clock is
// right.
func TestWrongClockWithdraws(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	st := store.New(client, "")
	session, err := concurrency.NewSession(client)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	role := st.Keys().Election()
	if err := concurrency.NewElection(session, role).Campaign(t.Context(), "somebody"); err != nil {
		t.Fatal(err)
	}
	startPeer(t, client, node.Config{Name: "n1"})
	// stand waits for so many candidates, while the scheduler's clock is ahead of n1's.
	stand := func(candidates int64, ahead time.Duration) {
		t.Helper()
		etcdtest.Eventually(t, 20*time.Second, func() error {
			value, err := json.Marshal(map[string]time.Time{"time": time.Now().Add(ahead)})
			if err != nil {
				return err
			}
			if _, err := client.Put(t.Context(), st.Keys().MetaClock(), string(value)); err != nil {
				return err
			}
			there, err := client.Get(t.Context(), role+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err == nil && there.Count != candidates {
				err = fmt.Errorf("there are %d", there.Count)
			}
			return err
		}, "%d candidates with the clock %s off", candidates, ahead)
	}
	stand(2, 0)
	stand(1, time.Hour)
	stand(2, 0)
}
