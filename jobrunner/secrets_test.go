package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsIn(t *testing.T) {
	outside := t.TempDir()
	write(t, outside+"/password", "outside")
	dir := t.TempDir()
	write(t, dir+"/plain", "plain text\n")
	write(t, dir+"/dos", "plain text\r\n")
	write(t, dir+"/lines", "two\nlines\n\n")
	write(t, dir+"/three", "abc\n")
	write(t, dir+"/empty", "")
	write(t, dir+"/most", strings.Repeat("x", maxSecret)+"\n")
	write(t, dir+"/more", strings.Repeat("x", maxSecret+1))
	write(t, dir+"/huge", strings.Repeat("x", 1<<20))
	write(t, dir+"/binary", "\xff\xfe\xfd\xfc")
	write(t, dir+"/nul", "abc\x00def")
	// As Kubernetes mounts a secret, and changes it at one blow.
	write(t, dir+"/..2026_11_20/mounted", "from a mount")
	link(t, "..2026_11_20", dir+"/..data")
	link(t, "..data/mounted", dir+"/mounted")
	link(t, outside+"/password", dir+"/absolute")
	link(t, "../"+filepath.Base(outside)+"/password", dir+"/up")
	link(t, outside, dir+"/away")
	link(t, "loop", dir+"/loop")
	link(t, "nowhere", dir+"/dangling")
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/billing/plain", "billing's own")
	for _, tt := range []struct {
		namespace, name, text, fault string
	}{
		{name: "plain", text: "plain text"},
		{name: "dos", text: "plain text"},
		{name: "lines", text: "two\nlines\n"},
		{name: "mounted", text: "from a mount"},
		{name: "most", text: strings.Repeat("x", maxSecret)},
		{name: "three", fault: `secret "three": 3 bytes: want at least 4`},
		{name: "empty", fault: `secret "empty": 0 bytes: want at least 4`},
		{name: "more", fault: `secret "more": want at most 16384 bytes`},
		{name: "huge", fault: `secret "huge": want at most 16384 bytes`},
		{name: "binary", fault: `secret "binary": not text in UTF-8`},
		{name: "nul", fault: `secret "nul": has a NUL byte`},
		{name: "missing", fault: `secret "missing": this node has no such secret`},
		{name: "dangling", fault: `secret "dangling": this node has no such secret`},
		{name: "loop", fault: `secret "loop": `},
		{name: "absolute", fault: `secret "absolute": path escapes from parent`},
		{name: "up", fault: `secret "up": path escapes from parent`},
		{name: "pipe", fault: `secret "pipe": not a regular file`},
		{name: "billing", fault: `secret "billing": not a regular file`},
		{name: "..data", fault: "want the plain name of a file"},
		{name: "away/password", fault: "want the plain name of a file"},
		{name: "../" + filepath.Base(outside) + "/password", fault: "want the plain name of a file"},
		{name: "", fault: "want the plain name of a file"},
		{namespace: "billing", name: "plain", text: "billing's own"},
		{namespace: "billing", name: "mounted", fault: "this node has no such secret"},
		{namespace: "away", name: "password", fault: "this node has no such secret"},
	} {
		t.Run(tt.namespace+"/"+tt.name, func(t *testing.T) {
			if tt.namespace == "" {
				tt.namespace = "default"
			}
			a := &Attempt{Run: Run{Namespace: tt.namespace}, Secrets: SecretsIn(dir)}
			text, err := a.Secret(tt.name)
			switch {
			case tt.fault == "" && (err != nil || text != tt.text):
				t.Errorf("%.40q, %v: want %.40q", text, err, tt.text)
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), dir) || text != ""):
				t.Errorf("%.40q, %v: want %s", text, err, tt.fault)
			}
		})
	}
	for _, secrets := range []Secrets{nil, SecretsIn(dir + "/nowhere")} {
		if _, err := (&Attempt{Secrets: secrets}).Secret("plain"); err == nil || strings.Contains(err.Error(), dir) {
			t.Error(err)
		}
	}
}

// A secret is read anew by every attempt: who changes it needs no restart.
func TestSecretThatChanges(t *testing.T) {
	dir := t.TempDir()
	a := &Attempt{Run: Run{Namespace: "default"}, Secrets: SecretsIn(dir)}
	for _, want := range []string{"first", "second"} {
		write(t, dir+"/a", want)
		if text, err := a.Secret("a"); err != nil || text != want {
			t.Errorf("%q, %v: want %q", text, err, want)
		}
	}
}

const canary = "canary-7d1e\"ab"

type only map[string]string

func (o only) Read(_, name string) (string, error) {
	if text, ok := o[name]; ok {
		return text, nil
	}
	return "", errors.New("there is no such secret")
}

// A runner tells a secret to everybody it can. None of it comes out.
func TestSecretsStayOut(t *testing.T) {
	logs := new(kept)
	r := newRig(t, func(cfg *Config) {
		cfg.Logs, cfg.Secrets = logs, only{"bird": canary, "number": "987654321"}
	})
	r.accept(`{"process":{"command":["true"]},"retry":{"attempts":2,"backoff":"10ms"}}`)
	tell := func(ctx context.Context, a *Attempt) Outcome {
		for _, name := range []string{"bird", "number"} {
			if _, err := a.Secret(name); err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Secret("other"); err == nil || err.Error() != `secret "other": there is no such secret` {
			t.Error(err)
		}
		_, _ = io.WriteString(a.Log, "it is "+canary[:5])
		_, _ = io.WriteString(a.Log, canary[5:]+", and "+canary[:5])
		a.Note("it is %s", canary)
		a.Run.Logger().Info("it is", "bird", canary)
		a.Run.Progress(0.5, "it is "+canary)
		if err := a.Run.SetResult(map[string]any{canary: []any{987654321, 19876543210, canary}}); err != nil {
			t.Error(err)
		}
		if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil {
			t.Error(err)
		}
		out := Outcome{Phase: nightwatch.PhaseFailed, Reason: "Told", Message: "it is " + canary}
		if a.Run.Attempt == 2 {
			out.Output = "it is " + canary
		}
		return out
	}
	r.process.run = tell
	r.start().give("a")
	pending := r.wait("a", "waits for its second attempt", in(nightwatch.PhasePending))
	if last := pending.Attempts[0].Message; last != "it is ***" || !strings.HasSuffix(pending.Output, "canar[INFO]  it is: bird=\"***\"\n") {
		t.Errorf("message %q, output %q", last, pending.Output)
	}
	r.give("b", func(run *nightwatch.Run) { run.Attempt = 2; run.Failures = 1 })
	run := r.wait("b", "fails", in(nightwatch.PhaseFailed))
	if run.Message != "it is ***" || run.Output != "it is ***" || run.Progress.Message != "it is ***" || string(run.Result) != `"***"` {
		t.Errorf("%+v", run)
	}
	text, _ := logs.read(LogID{Task: demo, UID: r.taskUID, Run: "b", Attempt: 2})
	if !strings.HasPrefix(text, "it is ***, and [it is ***]") {
		t.Errorf("the log has %q", text)
	}
	all, err := r.client.Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(canary)
	for _, kv := range all.Kvs {
		for _, form := range []string{canary, string(quoted[1 : len(quoted)-1]), "987654321"} {
			if strings.Contains(string(kv.Key)+string(kv.Value), form) {
				t.Errorf("%s has %s", kv.Key, kv.Value)
			}
		}
	}
}
