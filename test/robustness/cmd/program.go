package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
)

// program is a testing.TB outside a test: what the rigs ask for.
type program struct {
	testing.TB // nil: nobody else can have its private method
	ctx        context.Context

	mu      sync.Mutex
	failed  bool
	cleanup []func()
}

// run runs do, which may end early by Fatal, and cleans up.
func (p *program) run(do func()) {
	var done sync.WaitGroup
	done.Go(do)
	done.Wait()
	for len(p.cleanup) > 0 {
		last := p.cleanup[len(p.cleanup)-1]
		p.cleanup = p.cleanup[:len(p.cleanup)-1]
		done.Go(last) // it too may end early
		done.Wait()
	}
}

func (p *program) Helper()                  {}
func (p *program) Name() string             { return "robustness" }
func (p *program) Context() context.Context { return p.ctx }

func (p *program) Cleanup(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanup = append(p.cleanup, do)
}

func (p *program) TempDir() string {
	dir, err := os.MkdirTemp("", "nightwatch-robustness-")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (p *program) Log(args ...any)                 { fmt.Println(args...) }
func (p *program) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (p *program) Failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

func (p *program) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = true
}

func (p *program) Error(args ...any) {
	p.Log(args...)
	p.fail()
}

func (p *program) Errorf(format string, args ...any) {
	p.Logf(format, args...)
	p.fail()
}

func (p *program) Fatal(args ...any) {
	p.Error(args...)
	runtime.Goexit()
}

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}
