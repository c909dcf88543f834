package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) {
	if os.Getenv("EMBEDDED_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program runs the example as a process of its own, and gives the lines that it prints.
func program(t *testing.T, args ...string) <-chan string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "EMBEDDED_MAIN=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range lines {
			continue
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	})
	return lines
}

func expect(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case line, open := <-lines:
			if !open {
				t.Fatalf("it ended before it said %q", want)
			}
			if strings.Contains(line, want) {
				return
			}
		case <-timeout:
			t.Fatalf("it did not say %q", want)
		}
	}
}

func TestTwoProgramsWithDifferentHandlersAreOneCluster(t *testing.T) {
	server := etcdtest.Start(t)
	thumbs := program(t, "-endpoint", server.Endpoint(), "-name", "thumbs", "-handler", "resize")
	expect(t, thumbs, `thumbs: ran default/resize, run rev-`)
	expect(t, thumbs, `on node thumbs, result {"pages":3}`)
	post := program(t, "-endpoint", server.Endpoint(), "-name", "post", "-handler", "mail")
	expect(t, post, `post: ran default/mail`)
	expect(t, post, "default/mail is Succeeded")

	// A third has the handler of the first, switched off: its task runs there.
	spare := program(t, "-endpoint", server.Endpoint(), "-name", "spare", "-handler", "resize", "-off", "resize,mail")
	expect(t, spare, "on node thumbs, result")

	// Put from outside, each task runs where its handler is.
	st := store.New(server.Client(t), "/platform/nightwatch/")
	for task, node := range map[string]string{"default/again": "resize", "default/letter": "mail"} {
		if _, err := st.Put(t.Context(), task, []byte(`{"handler":{"name":"`+node+`"}}`)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, thumbs, "thumbs: ran default/again")
	expect(t, post, "post: ran default/letter")
	status, err := st.Wait(t.Context(), "default/letter", func(s *nightwatch.Status) bool { return s != nil && s.Phase.Terminal() })
	if err != nil || status.LastRun.Node != "post" {
		t.Errorf("%v, %+v", err, status)
	}
}
