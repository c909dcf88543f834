package nightwatch

import (
	"errors"
	"fmt"
)

// Pool is the value of a key pools/<name>, written by users: it bounds what runs at once of the tasks that name it.
type Pool struct {
	Description string `json:"description,omitempty"`
	// Slots is how many runs of its tasks may be live at once, whatever places they take on their nodes; 1 to 1,000,000.
	// Default no limit.
	Slots Count `json:"slots,omitempty"`
	// StartsPerMinute spreads the starts of its runs: no two are closer than a minute divided by this; 1 to 6,000.
	// Default no limit.
	StartsPerMinute Count `json:"startsPerMinute,omitempty"`
}

// AcceptedPool is the last value of a pool that was accepted: accepted/_pools/<name>. It stays in force while a newer
// value is refused.
type AcceptedPool struct {
	Revision int64 `json:"revision"`
	Pool     Pool  `json:"pool"`
}

// PoolStatus is what the cluster says of a pool: status/_pools/<name>.
type PoolStatus = CalendarStatus

const (
	maxPoolSlots       = 1_000_000
	maxStartsPerMinute = 6000
)

// CheckPoolName refuses what is not a DNS-1123 label.
func CheckPoolName(name string) error {
	if len(name) > MaxNamespaceName || !dnsLabel.MatchString(name) {
		return FieldError{"key", fmt.Sprintf("pool %q: want lower-case letters, digits and '-', at most %d", clip(name), MaxNamespaceName)}
	}
	return nil
}

// ParsePool reads the value of pools/<name>: JSON or YAML. The error is an InvalidError that names the fields at fault. It
// never panics, whatever the value.
func ParsePool(name string, value []byte) (*Pool, error) {
	if err := CheckPoolName(name); err != nil {
		var fault FieldError
		errors.As(err, &fault)
		return nil, InvalidError{fault}
	}
	p := new(Pool)
	if err := decodeValueOf(value, p, MaxValue); err != nil {
		return nil, err
	}
	var f faults
	if p.Slots == 0 && p.StartsPerMinute == 0 {
		f.add("slots", "missing: want slots, startsPerMinute or both")
	}
	if p.Slots > maxPoolSlots {
		f.add("slots", "%d: want 1 to %d", p.Slots, maxPoolSlots)
	}
	if p.StartsPerMinute > maxStartsPerMinute {
		f.add("startsPerMinute", "%d: want 1 to %d", p.StartsPerMinute, maxStartsPerMinute)
	}
	if len(f) > 0 {
		return nil, f.verdict()
	}
	return p, nil
}
