package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/store"
)

// A program has two tasks run side by side and goes on when both are done. Started again after a crash, within the hour, it
// waits for the runs that it asked for before.
func ExampleStore_RunGroup() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:2379"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	st := store.New(client, "/nightwatch/")

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel() // what has not ended by then is canceled
	ends, err := st.RunGroup(ctx, store.Group{
		ID: "close-books-2026-11-20",
		Members: []store.Member{
			{Task: "billing/invoices", Params: map[string]json.RawMessage{"region": json.RawMessage(`"eu"`)}},
			{Task: "billing/invoices", Params: map[string]json.RawMessage{"region": json.RawMessage(`"us"`)}, Overlap: "allow"},
		},
	})
	for _, end := range ends {
		fmt.Println(end.Task, end.Run, end.Record.Phase, string(end.Record.Result))
	}
	if err != nil {
		fmt.Println(err)
	}
}
