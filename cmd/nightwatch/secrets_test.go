package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestSecretsComeOutNowhere gives a secret to a program and to a server that shout it: whoever reads etcd, with all that
// ever stood there, the node's log, its pages and its folders, does not learn it.
func TestSecretsComeOutNowhere(t *testing.T) {
	const canary = "canary-7d1e-\"bird\""
	dir := t.TempDir()
	for name, text := range map[string]string{"bird": canary + "\n", "team/bird": "another's"} {
		if err := os.MkdirAll(filepath.Dir(dir+"/"+name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", "/?key="+req.Header.Get("X-Bird"))
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %q", req.Header.Get("X-Bird"), req.Header.Get("X-Bird"))
	}))
	t.Cleanup(server.Close)
	etcd := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	st := store.New(etcd.Client(t), "")
	address, home := freeAddress(t), t.TempDir()
	node := start(t, append(environment(t), "HOME="+home, "TMPDIR="+home), "node", "--endpoints", etcd.Endpoint(), "--name", "n1", "--listen", address,
		"--runners", "process,http", "--http-allow", "127.0.0.1/32", "--secrets-dir", dir, "--log-level", "debug")
	becomesReady(t, address)
	secret := `{"fromFile":"bird"}`
	for _, task := range []struct {
		name, value string
		phase       nightwatch.Phase
		reason      string
		output      string
	}{
		{"default/kept", `{"process":{"shell":"[ ${#BIRD} = 18 ]","env":{"BIRD":` + secret + `}}}`, nightwatch.PhaseSucceeded, "", ""},
		{"default/told", `{"process":{"shell":"echo $BIRD; printf %s \"$BIRD\" | base64; exit 7","env":{"BIRD":` + secret + `}},"retry":{"attempts":2,"backoff":"10ms"}}`, nightwatch.PhaseFailed, nightwatch.ReasonExitCode, "***\n***"},
		{"default/path", `{"process":{"command":["no-such-program"],"env":{"PATH":` + secret + `}}}`, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused, ""},
		{"default/asked", `{"http":{"url":"` + server.URL + `","headers":{"X-Bird":` + secret + `}}}`, nightwatch.PhaseFailed, nightwatch.ReasonHTTPStatus, `*** "***"`},
		{"default/missing", `{"process":{"shell":"true","env":{"BIRD":{"fromFile":"fish"}}}}`, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused, ""},
		{"team/own", `{"process":{"shell":"[ ${#BIRD} = 9 ]","env":{"BIRD":` + secret + `}}}`, nightwatch.PhaseSucceeded, "", ""},
	} {
		if _, err := st.Put(t.Context(), task.name, []byte(task.value)); err != nil {
			t.Fatal(err)
		}
		status, err := st.Wait(t.Context(), task.name, func(s *nightwatch.Status) bool { return s != nil && s.Phase.Terminal() })
		if err != nil {
			t.Fatal(err)
		}
		if last := status.LastRun; last.Phase != task.phase || last.Reason != task.reason || task.output != "" && strings.TrimSpace(last.Output) != task.output {
			t.Errorf("%s: %s %s %s, output %q: want %s %s, %q", task.name, last.Phase, last.Reason, last.Message, last.Output, task.phase, task.reason, task.output)
		}
	}
	_, metrics, err := read(t, "http://"+address+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{"metrics": metrics}
	history := etcd.Client(t).Watch(t.Context(), "", clientv3.WithPrefix(), clientv3.WithRev(1))
	for events := range history {
		for _, event := range events.Events {
			seen["etcd"] += string(event.Kv.Key) + " " + string(event.Kv.Value) + "\n"
		}
		if strings.Contains(seen["etcd"], `"task":"team/own"`) && strings.Contains(seen["etcd"], "fish") {
			break
		}
	}
	if code := node.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	seen["the node's log"] = node.out.String() + node.err.String()
	_ = filepath.Walk(home, func(file string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			data, _ := os.ReadFile(file)
			seen[file] = string(data)
		}
		return nil
	})
	for what, text := range seen {
		for _, form := range []string{canary, `canary-7d1e-\"bird\"`, "canary-7d1e-%22bird%22", base64.StdEncoding.EncodeToString([]byte(canary)), "another's"} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s has %s: …%s…", what, form, text[max(0, i-100):min(len(text), i+100)])
			}
		}
	}
}

func TestSecretsDirIsChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{file + "s": "no such file or directory", file: "want a directory"} {
		s := secrets{dir}
		if _, err := s.open(); err == nil || !strings.Contains(err.Error(), "--secrets-dir: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %s", err, want)
		}
	}
}
