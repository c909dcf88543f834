package store_test

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch/store"
)

// A key below the prefix is its kind and its tail, and a tail is put together again from what it was split into; no other
// key is taken for one.
func FuzzParseKey(f *testing.F) {
	for _, key := range []string{
		"/team/tasks/default/hello", "/team/tasks/hello", "/team/tasks//", "/team/tasks", "/team-1/tasks/a/b", "/team/", "", "/",
		"/team/requests/default/hello/x", "/team/runs/default/hello/20261120T141500Z.3", "/team/runs/a", "/team/queue/n1/a/b/rev-1",
		"/team/locks/a/b/694d", "/team/locks/a/b/shards/694d/rev-1.0", "/team/locks/a/b/shards/694d", "/team/locks/a/b/shards/", "/team/locks/a/b",
		"/team/status/_calendars/x", "/team/accepted/_pools/x/y", "/team/status/_namespaces/", "/team/status/_calendarsx", "/team/\x00\xff/\n",
	} {
		f.Add("/team", key)
	}
	f.Add("", "/nightwatch/meta/clock")
	f.Add("a//", "a//tasks/a/b")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		k := store.NewKeys(prefix)
		kind, tail, ok := k.Parse(key)
		if !ok {
			if rest, below := strings.CutPrefix(key, k.Prefix()); below && strings.Contains(rest, "/") {
				t.Fatalf("%q below %q is no key: %q, %q", key, k.Prefix(), kind, tail)
			}
			return
		}
		if k.Of(kind)+tail != key {
			t.Fatalf("%q is %q, %q", key, kind, tail)
		}
		task, last, ok := store.SplitLast(tail)
		if ok != strings.Contains(tail, "/") || ok && task+"/"+last != tail || !ok && last != tail || strings.Contains(last, "/") {
			t.Fatalf("%q is %q, %q, %v", tail, task, last, ok)
		}
		if ok {
			for kind, made := range map[store.Kind]string{store.Runs: k.Run(task, last), store.Requests: k.Request(task, last), store.Verdicts: k.Verdict(task, last)} {
				if made != k.Of(kind)+tail {
					t.Fatalf("%q made anew is %q", tail, made)
				}
			}
		}
		if task, session, run, ok := store.SplitLock(tail); ok {
			if made := k.LocksOf(task) + session; run == "" && made != k.Of(store.Locks)+tail && k.ShardLock(task, session, run) != k.Of(store.Locks)+tail ||
				run != "" && k.ShardLock(task, session, run) != k.Of(store.Locks)+tail {
				t.Fatalf("lock %q is %q, %q, %q", tail, task, session, run)
			}
			if strings.Count(task, "/") != 1 {
				t.Fatalf("lock %q is of %q", tail, task)
			}
		}
		for _, own := range []struct {
			of       func(string) (string, bool)
			accepted func(string) string
		}{{store.CalendarOf, k.AcceptedCalendar}, {store.PoolOf, k.AcceptedPool}, {store.NamespaceOf, k.AcceptedNamespace}} {
			if name, ok := own.of(tail); ok && own.accepted(name) != k.Of(store.Accepted)+tail {
				t.Fatalf("%q is of %q", tail, name)
			}
		}
	})
}
