package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func documentsOf(t *testing.T, text string) []document {
	t.Helper()
	documents, err := readDocuments([]string{"-"}, strings.NewReader(text), "default")
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

// TestApplyOfManyTasks: they share requests, --command-timeout is about one answer of etcd however many there are, and what
// is told of them is in their order.
func TestApplyOfManyTasks(t *testing.T) {
	server := etcdtest.Start(t)
	var mu sync.Mutex
	requests, deadlines := 0, map[time.Time]bool{}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{server.Endpoint()},
		DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any,
			conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			deadline, _ := ctx.Deadline()
			mu.Lock()
			requests++
			deadlines[deadline] = true
			mu.Unlock()
			return invoke(ctx, method, req, reply, conn, opts...)
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const tasks, pages = 5000, 40 // of 128
	var text strings.Builder
	for i := range tasks {
		fmt.Fprintf(&text, "---\nname: t%d\nimage: busybox\nschedule: '@daily'\n", i)
	}
	began := time.Now()
	documents := documentsOf(t, text.String())
	t.Logf("%d tasks read in %s", tasks, time.Since(began))

	apply := func(want string, most int) {
		t.Helper()
		mu.Lock()
		requests, deadlines = 0, map[time.Time]bool{}
		mu.Unlock()
		began := time.Now()
		results, err := applyAll(t.Context(), store.New(client, ""), documents, false, time.Minute)
		t.Logf("%s in %s, %d requests", want, time.Since(began), requests)
		if err != nil || len(results) != tasks {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for i, r := range results {
			if r.Task != fmt.Sprint("default/t", i) || r.Result != want || r.Revision == 0 {
				t.Fatalf("result %d: %+v", i, r)
			}
		}
		if requests > most {
			t.Errorf("%s: %d requests for %d tasks, want %d at most", want, requests, tasks, most)
		}
		if len(deadlines) < pages {
			t.Errorf("%s: %d deadlines, want one for each page at least", want, len(deadlines))
		}
	}
	apply(resultCreated, tasks/4)
	apply(resultUnchanged, pages)
	there, err := client.Get(t.Context(), "/nightwatch/tasks/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || there.Count != tasks {
		t.Errorf("%d keys, %v", there.Count, err)
	}
}

// TestApplyOfOneThatIsRefused: what etcd refuses harms none beside it, and is told as if it had been alone.
func TestApplyOfOneThatIsRefused(t *testing.T) {
	server := etcdtest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	withUsers(t, server)
	asRoot, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Username: "root", Password: "root"})
	if err != nil {
		t.Fatal(err)
	}
	defer asRoot.Close()
	own := store.NewKeys("").Of(store.Tasks) + "default/"
	for _, do := range []func() error{
		func() error { _, err := asRoot.RoleAdd(ctx, "team"); return err },
		func() error {
			_, err := asRoot.RoleGrantPermission(ctx, "team", own, clientv3.GetPrefixRangeEnd(own), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := asRoot.UserAdd(ctx, "team", "t3am"); return err },
		func() error { _, err := asRoot.UserGrantRole(ctx, "team", "team"); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Username: "team", Password: "t3am"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	documents := documentsOf(t, "name: one\nimage: busybox\n---\nname: two\nnamespace: others\nimage: busybox\n---\nname: three\nimage: busybox\n")
	results, err := applyAll(ctx, store.New(client, ""), documents, false, patience)
	if !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.HasPrefix(err.Error(), "others/two: get /nightwatch/tasks/others/two: ") {
		t.Errorf("error %v", err)
	}
	if len(results) != 2 || results[0].Task != "default/one" || results[1].Task != "default/three" {
		t.Errorf("results %+v", results)
	}
	st := store.New(asRoot, "")
	for task, there := range map[string]bool{"default/one": true, "others/two": false, "default/three": true} {
		if _, _, err := st.Task(ctx, task); errors.Is(err, nightwatch.ErrNotFound) == there {
			t.Errorf("%s: %v", task, err)
		}
	}
}
