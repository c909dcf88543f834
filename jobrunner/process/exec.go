package process

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"
)

// execName is the variable by which the guard's binary knows that it is to execute a program.
const execName = "NIGHTWATCH_GUARD_EXEC"

// The descriptors of what executes a program: where it reads what to do, and where it says why it could not.
const (
	execIn  = 3
	execOut = 4
)

// execRequest is what to execute, with which limits.
type execRequest struct {
	Path   string   `json:"path"`
	Args   []string `json:"args"`
	Env    []string `json:"env"`
	Limits limits   `json:"limits"`
}

// execStep starts a program by way of the guard's own binary, executed once more: resource limits can only be set by
// the process that is to have them, and between fork and exec Go has no place for it.
type execStep struct {
	in, childOut *os.File
	feed         func()
	out          *os.File
}

func newExecStep(spec *startRequest) (*execStep, error) {
	request, err := json.Marshal(execRequest{Path: spec.Path, Args: spec.Args, Env: spec.Env, Limits: spec.Limits})
	if err != nil {
		return nil, err
	}
	in, feed, err := input(request)
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		in.Close()
		feed()
		return nil, err
	}
	return &execStep{in: in, childOut: childOut, feed: feed, out: out}, nil
}

// prepare has attr be of the step, which is found the way the guard was: by its arguments or its environment. The mark is
// there from the beginning.
func (s *execStep) prepare(attr *os.ProcAttr) (path string, args []string) {
	// Once the limits are set there may be no memory, and no further thread, for the runtime, and not even for the end of a
	// collection of garbage: it never begins one.
	env := append([]string{execName + "=1", "GOGC=off"}, os.Environ()...)
	for _, entry := range attr.Env {
		if isMarker(entry) {
			env = append(env, entry)
		}
	}
	attr.Env, attr.Files = env, append(attr.Files, s.in, s.childOut)
	return "/proc/self/exe", os.Args
}

// started gives the process's ends of the pipes up.
func (s *execStep) started() {
	s.in.Close()
	s.childOut.Close()
}

// refusal is why the program was not executed, once the process has ended. It may be asked once.
func (s *execStep) refusal() string {
	if s == nil {
		return ""
	}
	s.feed()
	defer s.out.Close()
	_ = s.out.SetReadDeadline(time.Now().Add(drainWithin))
	why, _ := io.ReadAll(io.LimitReader(s.out, 1<<10))
	return string(why)
}

// execMain is the step: on success it does not return.
func execMain() int {
	runtime.LockOSThread()
	syscall.CloseOnExec(execIn)
	syscall.CloseOnExec(execOut)
	err := execute(os.NewFile(execIn, "request"))
	_, _ = os.NewFile(execOut, "refusal").WriteString(err.Error())
	return 127
}

func execute(in io.Reader) error {
	var r execRequest
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("read what to execute: %w", err)
	}
	if err := setRlimits(r.Limits); err != nil {
		return fmt.Errorf("process.limits: %w", err)
	}
	return fmt.Errorf("exec %s: %w", r.Path, syscall.Exec(r.Path, r.Args, r.Env))
}
