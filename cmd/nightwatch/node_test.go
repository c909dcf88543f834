package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// read gets a page of a node, with its text.
func read(t testing.TB, url string) (code int, text string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(data), err
}

// becomesReady waits for 200 of /readyz.
func becomesReady(t testing.TB, address string) {
	t.Helper()
	etcdtest.Eventually(t, patience, func() error {
		code, text, err := read(t, "http://"+address+"/readyz")
		if err == nil && code != http.StatusOK {
			err = errors.New(text)
		}
		return err
	}, "%s ready", address)
}

func TestNodeAnnouncesItself(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	address := freeAddress(t)
	p := start(t, environment(t, "NIGHTWATCH_LABELS=zone=a"), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address,
		"--capacity", "7", "--runners", "process,http", "--log-format", "json", "--lease-ttl", "3s")
	becomesReady(t, address)
	nodes, err := store.New(server.Client(t), "").Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := nodes["n1"]
	if n.Address != address || n.Capacity != 7 || n.Labels["zone"] != "a" || strings.Join(n.Runners, ",") != "handler,http,process" {
		t.Errorf("announced as %+v", n)
	}
	code, metrics, err := read(t, "http://"+address+"/metrics")
	if err != nil || code != http.StatusOK {
		t.Fatalf("/metrics: %d, %v", code, err)
	}
	for _, want := range []string{"\ngo_goroutines ", "\nprocess_open_fds ", "\nnightwatch_"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %q", strings.TrimSpace(want))
		}
	}
	if line, _, _ := strings.Cut(p.err.String(), "\n"); !strings.HasPrefix(line, `{"@level":`) {
		t.Errorf("logs: %s, want JSON", line)
	}

	// Another node of that name is refused, and told who holds it.
	second := start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", "127.0.0.1:0", "--lease-ttl", "3s")
	if code := second.code(t); code != exitFailed || !strings.Contains(second.err.String(), `node name "n1" is held by`) || !strings.Contains(second.err.String(), address) {
		t.Errorf("second n1: exit code %d: %s", code, &second.err)
	}
	// A port that is taken is told by its flag.
	third := start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n3", "--listen", address)
	if code := third.code(t); code != exitFailed || !strings.Contains(third.err.String(), address+" is taken by another process; choose another address with --listen") {
		t.Errorf("taken port: exit code %d: %s", code, &third.err)
	}

	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	if nodes, err := store.New(server.Client(t), "").Nodes(t.Context()); err != nil || len(nodes) != 0 {
		t.Errorf("nodes after the stop: %v, %v", nodes, err)
	}
}

