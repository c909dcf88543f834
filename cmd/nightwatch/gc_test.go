package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 10 << 20: 400, 128 << 20: 200, 256 << 20: 100, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB: %d %%, want %d", live>>20, got, want)
		}
	}
}

// The pace follows what is alive, and whoever has said what he wants gets that.
func TestRoomForGarbage(t *testing.T) {
	before, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(before)
		debug.SetMemoryLimit(limit)
	})
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	t.Setenv("GOGC", "100")
	if roomForGarbage(); percent() != 100 {
		t.Errorf("GOGC is set, and the percentage %d", percent())
	}
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "1GiB")
	if roomForGarbage(); percent() != 100 {
		t.Errorf("GOMEMLIMIT is set, and the percentage %d", percent())
	}
	t.Setenv("GOMEMLIMIT", "")
	roomForGarbage()
	if got := percent(); got <= 100 {
		t.Errorf("little is alive, and the percentage %d", got)
	}
	held := make([]byte, 200<<20)
	await(t, "a percentage below 140", func() bool {
		runtime.GC()
		return percent() < 140
	})
	runtime.KeepAlive(held)
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
