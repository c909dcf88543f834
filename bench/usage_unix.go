//go:build unix

package bench

import (
	"runtime"
	"syscall"
	"time"
)

// usage is what this process has used: processor time, and the most memory that it had.
func usage() (cpu time.Duration, rss int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	rss = int64(u.Maxrss) //nolint:unconvert // it has 32 bits on some machines
	if runtime.GOOS == "linux" {
		rss *= 1024 // kilobytes there
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), rss
}
