package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

const waited = "default/hello"

type answer struct {
	status *nightwatch.Status
	err    error
}

// wait waits in the background until done; every status that done is asked about comes out of the first channel.
func wait(ctx context.Context, s *store.Store, done func(*nightwatch.Status) bool) (<-chan string, <-chan answer) {
	asked, answers := make(chan string, 100), make(chan answer, 1)
	go func() {
		status, err := s.Wait(ctx, waited, func(status *nightwatch.Status) bool {
			if status == nil {
				asked <- ""
			} else {
				asked <- string(status.Phase)
			}
			return done(status)
		})
		answers <- answer{status, err}
	}()
	return asked, answers
}

// next receives, and fails the test when nothing comes.
func next[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-within(t).Done():
		t.Fatalf("nothing comes: %s", what)
		panic("unreachable")
	}
}

func TestWait(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	key := s.Keys().Status(waited)
	asked, answers := wait(within(t), s, func(status *nightwatch.Status) bool {
		return status != nil && status.Phase == nightwatch.PhaseSucceeded
	})
	for _, step := range []struct {
		does func()
		want string
	}{
		{does: func() {}, want: ""},
		{does: func() { put(t, s.Client(), key, `{"phase":"Running"}`) }, want: "Running"},
		{does: func() { del(t, s.Client(), key) }, want: ""},
		{does: func() {
			put(t, s.Client(), key, `not JSON`)
			put(t, s.Client(), key, `{"phase":"Failed"}`)
		}, want: "Failed"},
		{does: func() {
			put(t, s.Client(), key+"-1", `{"phase":"Succeeded"}`) // another task's
			put(t, s.Client(), key, `{"phase":"Succeeded","uid":3}`)
		}, want: "Succeeded"},
	} {
		step.does()
		if got := next(t, asked, "a look at the status"); got != step.want {
			t.Fatalf("asked about %q, want %q", got, step.want)
		}
	}
	if got := next(t, answers, "the answer"); got.err != nil || got.status == nil || got.status.UID != 3 {
		t.Errorf("got %+v, %v", got.status, got.err)
	}
}

// A status that is there already is enough, and so is one that is gone.
func TestWaitForWhatIs(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	status, err := s.Wait(within(t), waited, func(status *nightwatch.Status) bool { return status == nil })
	if err != nil || status != nil {
		t.Errorf("gone: %+v, %v", status, err)
	}
	put(t, s.Client(), s.Keys().Status(waited), `{"phase":"Succeeded"}`)
	status, err = s.Wait(within(t), waited, func(status *nightwatch.Status) bool { return status != nil })
	if err != nil || status == nil || status.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("there: %+v, %v", status, err)
	}
}

func TestWaitOverEtcdRestart(t *testing.T) {
	server := etcdtest.Start(t)
	s := store.New(server.Client(t), "")
	asked, answers := wait(within(t), s, func(status *nightwatch.Status) bool {
		return status != nil && status.Phase == nightwatch.PhaseSucceeded
	})
	next(t, asked, "the first look")
	server.Restart(t)
	put(t, server.Client(t), s.Keys().Status(waited), `{"phase":"Succeeded"}`)
	if got := next(t, answers, "the answer"); got.err != nil || got.status.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("got %+v, %v", got.status, got.err)
	}
}

// The watch lies behind a compaction when the network is back.
func TestWaitOverCompaction(t *testing.T) {
	server := etcdtest.Start(t)
	proxy, direct := server.Proxy(t), server.Client(t)
	s := store.New(etcdtest.NewClient(t, proxy.Endpoint()), "")
	key := s.Keys().Status(waited)
	put(t, direct, key, `{"phase":"Running"}`)
	asked, answers := wait(within(t), s, func(status *nightwatch.Status) bool {
		return status != nil && status.Phase == nightwatch.PhaseSucceeded
	})
	next(t, asked, "the first look")
	proxy.Refuse()
	put(t, direct, key, `{"phase":"Succeeded"}`)
	put(t, direct, "elsewhere", "")
	server.Compact(t)
	proxy.Resume()
	if got := next(t, answers, "the answer"); got.err != nil {
		t.Error(got.err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	server := etcdtest.Start(t)
	s := store.New(server.Client(t), "")
	never := func(*nightwatch.Status) bool { return false }

	ctx, cancel := context.WithCancel(t.Context())
	asked, answers := wait(ctx, s, never)
	next(t, asked, "the first look")
	cancel()
	if got := next(t, answers, "the end"); !errors.Is(got.err, context.Canceled) {
		t.Errorf("canceled: %v", got.err)
	}

	server.Stop()
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, answers = wait(ctx, s, never)
	if got := next(t, answers, "the end"); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("timed out without etcd: %v", got.err)
	}
}

func TestWaitVerdict(t *testing.T) {
	server := etcdtest.Start(t)
	s := store.New(server.Client(t), "")
	if err := s.Request(within(t), waited, "x", nightwatch.Request{Action: nightwatch.ActionRun}); err != nil {
		t.Fatal(err)
	}
	if value, _ := get(t, s.Client(), s.Keys().Request(waited, "x")); value != `{"action":"run"}` {
		t.Errorf("the request is %s", value)
	}
	type result struct {
		verdict nightwatch.Verdict
		err     error
	}
	results := make(chan result, 1)
	ctx := within(t)
	go func() {
		verdict, err := s.WaitVerdict(ctx, waited, "x")
		results <- result{verdict, err}
	}()
	server.Restart(t)
	put(t, server.Client(t), s.Keys().Verdict(waited, "y"), `{"accepted":false}`)
	put(t, server.Client(t), s.Keys().Verdict(waited, "x"), `{"accepted":true,"run":"req-x"}`)
	if got := next(t, results, "the verdict"); got.err != nil || !got.verdict.Accepted || got.verdict.Run != "req-x" {
		t.Errorf("got %+v, %v", got.verdict, got.err)
	}
}

// After a restore from a backup a watch says nothing until revisions are what they were.
func TestWaitAfterABackup(t *testing.T) {
	store.LookAgain(t, 300*time.Millisecond)
	server := etcdtest.Start(t)
	client := server.Client(t)
	s := store.New(client, "")
	const id = "20261120T141500Z"
	key := s.Keys().Run(waited, id)
	put(t, client, key, `{"phase":"Running"}`)
	backup := server.Backup(t)
	for range 50 {
		put(t, client, "elsewhere", "")
	}
	asked, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		_, err := s.WaitRun(within(t), waited, id, func(run *nightwatch.Run) bool {
			asked <- string(run.Phase)
			return run.Phase.Terminal()
		})
		ended <- err
	}()
	next(t, asked, "the first look")
	server.Restore(t, backup)
	put(t, client, key, `{"phase":"Succeeded"}`)
	if err := next(t, ended, "the answer"); err != nil {
		t.Error(err)
	}
	if got := next(t, asked, "the last look"); got != "Succeeded" || len(asked) > 0 {
		t.Errorf("asked about %q and %d more: what has not changed is no news", got, len(asked))
	}
}
