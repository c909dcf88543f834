package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// printed waits until a program has printed a text.
func (p *program) printed(t testing.TB, text string) {
	t.Helper()
	etcdtest.Eventually(t, patience, func() error {
		if got := p.out.String(); !strings.Contains(got, text) {
			return fmt.Errorf("it printed %q", got)
		}
		return nil
	}, "output %q", text)
}

// told waits until a program has said a text on standard error.
func (p *program) told(t testing.TB, text string) {
	t.Helper()
	etcdtest.Eventually(t, patience, func() error {
		if got := p.err.String(); !strings.Contains(got, text) {
			return fmt.Errorf("it said %q", got)
		}
		return nil
	}, "words %q", text)
}

// TestLogsOfATaskWithoutRuns waits for the first run, and no longer than there is the task.
func TestLogsOfATaskWithoutRuns(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	if _, err := d.store.Put(t.Context(), "default/yearly", []byte(`{"process":{"shell":"echo hello"},"schedule":"0 0 1 1 *"}`)); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/yearly", func(s *nightwatch.Status) bool { return s != nil && len(s.Next) > 0 })
	env := environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd)
	following := start(t, env, "logs", "yearly", "-f")
	following.told(t, "default/yearly has no run on record (Scheduled, next at 20")
	d.want(t, "run", "yearly")
	if code := following.code(t); code != 0 || following.out.String() != "hello\n" {
		t.Errorf("exit code %d, %q, %q", code, &following.out, &following.err)
	}

	if _, err := d.store.Put(t.Context(), "default/other", []byte(`{"process":{"shell":"echo hello"},"schedule":"0 0 1 1 *"}`)); err != nil {
		t.Fatal(err)
	}
	following = start(t, env, "logs", "other", "-f")
	following.told(t, "waiting for one")
	d.want(t, "delete", "other")
	if code := following.code(t); code != 1 || !strings.Contains(following.err.String(), "default/other was deleted") {
		t.Errorf("exit code %d, %q, %q", code, &following.out, &following.err)
	}
}

// TestLogsOfAShardThatIsNotMade has a run that is split wait for a node, and its shards with it.
func TestLogsOfAShardThatIsNotMade(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	task := `{"process":{"shell":"echo shard $NIGHTWATCH_SHARD"},"shards":2,"runsOn":"zone=nowhere"}`
	if _, err := d.store.Put(t.Context(), "default/split", []byte(task)); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/split", func(s *nightwatch.Status) bool { return s != nil && s.LastRun != nil })
	env := environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd)
	following := start(t, env, "logs", "split", "--shard", "1", "-f")
	d.want(t, "cancel", "split")
	if code := following.code(t); code != 1 || following.out.String() != "" {
		t.Errorf("exit code %d, %q, %q", code, &following.out, &following.err)
	}
}

