//go:build !unix

package bench

import "time"

// usage is not known here.
func usage() (cpu time.Duration, rss int64) { return 0, 0 }
