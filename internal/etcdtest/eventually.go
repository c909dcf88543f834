package etcdtest

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Condition is what Eventually polls: a bool says whether it holds, an error says why it does not.
type Condition interface {
	func() bool | func() error
}

// Eventually polls the condition, at once and then every 10 ms, until it holds. If it does not within the timeout the
// test fails with the message and, where the condition gives one, its last error. It must be called from the test's own
// goroutine.
func Eventually[C Condition](t testing.TB, timeout time.Duration, condition C, message string, args ...any) {
	t.Helper()
	check := func() error {
		switch f := any(condition).(type) {
		case func() error:
			return f()
		case func() bool:
			if f() {
				return nil
			}
			return errNotYet
		}
		panic(fmt.Sprintf("etcdtest: a condition of type %T", condition))
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			text := fmt.Sprintf(message, args...)
			if errors.Is(err, errNotYet) {
				t.Fatalf("not within %s: %s", timeout, text)
			}
			t.Fatalf("not within %s: %s: %v", timeout, text, err)
		}
	}
}

var errNotYet = errors.New("not yet")
