package main

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// TestMain makes the test binary a "nightwatch" in PATH for scripts and tests: the real program, in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nightwatch": main})
}

// TestScript runs testdata/script: one etcd for all of them, with a prefix for each, and no node.
func TestScript(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			prefix := "/" + strings.ReplaceAll(env.WorkDir, "/", "_") + "/"
			env.Vars = append(env.Vars, quickExit)
			env.Setenv("ENDPOINT", server.Endpoint())
			env.Setenv("PREFIX", prefix)
			env.Setenv("NIGHTWATCH_ENDPOINTS", server.Endpoint())
			env.Setenv("NIGHTWATCH_ETCD_PREFIX", prefix)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE COMMAND: runs the command and compares its exit code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				err = ts.Exec(args[1], args[2:]...)
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			// put KEY FILE: what "etcdctl put" does, the key below the prefix.
			"put": func(ts *testscript.TestScript, _ bool, args []string) {
				_, err := client.Put(t.Context(), ts.Getenv("PREFIX")+args[0], strings.TrimSpace(ts.ReadFile(args[1])))
				ts.Check(err)
			},
			// has KEY [TEXT]: the key below the prefix is there and holds the text; "! has" the opposite.
			"has": func(ts *testscript.TestScript, neg bool, args []string) {
				got, err := client.Get(t.Context(), ts.Getenv("PREFIX")+args[0])
				ts.Check(err)
				switch {
				case neg && len(args) == 1 && len(got.Kvs) > 0, neg && len(args) > 1 && holds(got.Kvs, args[1]):
					ts.Fatalf("%s is there: %s", args[0], got.Kvs[0].Value)
				case neg:
				case len(got.Kvs) == 0:
					ts.Fatalf("%s is not there", args[0])
				case len(args) > 1 && !holds(got.Kvs, args[1]):
					ts.Fatalf("%s is %s", args[0], got.Kvs[0].Value)
				}
			},
		},
	})
}

func holds(found []*mvccpb.KeyValue, text string) bool {
	return len(found) > 0 && strings.Contains(string(found[0].Value), text)
}
