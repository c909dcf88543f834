package kubetest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// parentEnv makes this test binary a parent that starts one process in the folder it names and then waits to be killed.
const parentEnv = "KUBETEST_PARENT_DIR"

func init() {
	dir := os.Getenv(parentEnv)
	if dir == "" {
		return
	}
	p, err := startProcess(dir, "sleep", "/bin/sleep", "600")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("pid", p.cmd.Process.Pid)
	<-p.done
	os.Exit(0)
}

func TestProcessDiesWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			pid, _ = strconv.Atoi(text)
		}
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // says that it was killed
	if pid == 0 {
		t.Fatal("the parent told no pid")
	}
	eventually(t, "the child to die", func(context.Context) (bool, error) {
		return !alive(pid), nil
	})
}

// alive says whether a process runs. One that has ended, and that nobody waits for, does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(after, []byte("Z"))
}
