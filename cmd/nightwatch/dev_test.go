package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdctl"
)

func TestDevRunsWhatEtcdctlPuts(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	for _, want := range []string{`^  runners +process, http$`, `^  kubernetes +off: .*--kubeconfig or --kube-context turns it on$`, `etcdctl --endpoints \S+ put /nightwatch/tasks/default/hello`, `Ctrl-C ends it; the data stays`} {
		d.find(t, want)
	}
	etcdctl.Run(t, d.etcd, "put", "/nightwatch/tasks/default/hello", `{"process":{"command":["echo","hello"]}}`)
	began := time.Now()
	status := d.waitStatus(t, "default/hello", inPhase(nightwatch.PhaseSucceeded))
	t.Logf("done %s after the put", time.Since(began))
	if status.LastRun == nil || status.LastRun.Output != "hello\n" {
		t.Errorf("last run %+v, want the output hello", status.LastRun)
	}
	if got := etcdctl.Run(t, d.etcd, "get", "--print-value-only", "/nightwatch/status/default/hello"); !strings.Contains(got, `"phase":"Succeeded"`) || !strings.Contains(got, `"output":"hello\n"`) {
		t.Errorf("etcdctl shows %s", got)
	}
	if code, _ := fetch(t, "GET", "http://"+d.http+"/readyz", "", nil); code != http.StatusOK {
		t.Errorf("/readyz: %d", code)
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// TestDevServesCommands goes through the commands that need a node to answer.
func TestDevServesCommands(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	file := filepath.Join(t.TempDir(), "tasks.yaml")
	const tasks = `
name: hello
process: {shell: 'echo "hello $NIGHTWATCH_PARAMS"'}
---
name: broken
process: {shell: "echo oh no; exit 3"}
---
name: long
every: 24h
process: {command: [sleep, "3600"]}
`
	if err := os.WriteFile(file, []byte(tasks), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, "apply", "-f", file)
	if out := d.want(t, "status", "hello", "--wait"); !strings.Contains(out, "    hello {}\n") {
		t.Errorf("status: %s", out)
	}
	if out, code := d.cli(t, "status", "broken", "--wait"); code != 1 || !strings.Contains(out, "ExitCode") || !strings.Contains(out, "    oh no\n") {
		t.Errorf("status of a task that failed: exit code %d: %s", code, out)
	}

	run := strings.TrimSpace(d.want(t, "run", "hello", "--param", "day=monday", "--param", "n=5", "--id", "once"))
	if run != "req-once" {
		t.Errorf("run printed %q, want req-once", run)
	}
	if again := strings.TrimSpace(d.want(t, "run", "hello", "--param", "day=monday", "--id", "once")); again != run {
		t.Errorf("the same id again: %q, want %q", again, run)
	}
	d.want(t, "status", "hello", "--wait")
	if out := d.want(t, "get", "runs", "hello"); strings.Count(out, "req-once") != 1 {
		t.Errorf("runs: %s", out)
	}
	if record, _, err := d.store.Run(t.Context(), "default/hello", run); err != nil || record.Output != `hello {"day":"monday","n":5}`+"\n" {
		t.Errorf("run %+v, %v", record, err)
	}
	if out, code := d.cli(t, "run", "nothing"); code != 1 || !strings.Contains(out, "refused") {
		t.Errorf("run of a task that is not there: exit code %d: %s", code, out)
	}

	long := strings.TrimSpace(d.want(t, "run", "long"))
	d.waitStatus(t, "default/long", func(s *nightwatch.Status) bool {
		return s != nil && s.LastRun != nil && s.LastRun.ID == long && s.LastRun.Phase == nightwatch.PhaseRunning
	})
	if out := d.want(t, "cancel", "long", "--run", long); out != "canceling "+long+"\n" {
		t.Errorf("cancel printed %q", out)
	}
	if out, code := d.cli(t, "status", "long", "--wait"); code != 1 || !strings.Contains(out, "Canceled") {
		t.Errorf("status of a task whose run was canceled: exit code %d: %s", code, out)
	}

	d.want(t, "pause", "hello", "--note", "look first")
	d.want(t, "apply", "-f", file, "--resubmit")
	d.waitStatus(t, "default/hello", func(s *nightwatch.Status) bool {
		return s != nil && s.Reason == nightwatch.ReasonFrozen
	})
	waiting := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd), "status", "hello", "--wait")
	d.want(t, "resume", "hello")
	if code := waiting.code(t); code != 0 || !strings.Contains(waiting.out.String(), "3 succeeded") {
		t.Errorf("waiting for a task that was paused: exit code %d: %s", code, &waiting.out)
	}

	if out := d.want(t, "get", "nodes"); !strings.Contains(out, "scheduler") || !strings.Contains(out, d.http) {
		t.Errorf("nodes: %s", out)
	}
	d.want(t, "delete", "hello", "--wait")
	if out := d.want(t, "get", "tasks", "-o", "json"); strings.Contains(out, "hello") {
		t.Errorf("tasks after the deletion: %s", out)
	}
}