// TestLogs follows a run of a dev from before it is there to its end, over two attempts.
func TestLogs(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	go_ := filepath.Join(t.TempDir(), "go")
	task := fmt.Sprintf(`{"process":{"shell":"echo attempt $NIGHTWATCH_ATTEMPT; echo err >&2; until [ -e %s.$NIGHTWATCH_ATTEMPT ]; do sleep 0.01; done; echo end; [ $NIGHTWATCH_ATTEMPT = 2 ]"},
		"retry":{"attempts":2,"backoff":"10ms"}}`, go_)
	if _, err := d.client.Put(t.Context(), "/nightwatch/freeze/default/demo", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Put(t.Context(), "default/demo", []byte(task)); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/demo", func(s *nightwatch.Status) bool { return s != nil && s.Reason == nightwatch.ReasonFrozen })
	if out, code := d.cli(t, "logs", "demo"); code != 1 || !strings.Contains(out, "default/demo has no run on record; -f waits for one") {
		t.Errorf("before there is a run: exit code %d: %s", code, out)
	}
	env := environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd)
	following := start(t, env, "logs", "demo", "-f")
	following.told(t, "default/demo has no run on record (Suspended, Frozen); waiting for one")
	d.want(t, "resume", "demo")
	status := d.waitStatus(t, "default/demo", func(s *nightwatch.Status) bool { return s != nil && s.LastRun != nil })
	id := status.LastRun.ID
	following.printed(t, "attempt 1\nerr\n")
	touch(t, go_+".1")
	following.printed(t, "attempt 1\nerr\nend\nattempt 2\nerr\n")
	if out := d.want(t, "logs", "demo", id, "--attempt", "1"); out != "attempt 1\nerr\nend\n" {
		t.Errorf("attempt 1: %q", out)
	}
	if out := d.want(t, "logs", "demo", "--tail", "1"); out != "err\n" {
		t.Errorf("the last line: %q", out)
	}
	touch(t, go_+".2")
	if code := following.code(t); code != 0 || following.out.String() != "attempt 1\nerr\nend\nattempt 2\nerr\nend\n" || !strings.Contains(following.err.String(), "attempt 2 on dev") {
		t.Errorf("following: exit code %d, %q, %q", code, &following.out, &following.err)
	}
	if out := d.want(t, "logs", "default/demo", "-f", "--timestamps"); !regexp.MustCompile(`^(20\S+Z (attempt 2|err|end)\n){3}$`).MatchString(out) {
		t.Errorf("with times: %q", out)
	}

	// A run that waits, and is waited for.
	d.want(t, "run", "demo", "--id", "later", "--overlap", "allow")
	if out := d.want(t, "logs", "demo", "req-later", "-f"); !strings.Contains(out, "attempt 2\nerr\nend\n") {
		t.Errorf("the requested run: %q", out)
	}

	// The token is asked for, and nothing shows it.
	record, _, err := d.store.Run(t.Context(), "default/demo", id)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + d.http + "/api/v1/namespaces/default/tasks/demo/runs/" + id + "/log"
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	for token, want := range map[string]int{record.Log.Token: 200, "": 401, record.Log.Token[1:]: 401, record.Log.Token + "x": 401} {
		if code, _ := fetch(t, "GET", url, "", bearer(token)); code != want {
			t.Errorf("with the token %q: %d, want %d", token, code, want)
		}
	}
	if code, _ := fetch(t, "GET", strings.Replace(url, id, "rev-1", 1), "", bearer(record.Log.Token)); code != 401 {
		t.Errorf("of a run that is not there: %d", code)
	}
	for _, args := range [][]string{{"get", "runs", "demo", "-o", "json"}, {"get", "tasks", "demo", "-o", "yaml"}, {"status", "demo", "-o", "json"}, {"get", "runs", "demo", "-o", "yaml"}} {
		if out := d.want(t, args...); strings.Contains(out, record.Log.Token) {
			t.Errorf("%v shows the token", args)
		}
	}
	if strings.Contains(d.err.String(), record.Log.Token) {
		t.Error("the node's log has the token")
	}

	// Another life of the node has the logs of the one before.
	for _, args := range [][]string{{"demo", "nothing"}, {"demo", id, "--attempt", "3"}, {"nothing"}} {
		if out, code := d.cli(t, append([]string{"logs"}, args...)...); code != 1 {
			t.Errorf("logs %v: exit code %d: %s", args, code, out)
		}
	}
}

