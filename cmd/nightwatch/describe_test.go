package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// matches wants each of some expressions in a text, in their order.
func matches(t testing.TB, text string, expressions ...string) {
	t.Helper()
	rest := text
	for _, expression := range expressions {
		at := regexp.MustCompile("(?m)" + expression).FindStringIndex(rest)
		if at == nil {
			t.Errorf("no %q in its place in\n%s", expression, text)
			return
		}
		rest = rest[at[1]:]
	}
}

func TestDescribe(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	const task = `{"description":"Dump it","owner":"ann","process":{"shell":"echo begin; exit 3"},"schedule":"30 2 * * *","timeZone":"Europe/Berlin",
		"retry":{"attempts":2,"backoff":"10ms"},"timeout":"10m","runsOn":"!gpu"}`
	if _, err := d.store.Put(t.Context(), "default/backup", []byte(task)); err != nil {
		t.Fatal(err)
	}
	run := strings.TrimSpace(d.want(t, "run", "backup", "--id", "once"))
	d.waitStatus(t, "default/backup", func(s *nightwatch.Status) bool {
		return s != nil && s.LastRun != nil && s.LastRun.Phase == nightwatch.PhaseFailed && s.ActiveCount == 0
	})
	if _, err := d.client.Put(t.Context(), "/nightwatch/tasks/default/backup", `{"process":{"shell":"echo begin"},"schedule":"61 2 * * *"}`); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/backup", func(s *nightwatch.Status) bool { return s != nil && !s.Accepted })
	if _, err := d.client.Put(t.Context(), "/nightwatch/locks/default/backup/1234", ""); err != nil {
		t.Fatal(err)
	}
	d.want(t, "pause", "backup", "--note", "moving house")
	d.waitStatus(t, "default/backup", func(s *nightwatch.Status) bool { return s != nil && s.Still == nightwatch.ReasonFrozen })

	matches(t, d.want(t, "describe", "backup"),
		`^Task: +default/backup$`, `^Description: +Dump it$`, `^Owner: +ann$`, `^Now: `, `^Verdict: +refused \(revision \d+\): schedule: .*61.*; revision \d+ stays in force$`,
		`^Runs: +a shell script: echo begin; exit 3$`, `^Due: +At 02:30, Europe/Berlin time.$`, `^Retry: +2 attempts$`, `^Timeout: +10m$`,
		`^Runs on: +!gpu$`, `^Frozen: +by the key freeze/default/backup, by .*: moving house$`, `^Locked: +by somebody outside of the cluster`, `^Counts: +0 succeeded, 1 failed`,
		`^Last runs:$`, `^  RUN +PHASE +REASON +NODE +ATTEMPTS +EXIT +TOOK +ENDED$`, `^  req-once +Failed +ExitCode +dev +2 +3 +\S+ +20`,
		`^req-once attempt 1 on dev: ExitCode: exit code 3$`, `^req-once Failed: exit code 3$`, `^Requests of the last hour:$`, `^  once +.*accepted, run req-once$`)
	matches(t, d.want(t, "describe", "backup", run),
		`^Run: +req-once$`, `^Task: +default/backup \(revision \d+\)$`, `^Phase: +Failed$`, `^Reason: +ExitCode$`, `^Attempt: +2$`, `^Node: +dev \(session \w+\)$`,
		`^Exit code: +3$`, `^Attempts before:$`, `^  1 +dev +20\S+ +\S+ +ExitCode +3 +exit code 3$`, `^The end of its output:$`, `^  begin$`)

	if _, err := d.store.Put(t.Context(), "default/long", []byte(`{"handler":{"name":"nobody"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Put(t.Context(), "default/slow", []byte(`{"process":{"command":["sleep","3600"]}}`)); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/long", func(s *nightwatch.Status) bool { return s != nil && s.Reason == nightwatch.ReasonNoFittingNode })
	d.waitStatus(t, "default/slow", inPhase(nightwatch.PhaseRunning))
	matches(t, d.want(t, "describe", "task", "default/long"), `^Runs: +the handler nobody$`, `^Live runs:$`, `^  rev-\d+ +Pending +- +1 +\S+ +NoFittingNode`)
	matches(t, d.want(t, "describe", "node", "dev"),
		`^Node: +dev$`, `^State: +ready$`, `^Role: +scheduler$`, `^Address: +`+regexp.QuoteMeta(d.http)+`$`, `^Runners: +handler, http, process$`, `^Check: +\[\+\]etcd ok$`,
		`^Runs:$`, `^  default/slow +rev-\d+ +Running +1 `)

	record, _, err := d.store.Run(t.Context(), "default/backup", run)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"describe", "backup"}, {"describe", "backup", run}, {"describe", "node", "dev"}, {"why", "backup"}} {
		out := d.want(t, append(args, "-o", "json")...)
		if !json.Valid([]byte(out)) || strings.Contains(out, record.Log.Token) || strings.Contains(out, `"token"`) {
			t.Errorf("%v: %s", args, out)
		}
	}
	for _, args := range [][]string{{"nothing"}, {"backup", "nothing"}, {"node", "nothing"}} {
		if out, code := d.cli(t, append([]string{"describe"}, args...)...); code != 1 {
			t.Errorf("describe %v: exit code %d: %s", args, code, out)
		}
	}
}

// TestDescribeOfANodeThatDoesNotAnswer tells what etcd knows of it.
func TestDescribeOfANodeThatDoesNotAnswer(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	address := freeAddress(t)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--advertise", freeAddress(t))
	becomesReady(t, address)
	p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint()), "describe", "node", "n1")
	if code := p.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	matches(t, p.out.String(), `^Node: +n1$`, `^Checks: +cannot be asked: .*--advertise there`)
}

// TestDescribeOfANodeWhereAnotherAnswers shows the state of no other node under its name.
func TestDescribeOfANodeWhereAnotherAnswers(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	address, other := freeAddress(t), freeAddress(t)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n2", "--listen", other, "--advertise", address)
	becomesReady(t, address)
	becomesReady(t, other)
	p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint()), "describe", "node", "n2")
	if code := p.code(t); code != 0 || strings.Contains(p.out.String(), "[+]") {
		t.Errorf("exit code %d: %s", code, &p.out)
	}
	matches(t, p.out.String(), `^Node: +n2$`, `^Checks: +cannot be asked: at `+regexp.QuoteMeta(address)+` answers node n1 `)
}

// TestWatch prints what happens, while etcd is out of reach and its history is compacted too, and when a task goes.
func TestWatch(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	client := server.Client(t)
	st := store.New(client, "")
	proxy := server.Proxy(t)
	env := environment(t, "NIGHTWATCH_ENDPOINTS="+proxy.Endpoint())
	address := freeAddress(t)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--runners", "process")
	becomesReady(t, address)
	put := func(task, value string) {
		t.Helper()
		if _, err := st.Put(t.Context(), task, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	const task = `{"process":{"shell":"exit 3"}}`
	put("default/demo", task)
	if _, err := st.Wait(t.Context(), "default/demo", inPhase(nightwatch.PhaseFailed)); err != nil {
		t.Fatal(err)
	}
	table := start(t, env, "watch", "demo")
	table.find(t, `^20\S+  default/demo +run rev-\d+ +Failed +ExitCode: exit code 3; on n1$`)
	lines := start(t, env, "watch", "-o", "json", "--all-namespaces")
	etcdtest.Eventually(t, patience, func() error {
		put("default/demo-1", task) // another task, whose name begins alike, until the watch has begun and sees it
		if !strings.Contains(lines.out.String(), "demo-1") {
			return errors.New("not seen")
		}
		return nil
	}, "a change is printed")
	lines.find(t, `^\{"time":"20[^"]+","kind":"run","task":"default/demo-1","run":"rev-\d+","phase":"Failed","reason":"ExitCode"`)
	lines.find(t, `^\{"time":"20[^"]+","kind":"task","task":"default/demo-1","phase":"Failed"`)

	// Pools and namespaces have verdicts beside those of tasks, and are none.
	keys := st.Keys()
	for key, verdict := range map[string]string{keys.Pool("db"): keys.PoolStatus("db"), keys.Namespace("demo"): keys.NamespaceStatus("demo")} {
		if _, err := client.Put(t.Context(), key, "{}"); err != nil {
			t.Fatal(err)
		}
		etcdtest.Eventually(t, patience, func() bool {
			got, err := client.Get(t.Context(), verdict)
			return err == nil && len(got.Kvs) > 0
		}, "%s", verdict)
	}

	// What happens while etcd is out of reach, and its history with it, is told when it is back.
	proxy.Refuse()
	table.find(t, `^nightwatch: watching is interrupted, trying on`)
	put("default/demo", `{"process":{"shell":"exit 4"}}`)
	if _, err := st.Wait(t.Context(), "default/demo", func(s *nightwatch.Status) bool { return s.LastRun.ExitCode != nil && *s.LastRun.ExitCode == 4 }); err != nil {
		t.Fatal(err)
	}
	server.Compact(t)
	proxy.Resume()
	table.find(t, `^nightwatch: watching goes on`)
	table.find(t, `run rev-\d+ +Failed +ExitCode: exit code 4; on n1$`)
	if _, err := st.Delete(t.Context(), "default/demo"); err != nil {
		t.Fatal(err)
	}
	table.find(t, `default/demo +task +gone$`)
	lines.find(t, `"kind":"task","task":"default/demo","deleted":true`)
	if strings.Contains(table.out.String(), "demo-1") {
		t.Errorf("another task is in\n%s", &table.out)
	}
	for line := range strings.Lines(lines.out.String()) {
		var c change
		if err := json.Unmarshal([]byte(line), &c); err != nil || c.Time.IsZero() || c.Task == "" || strings.HasPrefix(c.Task, "_") {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, p := range []*program{table, lines} {
		if code := p.stop(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if p := start(t, env, "watch", "-o", "yaml"); p.code(t) != 2 {
		t.Error("yaml is no form of lines")
	}
	if p := start(t, environment(t), "watch", "--endpoints", freeAddress(t), "--command-timeout", "1s"); p.code(t) != 3 {
		t.Errorf("an etcd that is not there: %s", &p.err)
	}
}
