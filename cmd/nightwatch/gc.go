package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// headroom is how many bytes of garbage may pile up between two collections, however little is alive; maxPercent bounds it
// where there is next to nothing, and minPercent keeps a large node from collecting all the time.
//
// Go's default lets garbage reach what is alive. A node that holds some thousand tasks has tens of megabytes, makes
// as much garbage every few hundred runs, and would spend a seventh of a burst on collections.
const (
	headroom   = 256 << 20
	maxPercent = 400
	minPercent = 50
)

// roomForGarbage sets the garbage collector's pace by what is alive, after each collection anew. It keeps out of it where
// GOGC or GOMEMLIMIT says what is wanted, and heeds the memory limit of a control group.
func roomForGarbage() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	_, _ = memlimit.Set() // without a limit, or a way to know it, there is none
	afterCollection(0)
}

// afterCollection sets the pace, and has itself called again: a new object is garbage at once, and the next collection
// finds it.
func afterCollection(before int) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	percent := percentFor(sample[0].Value.Uint64())
	if percent < before-before/10 || percent > before+before/10 { // setting it stops the world for a moment
		debug.SetGCPercent(percent)
		before = percent
	}
	runtime.AddCleanup(new([64]byte), afterCollection, before)
}

func percentFor(live uint64) int {
	return int(min(max(headroom*100/max(live, 1), minPercent), maxPercent))
}