// TestDevKeepsItsDoorsClosed: nothing that a browser can send reaches etcd's data or what the node shows.
func TestDevKeepsItsDoorsClosed(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	foreign := func(r *http.Request) { r.Host = "rebound.example:2379" }
	for _, url := range []string{"http://" + d.etcd + "/version", "http://" + d.etcd + "/v3/kv/put", "http://" + d.http + "/readyz", "http://" + d.http + "/metrics"} {
		if code, _ := fetch(t, "GET", url, "", foreign); code != http.StatusMisdirectedRequest {
			t.Errorf("GET %s with a foreign Host: %d, want 421", url, code)
		}
	}
	const key = "/nightwatch/tasks/default/evil"
	put := fmt.Sprintf(`{"key":%q,"value":%q}`, encode(key), encode(`{"process":{"command":["true"]}}`))
	crossOrigin := func(r *http.Request) {
		r.Header.Set("Origin", "http://evil.example")
		r.Header.Set("Content-Type", "text/plain") // which needs no preflight
	}
	for _, path := range []string{"/v3/kv/put", "/v3beta/kv/put", "/v3alpha/kv/put", "/v3/lease/grant", "/v3/election/campaign", "/v3/lock/lock", "/v2/keys/x"} {
		code, header := fetch(t, "POST", "http://"+d.etcd+path, put, crossOrigin)
		if code < 400 {
			t.Errorf("cross-origin POST %s: %d, want a refusal", path, code)
		}
		if allowed := header.Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("cross-origin POST %s: allows %q", path, allowed)
		}
	}
	if _, header := fetch(t, "OPTIONS", "http://"+d.etcd+"/v3/kv/put", "", crossOrigin); header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight: allows %q", header.Get("Access-Control-Allow-Origin"))
	}
	if code, _ := fetch(t, "POST", "http://"+d.http+"/readyz", put, crossOrigin); code != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d, want 405", code)
	}
	got, err := d.client.Get(t.Context(), key)
	if err != nil || len(got.Kvs) > 0 {
		t.Errorf("the key: %v, %v", got.Kvs, err)
	}
	// The port is etcd's all the same.
	if code, _ := fetch(t, "GET", "http://"+d.etcd+"/health", "", nil); code != http.StatusOK {
		t.Errorf("/health: %d", code)
	}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestDevSaysWhoHoldsItsData(t *testing.T) {
	dir := t.TempDir()
	d := startDev(t, dir, environment(t))
	second := start(t, environment(t), "dev", "--data-dir", dir, "--etcd-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0")
	if code := second.code(t); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{dir, fmt.Sprintf("pid %d", d.cmd.Process.Pid), d.etcd, d.http, "--data-dir"} {
		if !strings.Contains(second.err.String(), want) {
			t.Errorf("the message lacks %s: %s", want, &second.err)
		}
	}
	d.find(t, "etcd")
	if code, _ := fetch(t, "GET", "http://"+d.http+"/livez", "", nil); code != http.StatusOK {
		t.Errorf("the first one: /livez %d", code)
	}
}

func TestDevSaysWhichFlagMovesAPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, args := range map[string][]string{
		"--etcd-listen": {"--etcd-listen", taken.Addr().String(), "--listen", "127.0.0.1:0"},
		"--listen":      {"--listen", taken.Addr().String(), "--etcd-listen", "127.0.0.1:0"},
	} {
		dir := t.TempDir()
		p := start(t, environment(t), append([]string{"dev", "--data-dir", dir}, args...)...)
		if code := p.code(t); code != exitFailed {
			t.Errorf("%s: exit code %d, want %d", flag, code, exitFailed)
		}
		if got := p.err.String(); !strings.Contains(got, taken.Addr().String()+" is taken") || !strings.Contains(got, "with "+flag) {
			t.Errorf("%s: %s", flag, got)
		}
	}
}

// TestDevHasNoUser: whoever follows the README's way to users on a dev is told where that ends, then and later.
func TestDevHasNoUser(t *testing.T) {
	dir := t.TempDir()
	d := startDev(t, dir, environment(t))
	for _, args := range [][]string{{"user", "add", "root:secret"}, {"user", "grant-role", "root", "root"}, {"auth", "enable"}} {
		etcdctl.Run(t, d.etcd, args...)
	}
	d.kill()
	after := start(t, environment(t), "dev", "--data-dir", dir, "--etcd-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0")
	if code := after.code(t); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{"authentication is on", dir, "--data-dir", "nightwatch node"} {
		if !strings.Contains(after.err.String(), want) {
			t.Errorf("the message lacks %s: %s", want, &after.err)
		}
	}
}