func touch(t testing.TB, name string) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLogsOfNodesThatCome has a node that is killed and comes again, on the same directory and on another.
func TestLogsOfNodesThatComeAndGo(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	address, dir := freeAddress(t), t.TempDir()
	node := func(dir string, more ...string) *program {
		t.Helper()
		p := start(t, environment(t), append([]string{"node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--runners", "process",
			"--lease-ttl", "2s", "--log-dir", dir}, more...)...)
		becomesReady(t, address)
		return p
	}
	n1 := node(dir)
	st := store.New(server.Client(t), "")
	if _, err := st.Put(t.Context(), "default/demo", []byte(`{"process":{"shell":"echo one; echo two"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Wait(t.Context(), "default/demo", inPhase(nightwatch.PhaseSucceeded)); err != nil {
		t.Fatal(err)
	}
	logs := func(args ...string) *program {
		t.Helper()
		p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint()), append([]string{"logs", "demo", "--timestamps"}, args...)...)
		if code := p.code(t); code != 0 {
			t.Errorf("logs %v: exit code %d: %s", args, code, &p.err)
		}
		return p
	}
	timed := regexp.MustCompile(`^20\S+Z one\n20\S+Z two\n$`)
	if got := logs(); !timed.MatchString(got.out.String()) || got.err.String() != "" {
		t.Errorf("printed %q, %q", &got.out, &got.err)
	}
	n1.kill()
	etcdtest.Eventually(t, patience, func() error {
		nodes, err := st.Nodes(t.Context())
		if err == nil && len(nodes) > 0 {
			err = fmt.Errorf("%v", nodes)
		}
		return err
	}, "the lease ends")
	if got := logs(); got.out.String() != "one\ntwo\n" || !strings.Contains(got.err.String(), "node n1, which ran it, is not alive; this is the end of the output, as its record keeps it") {
		t.Errorf("without the node: %q, %q", &got.out, &got.err)
	}
	n1 = node(dir)
	if got := logs("-f"); !timed.MatchString(got.out.String()) || got.err.String() != "" {
		t.Errorf("from its next life: %q, %q", &got.out, &got.err)
	}
	if code := n1.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	n1 = node("none")
	if got := logs(); got.out.String() != "one\ntwo\n" || !strings.Contains(got.err.String(), "node n1 keeps no log of attempt 1") {
		t.Errorf("from a node that keeps none: %q, %q", &got.out, &got.err)
	}
	if code := n1.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}

	node(dir, "--advertise", freeAddress(t))
	if got := logs(); got.out.String() != "one\ntwo\n" || !strings.Contains(got.err.String(), "--advertise there") {
		t.Errorf("from a node that is not where it says: %q, %q", &got.out, &got.err)
	}
}

// TestLogsFromSomebodyElse has something else listen where a node says that it is.
func TestLogsFromSomebodyElse(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience}
	go func() { _ = web.Serve(other) }()
	defer web.Close()
	address := freeAddress(t)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--runners", "process", "--advertise", other.Addr().String())
	becomesReady(t, address)
	st := store.New(server.Client(t), "")
	if _, err := st.Put(t.Context(), "default/demo", []byte(`{"process":{"shell":"echo one"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Wait(t.Context(), "default/demo", inPhase(nightwatch.PhaseSucceeded)); err != nil {
		t.Fatal(err)
	}
	p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint()), "logs", "demo")
	if code := p.code(t); code != 0 || p.out.String() != "one\n" || !strings.Contains(p.err.String(), "does not serve logs: 404") {
		t.Errorf("exit code %d: %q, %q", code, &p.out, &p.err)
	}
}

// TestLogsWhileTheNodeDrains reads, and goes on with, the log of a run that a stopping node waits for.
func TestLogsWhileTheNodeDrains(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	address, go_ := freeAddress(t), filepath.Join(t.TempDir(), "go")
	n1 := start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--runners", "process", "--drain-timeout", "1m")
	becomesReady(t, address)
	st := store.New(server.Client(t), "")
	if _, err := st.Put(t.Context(), "default/demo", []byte(`{"process":{"shell":"echo one; until [ -e `+go_+` ]; do sleep 0.01; done; echo two"}}`)); err != nil {
		t.Fatal(err)
	}
	env := environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint())
	if _, err := st.Wait(t.Context(), "default/demo", inPhase(nightwatch.PhaseRunning)); err != nil {
		t.Fatal(err)
	}
	before := start(t, env, "logs", "demo", "-f")
	before.printed(t, "one\n")
	if err := n1.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, patience, func() error {
		nodes, err := st.Nodes(t.Context())
		if err == nil && !nodes["n1"].Draining {
			err = fmt.Errorf("%v", nodes)
		}
		return err
	}, "the node drains")
	after := start(t, env, "logs", "demo", "-f")
	after.printed(t, "one\n")
	touch(t, go_)
	for _, p := range []*program{before, after} {
		if code := p.code(t); code != 0 || p.out.String() != "one\ntwo\n" {
			t.Errorf("exit code %d: %q, %q", code, &p.out, &p.err)
		}
	}
	if code := n1.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestLogsFollowedWithoutEtcd breaks a log off while etcd is away: it goes on when both are back.
func TestLogsFollowedWithoutEtcd(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	etcd, address, go_ := server.Proxy(t), freeAddress(t), filepath.Join(t.TempDir(), "go")
	front := etcdtest.StartProxy(t, address)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--advertise", front.Endpoint(), "--runners", "process")
	becomesReady(t, address)
	st := store.New(server.Client(t), "")
	if _, err := st.Put(t.Context(), "default/demo", []byte(`{"process":{"shell":"echo one; until [ -e `+go_+` ]; do sleep 0.01; done; echo two"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Wait(t.Context(), "default/demo", inPhase(nightwatch.PhaseRunning)); err != nil {
		t.Fatal(err)
	}
	following := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+etcd.Endpoint()), "logs", "demo", "-f", "--command-timeout", "1s")
	following.printed(t, "one\n")
	etcd.Refuse()
	front.Cut()
	following.told(t, "etcd cannot be asked which nodes there are")
	etcd.Resume()
	touch(t, go_)
	if code := following.code(t); code != 0 || following.out.String() != "one\ntwo\n" {
		t.Errorf("exit code %d: %q, %q", code, &following.out, &following.err)
	}
}

// TestEnvironmentIsWrittenNowhere gives a task and a node values that nobody should see, and looks at all that the node
// writes: its own log at its most talkative, the logs of runs, the keys that are not the task's own value, its pages.
func TestEnvironmentIsWrittenNowhere(t *testing.T) {
	const canary = "kanarienvogel-4711"
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	address, dir := freeAddress(t), t.TempDir()
	n1 := start(t, environment(t, "AWS_SECRET_ACCESS_KEY="+canary), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address,
		"--runners", "process", "--log-dir", dir, "--log-level", "trace")
	becomesReady(t, address)
	client := server.Client(t)
	st := store.New(client, "")
	task := `{"process":{"shell":"echo $TOKEN | wc -c; exit 3","env":{"TOKEN":"` + canary + `"}},"retry":{"attempts":2,"backoff":"10ms"}}`
	if _, err := st.Put(t.Context(), "default/demo", []byte(task)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Wait(t.Context(), "default/demo", inPhase(nightwatch.PhaseFailed)); err != nil {
		t.Fatal(err)
	}
	env := environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint())
	logs := start(t, env, "logs", "demo")
	if code := logs.code(t); code != 0 || strings.TrimSpace(logs.out.String()) != "19" {
		t.Errorf("logs: exit code %d: %q, %q", code, &logs.out, &logs.err)
	}
	_, metrics, err := read(t, "http://"+address+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if code := n1.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	texts := map[string]string{"the node's log": n1.err.String(), "its output": n1.out.String(), "its metrics": metrics}
	files, err := filepath.Glob(filepath.Join(dir, "*/*/*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v: want a file for each attempt", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	keys, err := client.Get(t.Context(), "/nightwatch/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range keys.Kvs {
		if key := string(kv.Key); !strings.HasPrefix(key, "/nightwatch/tasks/") && !strings.HasPrefix(key, "/nightwatch/accepted/") {
			texts[key] = string(kv.Value)
		}
	}
	if len(texts) < 8 {
		t.Errorf("%d texts", len(texts))
	}
	for name, text := range texts {
		if strings.Contains(text, canary) {
			t.Errorf("%s has the value: %s", name, text)
		}
	}
}
