package registry

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// Whatever stands in a node's key, only what a node put there itself passes for one, and it stays the same.
func FuzzParseNode(f *testing.F) {
	f.Add("n1", []byte(`{"name":"n1","session":"694d","capacity":64,"runners":["http"],"labels":{"zone":"a"},"startTime":"2026-11-20T14:15:00Z"}`), int64(0x694d))
	f.Add("n1", []byte(`{"name":"n1","session":"0"}`), int64(0))
	f.Add("n1", []byte(`{"name":"n2","session":"1"}`), int64(1))
	f.Add("a..b", []byte(`{"name":"a..b","session":"-1"}`), int64(-1))
	f.Add("n1", []byte(`{"name":"n1","session":"1","capacity":1e99}`), int64(1))
	f.Add("n1", []byte("null"), int64(1))
	f.Fuzz(func(t *testing.T, name string, value []byte, lease int64) {
		entry, err := parse(name, &mvccpb.KeyValue{Value: value, Lease: lease, CreateRevision: 5, ModRevision: 7})
		if err != nil {
			if err.Error() == "" || entry.Node.Name != "" {
				t.Fatalf("%+v, %v", entry, err)
			}
			return
		}
		if entry.Node.Name != name || entry.Node.Session != formatLease(clientv3.LeaseID(lease)) || lease == 0 || nightwatch.CheckNodeName(name) != nil {
			t.Fatalf("%q under lease %x is %+v", name, lease, entry.Node)
		}
		stored, err := nightwatch.Encode(entry.Node)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(name, &mvccpb.KeyValue{Value: stored, Lease: lease, CreateRevision: 5, ModRevision: 7})
		if err != nil {
			t.Fatalf("%q, stored as %s: %v", value, stored, err)
		}
		if text, err := nightwatch.Encode(again.Node); err != nil || string(text) != string(stored) {
			t.Fatalf("%q became\n%s, then\n%s (%v)", value, stored, text, err)
		}
	})
}
