package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdctl"
	"github.com/nightwatch-go/nightwatch/store"
)

func readLines(file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

const hello = `{"process":{"command":["echo","hello"]}}`

// leftovers are the keys below the prefix that belong to no living node.
func (w *world) leftovers() []string {
	w.t.Helper()
	all, err := w.client.Get(w.t.Context(), w.store.Keys().Prefix(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		w.t.Fatal(err)
	}
	var left []string
	for _, kv := range all.Kvs {
		switch kind, _, _ := w.store.Keys().Parse(string(kv.Key)); kind {
		case store.Meta, store.Nodes, store.Election, store.Verdicts:
		default:
			left = append(left, string(kv.Key))
		}
	}
	return left
}

func TestPlainEtcdctl(t *testing.T) {
	w := newWorld(t)
	w.node("n1", "--runners", "process")

	// A watch shows it live.
	watch := etcdctl.Command(t.Context(), t, w.etcd.Endpoint(), "watch", "--prefix", "/nightwatch/status/")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = watch.Process.Kill()
		_ = watch.Wait()
	}()
	shown := make(chan struct{})
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			if bytes.Contains(scanner.Bytes(), []byte(`"phase":"Succeeded"`)) && bytes.Contains(scanner.Bytes(), []byte(`hello\n`)) {
				close(shown)
				return
			}
		}
	}()
	// etcdctl does not say when its watch stands: put until it shows.
	waitFor(t, "the watch shows the run", func() bool {
		w.put("default/hello", hello)
		select {
		case <-shown:
			return true
		case <-time.After(time.Second):
			return false
		}
	})
	if status := w.etcdctl("get", "/nightwatch/status/default/hello"); !strings.Contains(status, `"phase":"Succeeded"`) || !strings.Contains(status, `hello\n`) {
		t.Error(status)
	}

	// A lock held by etcdctl holds the dispatch until it is released.
	lock := etcdctl.Command(t.Context(), t, w.etcd.Endpoint(), "lock", "/nightwatch/locks/default/held")
	if err := lock.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the lock is there", func() bool {
		return strings.Contains(w.etcdctl("get", "--prefix", "--keys-only", "/nightwatch/locks/default/held/"), "held")
	})
	w.put("default/held", hello)
	w.wait("default/held", 30*time.Second, func(s *nightwatch.Status) bool { return s != nil && s.Reason == nightwatch.ReasonLocked })
	if err := lock.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = lock.Wait()
	w.wait("default/held", 30*time.Second, phase(nightwatch.PhaseSucceeded))

	// A freeze key pauses, its deletion resumes.
	w.etcdctl("put", "/nightwatch/freeze/default/paused", `{"by":"me","note":"maintenance"}`)
	w.put("default/paused", `{"process":{"command":["true"]},"every":"100ms"}`)
	w.wait("default/paused", 30*time.Second, phase(nightwatch.PhaseSuspended))
	w.etcdctl("del", "/nightwatch/freeze/default/paused")
	w.wait("default/paused", 30*time.Second, func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded > 2 })

	// A run and a cancel request.
	w.put("default/yearly", `{"process":{"command":["sleep","600"]},"schedule":"0 0 1 1 *"}`)
	w.wait("default/yearly", 30*time.Second, phase(nightwatch.PhaseScheduled))
	w.etcdctl("put", "/nightwatch/requests/default/yearly/now", `{"action":"run"}`)
	w.wait("default/yearly", 30*time.Second, phase(nightwatch.PhaseRunning))
	w.etcdctl("put", "/nightwatch/requests/default/yearly/stop", `{"action":"cancel","by":"me"}`)
	s := w.wait("default/yearly", 30*time.Second, func(s *nightwatch.Status) bool { return s.Counts.Canceled == 1 })
	if s.LastRun.ID != "req-now" || s.LastRun.Phase != nightwatch.PhaseCanceled {
		t.Errorf("%+v", s.LastRun)
	}
	if verdict := w.etcdctl("get", "/nightwatch/verdicts/default/yearly/stop"); !strings.Contains(verdict, `"accepted":true`) {
		t.Error(verdict)
	}

	// Deleting everything leaves nothing.
	w.etcdctl("del", "--prefix", "/nightwatch/tasks/")
	for _, task := range []string{"default/hello", "default/held", "default/paused", "default/yearly"} {
		w.wait(task, 30*time.Second, gone)
	}
	if left := w.leftovers(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// broken are values that must get a verdict, by the field that it names.
var broken = []struct{ value, field string }{
	{``, ""}, {`{`, ""}, {`[]`, ""}, {`null`, ""}, {`"text"`, ""}, {`42`, ""}, {"\xff\xfe", ""}, {"\x00\x01\x02", ""},
	{`{}`, ""}, {`{"process":{"command":["true"]}}trailing`, ""}, {"a: [b", ""}, {"a: &x [1]\nb: *x", ""}, {"---\na: 1\n---\nb: 2", ""},
	{`{"Process":{"command":["true"]}}`, "Process"},
	{`{"process":{"command":["true"]},"shedule":"* * * * *"}`, "shedule"},
	{`{"process":{"command":["true"],"command":["false"]}}`, "process.command"},
	{`{"process":{"command":"true"}}`, "process.command"},
	{`{"process":{"command":[]}}`, "process"},
	{`{"process":{"command":[""]}}`, "process.command[0]"},
	{`{"process":{"command":["a\u0000b"]}}`, "process.command[0]"},
	{`{"process":{"command":["true"],"shell":"true"}}`, "process"},
	{`{"process":{"command":["true"],"dir":"relative"}}`, "process.dir"},
	{`{"process":{"command":["true"],"env":{"A B":"c"}}}`, "process.env"},
	{`{"process":{"command":["true"],"env":{"NIGHTWATCH_RUN":"x"}}}`, "process.env.NIGHTWATCH_RUN"},
	{`{"process":{"command":["true"]},"image":"alpine"}`, "process"},
	{`{"process":{"command":["true"]},"http":{"url":"http://x"}}`, "http"},
	{`{"process":{"command":["true"]},"command":["true"]}`, "command"},
	{`{"command":["true"]}`, "command"},
	{`{"image":" "}`, "image"},
	{`{"kubernetes":{}}`, "kubernetes.image"},
	{`{"handler":{}}`, "handler.name"},
	{`{"http":{}}`, "http.url"},
	{`{"http":{"url":"ftp://x"}}`, "http.url"},
	{`{"http":{"url":"http://user:secret@x"}}`, "http.url"},
	{`{"http":{"url":"http://x","method":"get it"}}`, "http.method"},
	{`{"http":{"url":"http://x","success":["2xx"]}}`, "http.success[0]"},
	{`{"process":{"command":["true"]},"schedule":"61 * * * *"}`, "schedule"},
	{`{"process":{"command":["true"]},"schedule":"TZ=UTC"}`, "schedule"},
	{`{"process":{"command":["true"]},"schedule":"0 0 30 2 *"}`, "schedule"},
	{`{"process":{"command":["true"]},"schedule":"@every -1h"}`, "schedule"},
	{`{"process":{"command":["true"]},"schedule":[]}`, "schedule"},
	{`{"process":{"command":["true"]},"schedule":"* * * * *","timeZone":"Mars/Olympus"}`, "timeZone"},
	{`{"process":{"command":["true"]},"schedule":"* * * * *","every":"1m"}`, "every"},
	{`{"process":{"command":["true"]},"every":60}`, "every"},
	{`{"process":{"command":["true"]},"every":"0s"}`, "every"},
	{`{"process":{"command":["true"]},"timeout":"1 hour"}`, "timeout"},
	{`{"process":{"command":["true"]},"name":"other"}`, "name"},
	{`{"process":{"command":["true"]},"overlap":"sometimes"}`, "overlap"},
	{`{"process":{"command":["true"]},"runsOn":"zone in"}`, "runsOn"},
	{`{"process":{"command":["true"]},"description":"` + strings.Repeat("x", 70_000) + `"}`, ""},
}

// 1,000 tasks of which 50 are broken: 950 run, 50 have a verdict that names the field.
func TestBadInputHarmsNothing(t *testing.T) {
	w := newWorld(t)
	w.node("n1", "--runners", "process", "--capacity", "32")
	const all = 1000
	if len(broken) != 50 {
		t.Fatalf("%d broken values", len(broken))
	}
	for i := range all {
		value := `{"process":{"command":["true"]}}`
		if i%20 == 7 {
			value = broken[i/20].value
		}
		if _, err := w.client.Put(t.Context(), w.store.Keys().Task(fmt.Sprintf("default/t%d", i)), value); err != nil {
			t.Fatal(err)
		}
	}
	for i := range all {
		task := fmt.Sprintf("default/t%d", i)
		if i%20 != 7 {
			w.wait(task, 2*time.Minute, phase(nightwatch.PhaseSucceeded))
			continue
		}
		s := w.wait(task, 2*time.Minute, phase(nightwatch.PhaseInvalid))
		bad := broken[i/20]
		if s.Accepted || len(s.Errors) == 0 || s.Errors[0].Field != bad.field || s.Errors[0].Reason == "" {
			t.Errorf("%.80q: accepted %v, errors %v, want one of field %q", bad.value, s.Accepted, s.Errors, bad.field)
		}
	}
	for key, want := range map[string]string{"hello": "want tasks/<namespace>/<task>", "a/b/c": "want tasks/<namespace>/<task>", "Default/x": "lower-case", "default/" + strings.Repeat("n", 46): "at most 45"} {
		w.put(key, hello)
		s := w.wait(key, 30*time.Second, phase(nightwatch.PhaseInvalid))
		if len(s.Errors) != 1 || s.Errors[0].Field != "key" || !strings.Contains(s.Errors[0].Reason, want) {
			t.Errorf("%s: %v", key, s.Errors)
		}
	}
}

// usersOfTheREADME are the commands that it prints for clusters with authentication, with passwords: a user's name and "pw".
func usersOfTheREADME(t *testing.T) (lines []string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "### With authentication")
	_, section, _ = strings.Cut(section, "```sh\n")
	section, _, _ = strings.Cut(section, "```")
	for line := range strings.Lines(section) {
		line, _, _ = strings.Cut(line, "#")
		if line, ok := strings.CutPrefix(strings.TrimSpace(line), "etcdctl "); ok {
			if name, ok := strings.CutSuffix(line, ":…"); ok {
				line = name + ":" + name[strings.LastIndexByte(name, ' ')+1:] + "pw"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// What the README prints for clusters with authentication.
func TestAuthentication(t *testing.T) {
	w := newWorld(t)
	for _, line := range usersOfTheREADME(t) {
		w.etcdctl(strings.Fields(line)...)
	}
	w.node("n1", "--runners", "process", "--user", "node", "--password", "nodepw")
	alice := func(args ...string) (string, error) {
		return etcdctl.Try(t, w.etcd.Endpoint(), append([]string{"--user", "alice:alicepw"}, args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := alice(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	statusOf := func(want string) {
		t.Helper()
		waitFor(t, want, func() bool { return strings.Contains(must("get", "/nightwatch/status/a/hello"), want) })
	}
	must("put", "/nightwatch/tasks/a/hello", hello)
	statusOf(`"phase":"Succeeded"`)
	must("put", "/nightwatch/requests/a/hello/again", `{"action":"run"}`)
	waitFor(t, "the verdict", func() bool {
		return strings.Contains(must("get", "/nightwatch/verdicts/a/hello/again"), `"accepted":true`)
	})
	statusOf(`"succeeded":2`)
	must("put", "/nightwatch/freeze/a", "{}")
	must("put", "/nightwatch/tasks/a/hello", hello)
	statusOf(`"reason":"Frozen"`)
	must("del", "/nightwatch/freeze/a")
	statusOf(`"succeeded":3`)
	must("get", "--prefix", "/nightwatch/runs/a/")
	for _, args := range []string{
		"get tasks -n a", "get runs -n a", "get dead -n a", "status a/hello", "describe a/hello", "why a/hello", "audit a/hello", "logs a/hello",
		"run a/hello", "pause a/hello", "resume a/hello",
	} {
		command := exec.Command(binary, append(strings.Fields(args), "--endpoints", w.etcd.Endpoint(), "--user", "alice")...)
		command.Env = append(os.Environ(), "NIGHTWATCH_PASSWORD=alicepw")
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
	statusOf(`"succeeded":4`)
	must("del", "/nightwatch/tasks/a/hello")
	waitFor(t, "the status goes", func() bool { return must("get", "/nightwatch/status/a/hello") == "" })
	for _, args := range [][]string{
		{"put", "/nightwatch/tasks/b/hello", hello}, {"put", "/nightwatch/requests/b/hello/x", "{}"}, {"put", "/nightwatch/freeze/b", "{}"},
		{"put", "/nightwatch/freeze/_cluster", "{}"}, {"get", "/nightwatch/status/b/hello"}, {"put", "/nightwatch/status/a/hello", "{}"},
		{"get", "--prefix", "/nightwatch/tasks/"}, {"put", "/nightwatch/accepted/a/hello", "{}"}, {"del", "--prefix", "/nightwatch/nodes/"},
	} {
		if out, err := alice(args...); err == nil || !strings.Contains(err.Error()+out, "permission denied") {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
}