// TestNodeWaitsForEtcd, with a user's name as well as without, and says so meanwhile.
func TestNodeWaitsForEtcd(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	withUsers(t, server)
	server.Stop()
	address := freeAddress(t)
	p := start(t, environment(t, "NIGHTWATCH_PASSWORD=s3cret"), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--user", "node", "--command-timeout", "1s")
	etcdtest.Eventually(t, patience, func() bool {
		code, text, err := read(t, "http://"+address+"/readyz")
		return err == nil && code == http.StatusServiceUnavailable && strings.Contains(text, "[-]")
	}, "unready")
	if code, _, err := read(t, "http://"+address+"/livez"); err != nil || code != http.StatusOK {
		t.Errorf("/livez: %d, %v", code, err)
	}
	p.find(t, `etcd cannot be reached`)
	server.Restart(t)
	becomesReady(t, address)
	if strings.Contains(p.err.String(), "s3cret") {
		t.Error("the password is in the log")
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}

	// What waiting does not cure ends it.
	wrong := start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n2", "--listen", "127.0.0.1:0", "--user", "node:wr0ng")
	if code := wrong.code(t); code != exitFailed || !strings.Contains(wrong.err.String(), "log in to etcd at "+server.Endpoint()+" as node") || strings.Contains(wrong.err.String(), "wr0ng") {
		t.Errorf("wrong password: exit code %d: %s", code, &wrong.err)
	}
}

// TestNodeThatLogsInCanBeStopped while etcd is away, however long it may take to answer.
func TestNodeThatLogsInCanBeStopped(t *testing.T) {
	p := start(t, environment(t), "node", "--endpoints", freeAddress(t), "--name", "n1", "--listen", "127.0.0.1:0", "--user", "node:s3cret", "--command-timeout", "1h", "--log-level", "debug")
	p.find(t, `connecting to etcd`)
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// withUsers turns authentication on: root:root, and node:s3cret who has the prefix and nothing else.
func withUsers(t testing.TB, server *etcdtest.Server) {
	t.Helper()
	client := server.Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var errs []error
	try := func(_ any, err error) { errs = append(errs, err) }
	try(client.RoleAdd(ctx, "node"))
	try(client.RoleGrantPermission(ctx, "node", store.DefaultPrefix, clientv3.GetPrefixRangeEnd(store.DefaultPrefix), clientv3.PermissionType(clientv3.PermReadWrite)))
	try(client.UserAdd(ctx, "node", "s3cret"))
	try(client.UserGrantRole(ctx, "node", "node"))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	server.EnableAuth(t)
}

// TestNodeTellsSystemd: ready without etcd, watched without etcd, its state as text, and that it is stopping.
func TestNodeTellsSystemd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	heard := make(chan string, 1000)
	go func() {
		defer close(heard)
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			heard <- string(buffer[:n])
		}
	}()
	expect := func(what string) {
		t.Helper()
		late := time.After(patience)
		for {
			select {
			case state := <-heard:
				if strings.Contains(state, what) {
					return
				}
			case <-late:
				t.Fatalf("systemd never heard %s", what)
			}
		}
	}
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	server.Stop()
	p := start(t, environment(t, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=400000"), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", "127.0.0.1:0")
	expect("READY=1")
	expect("STATUS=not ready: ")
	expect("WATCHDOG=1")
	expect("WATCHDOG=1")
	server.Restart(t)
	expect("STATUS=ready")
	expect("WATCHDOG=1")
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	expect("STOPPING=1")
}

// TestNodeEndsWhatRunsWithGrace: a process that is under way when the drain's time is up is asked to end, and may tidy up.
func TestNodeEndsWhatRunsWithGrace(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	st := store.New(server.Client(t), "")
	p := start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", "127.0.0.1:0", "--runners", "process", "--drain-timeout", "100ms")
	dir := t.TempDir()
	script := "cd " + dir + "; trap 'sleep 2; echo tidied >tidied; exit' TERM; echo >began; while :; do sleep 0.05; done"
	value, err := json.Marshal(map[string]any{"process": map[string]string{"shell": script}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Put(t.Context(), "default/long", value); err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, patience, func() error {
		_, err := os.Stat(filepath.Join(dir, "began"))
		return err
	}, "it runs")
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "tidied")); err != nil {
		t.Errorf("it was not left to tidy up: %v", err)
	}
	runs, err := st.Runs(t.Context(), "default/long")
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	for _, run := range runs {
		if run.Phase != nightwatch.PhasePending || run.Reason != nightwatch.ReasonHandedBack || run.Attempt != 2 {
			t.Errorf("%+v: want it handed back", run)
		}
	}
}

// TestSecondSignalEndsANodeAtOnce: the first one drains; whoever cannot wait for that asks again.
func TestSecondSignalEndsANodeAtOnce(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	st := store.New(server.Client(t), "")
	p := start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", "127.0.0.1:0", "--runners", "process", "--drain-timeout", "10m")
	if _, err := st.Put(t.Context(), "default/long", []byte(`{"process":{"command":["sleep","3600"]}}`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := st.Wait(ctx, "default/long", inPhase(nightwatch.PhaseRunning)); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.find(t, `INFO.*stopping`)
	select {
	case <-p.ended:
		t.Fatal("it did not wait for its process")
	case <-time.After(300 * time.Millisecond):
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.code(t)
	if got := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != syscall.SIGTERM {
		t.Errorf("ended as %v, want by the signal", p.cmd.ProcessState)
	}
}

// TestTLS: --cacert, --insecure-skip-tls-verify, and what is said without them.
func TestTLS(t *testing.T) {
	var dir string
	server := etcdtest.Start(t, etcdtest.WithConfig(func(cfg *embed.Config) {
		dir = cfg.Dir
		cfg.ClientAutoTLS = true
		cfg.SelfSignedCertValidity = 1
		cfg.ListenClientUrls[0].Scheme, cfg.AdvertiseClientUrls[0].Scheme = "https", "https"
	}))
	ca := filepath.Join(dir, "fixtures", "client", "cert.pem")
	for _, test := range []struct {
		name string
		args []string
		code int
		text string
	}{
		{"trusted", []string{"--cacert", ca}, exitDone, "TASK"},
		{"trusted, https", []string{"--cacert", ca, "--endpoints", "https://" + server.Endpoint()}, exitDone, "TASK"},
		{"unverified", []string{"--insecure-skip-tls-verify"}, exitDone, "TASK"},
		{"no TLS", nil, exitUnreachable, "accepts connections but does not answer as etcd; look at --cacert"},
		{"unknown authority", []string{"--endpoints", "https://" + server.Endpoint()}, exitUnreachable, "look at --cacert"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"get", "tasks", "--command-timeout", "2s"}, test.args...)
			p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint()), args...)
			if code := p.code(t); code != test.code || !strings.Contains(p.out.String()+p.err.String(), test.text) {
				t.Errorf("exit code %d, want %d and %q: %s%s", code, test.code, test.text, &p.out, &p.err)
			}
		})
	}
}