// TestDevKeepsTasks: a dev that was killed comes back with what it had, and at once, not when its old lease ends.
func TestDevKeepsTasks(t *testing.T) {
	dir := t.TempDir()
	d := startDev(t, dir, environment(t))
	if _, err := d.store.Put(t.Context(), "default/hello", []byte(`{"process":{"command":["echo","hello"]}}`)); err != nil {
		t.Fatal(err)
	}
	before := d.waitStatus(t, "default/hello", inPhase(nightwatch.PhaseSucceeded))
	node, err := d.client.Get(t.Context(), d.store.Keys().Node(devNode))
	if err != nil || len(node.Kvs) != 1 {
		t.Fatalf("the node's key: %v, %v", node, err)
	}
	d.kill()

	d = startDev(t, dir, environment(t))
	if left, err := d.client.TimeToLive(t.Context(), clientv3.LeaseID(node.Kvs[0].Lease)); err != nil || left.TTL > 0 {
		t.Errorf("the lease of the former life: %+v, %v; want it revoked before the banner", left, err)
	}
	after, err := d.store.Status(t.Context(), "default/hello")
	if err != nil || after.UID != before.UID || after.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("status after the restart: %+v, %v", after, err)
	}
	if _, err := d.store.Put(t.Context(), "default/again", []byte(`{"process":{"command":["echo","again"]}}`)); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/again", inPhase(nightwatch.PhaseSucceeded))
	if status, err := d.store.Status(t.Context(), "default/hello"); err != nil || status.Counts.Succeeded != 1 {
		t.Errorf("the old task ran again: %+v, %v", status, err)
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// TestDevStoppedWhileItStarts: Ctrl-C is no failure then either.
func TestDevStoppedWhileItStarts(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var out, errOut text
	args := []string{"dev", "--data-dir", t.TempDir(), "--etcd-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}
	if code := execute(ctx, args, nil, &out, &errOut); code != exitDone || strings.Contains(errOut.String(), "canceled") {
		t.Errorf("exit code %d: %s", code, &errOut)
	}
}

func TestDevDefaults(t *testing.T) {
	state := t.TempDir()
	// The ports are the only thing that a test may not take as they come.
	env := environment(t, "XDG_STATE_HOME="+state, "NIGHTWATCH_ETCD_LISTEN=127.0.0.1:0", "NIGHTWATCH_LISTEN=127.0.0.1:0")
	p := start(t, env, "dev")
	if got, want := p.find(t, `^  data +(.+)$`), filepath.Join(state, "nightwatch", "dev"); got != want {
		t.Errorf("data in %s, want %s", got, want)
	}
	info, err := os.Stat(filepath.Join(state, "nightwatch", "dev"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v; want it for its owner only", info, err)
	}
}

func TestDevWarnsWhenEtcdIsOpenToOthers(t *testing.T) {
	p := start(t, environment(t), "dev", "--data-dir", t.TempDir(), "--etcd-listen", "0.0.0.0:0", "--listen", "127.0.0.1:0")
	p.find(t, `WARN.*etcd listens beyond this machine, without TLS or users`)
	if host, _, _ := net.SplitHostPort(p.find(t, `^  etcd +([^,]+),`)); host != "127.0.0.1" {
		t.Errorf("the banner sends people to %s", host)
	}
}

func TestDevFindsKubernetesOnThisMachine(t *testing.T) {
	const kubeconfig = `
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}, {name: other, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://%s"}}]
users: [{name: u, user: {token: t}}]
`
	dir := t.TempDir()
	write := func(name, server string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, fmt.Appendf(nil, kubeconfig, server), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	local, remote := write("local", "127.0.0.1:1"), write("remote", "kubernetes.example:6443")
	for _, test := range []struct {
		name  string
		env   []string
		flags []string
		want  string
	}{
		{"a local one is on", []string{"KUBECONFIG=" + local}, nil, `^  kubernetes +on: context here, https://127.0.0.1:1$`},
		{"a remote one is off", []string{"KUBECONFIG=" + remote}, nil, `^  kubernetes +off: .*--kube-context turns it on$`},
		{"a remote one is on when named", nil, []string{"--kubeconfig", remote}, `^  kubernetes +on: context here, https://kubernetes.example:6443$`},
		{"a remote context is on when named", []string{"KUBECONFIG=" + remote}, []string{"--kube-context", "other"}, `^  kubernetes +on: context other, https://kubernetes.example:6443$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := startDev(t, t.TempDir(), environment(t, test.env...), test.flags...)
			d.find(t, test.want)
		})
	}
	p := start(t, environment(t), "dev", "--data-dir", t.TempDir(), "--kubeconfig", local, "--kube-context", "missing")
	if code := p.code(t); code != exitUsage || !strings.Contains(p.err.String(), `"missing"`) {
		t.Errorf("a context that is not there: exit code %d: %s", code, &p.err)
	}
}
