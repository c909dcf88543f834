package etcdtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

func TestStartIsQuick(t *testing.T) {
	began := time.Now()
	server := etcdtest.Start(t)
	if _, err := server.Client(t).Put(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("ready and written to in %s", took)
	if took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestRestartKeepsDataAndEndpoint(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	if _, err := client.Put(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	watch := client.Watch(t.Context(), "a") // an open stream must not hold up the stop
	before, began := server.Endpoint(), time.Now()
	server.Restart(t)
	t.Logf("restarted in %s", time.Since(began))
	if got := server.Endpoint(); got != before {
		t.Errorf("endpoint %s, before %s", got, before)
	}
	etcdtest.Eventually(t, 10*time.Second, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := client.Get(ctx, "a")
		if err == nil && len(got.Kvs) != 1 {
			err = errors.New("the key is gone")
		}
		return err
	}, "reading after a restart")
	if _, err := client.Put(t.Context(), "a", "c"); err != nil {
		t.Fatal(err)
	}
	if got := <-watch; len(got.Events) == 0 {
		t.Errorf("the watch did not go on: %+v", got)
	}
	server.Stop()
	server.Stop()
}

func TestCompact(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	for range 3 {
		if _, err := client.Put(t.Context(), "a", "b"); err != nil {
			t.Fatal(err)
		}
	}
	at := server.Compact(t)
	got := <-client.Watch(t.Context(), "a", clientv3.WithRev(1))
	if got.CompactRevision != at {
		t.Errorf("CompactRevision %d, want %d", got.CompactRevision, at)
	}
}

func TestProxy(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	proxy := server.Proxy(t)
	client := etcdtest.NewClient(t, proxy.Endpoint())
	// Every put has a key of its own: one that was held up may arrive after a later one.
	put := func(timeout time.Duration, key string) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := client.Put(ctx, key, "")
		return err
	}
	there := func(key string) bool {
		got, err := direct.Get(t.Context(), key)
		return err == nil && len(got.Kvs) == 1
	}
	want := func(key string) {
		t.Helper()
		etcdtest.Eventually(t, 5*time.Second, func() bool { return there(key) }, "%s is there", key)
	}
	recovers := func(value string) {
		t.Helper()
		etcdtest.Eventually(t, 20*time.Second, func() error { return put(time.Second, value) }, "put after Resume")
		want(value)
	}
	if err := put(5*time.Second, "1"); err != nil {
		t.Fatal(err)
	}
	want("1")

	proxy.Pause()
	if err := put(200*time.Millisecond, "2"); err == nil {
		t.Error("a put went through a paused proxy")
	}
	if there("2") {
		t.Error("a put came through a paused proxy")
	}
	proxy.Resume()
	recovers("3")

	// Ambiguous: it fails, and it happens, if this machine is quick enough to send it within its time.
	happensUnanswered := func(value string) {
		t.Helper()
		etcdtest.Eventually(t, 20*time.Second, func() bool {
			if put(200*time.Millisecond, value) == nil {
				t.Error("a put was answered")
			}
			return there(value)
		}, "%s is there", value)
	}

	proxy.DropResponses()
	happensUnanswered("4")
	proxy.Resume()
	recovers("5")

	proxy.HoldResponses()
	happensUnanswered("6")
	proxy.Resume()
	recovers("7")

	proxy.DropRequests()
	if err := put(200*time.Millisecond, "8"); err == nil {
		t.Error("a put went through though requests are dropped")
	}
	if there("8") {
		t.Error("a put came through though requests are dropped")
	}
	proxy.Resume()
	recovers("9")

	proxy.Cut()
	recovers("10")

	proxy.Reset()
	recovers("10a")

	proxy.Delay(50 * time.Millisecond)
	began := time.Now()
	if err := put(5*time.Second, "10b"); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("there and back took %s", took)
	}
	proxy.Resume()
	began = time.Now()
	if err := put(5*time.Second, "10b"); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("there and back took %s, once the way was open again", took)
	}
	proxy.Delay(0)
	proxy.Limit(1000)
	began = time.Now()
	if err := put(5*time.Second, "10c"+strings.Repeat("c", 200)); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("200 bytes at 1000 a second took %s", took)
	}
	proxy.Limit(0)

	proxy.Refuse()
	if err := put(200*time.Millisecond, "11"); err == nil {
		t.Error("a put went through a proxy that refuses")
	}
	proxy.Resume()
	recovers("12")
}
