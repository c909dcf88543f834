package main

import (
	"context"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestApplyGivesEachTaskItsTime: --command-timeout is about one answer of etcd, however many tasks there are.
func TestApplyGivesEachTaskItsTime(t *testing.T) {
	server := etcdtest.Start(t)
	deadlines := map[time.Time]bool{}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{server.Endpoint()},
		DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any,
			conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			deadline, _ := ctx.Deadline()
			deadlines[deadline] = true
			return invoke(ctx, method, req, reply, conn, opts...)
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const tasks = "name: one\nimage: busybox\n---\nname: two\nimage: busybox\n---\nname: three\nimage: busybox\n"
	documents, err := readDocuments([]string{"-"}, strings.NewReader(tasks), "default")
	if err != nil {
		t.Fatal(err)
	}
	results, err := applyAll(t.Context(), store.New(client, ""), documents, false, time.Minute)
	if err != nil || len(results) != 3 {
		t.Fatalf("%+v, %v", results, err)
	}
	if len(deadlines) != 3 {
		t.Errorf("%d deadlines, want one for each task", len(deadlines))
	}
}
