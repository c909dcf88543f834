package election

import "time"

// SetReread makes the candidate read keys again at short intervals.
func (c *Candidate) SetReread(d time.Duration) { c.reread = d }
