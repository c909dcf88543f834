package store

import (
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// footprint is what a transaction looks at and writes. Two whose footprints do not meet have the same outcomes in one
// request, side by side, and one after the other.
type footprint struct {
	reads, writes []string
	below         []string // prefixes, ending in "/", that are compared as a whole
	wide          bool     // it looks at a range that is no such prefix: it meets everything
}

func (f *footprint) compares(cmp clientv3.Cmp) {
	c := cmp.GetCompare()
	key, end := string(c.Key), string(c.RangeEnd)
	switch {
	case end == "":
		f.reads = append(f.reads, key)
	case strings.HasSuffix(key, "/") && end == clientv3.GetPrefixRangeEnd(key):
		f.below = append(f.below, key)
	default:
		f.wide = true
	}
}

// table counts what the transactions that are in it look at and write.
type table struct {
	size    int
	wide    int
	readers map[string]int
	writers map[string]int
	ranges  map[string]int // who compares all below a prefix
	under   map[string]int // writes below a prefix
}

func newTable() *table {
	return &table{readers: map[string]int{}, writers: map[string]int{}, ranges: map[string]int{}, under: map[string]int{}}
}

// meets tells whether f and any footprint in the table must not be side by side.
func (t *table) meets(f *footprint) bool {
	if t.size > 0 && (f.wide || t.wide > 0) {
		return true
	}
	for _, key := range f.reads {
		if t.writers[key] > 0 {
			return true
		}
	}
	for _, prefix := range f.below {
		if t.under[prefix] > 0 {
			return true
		}
	}
	for _, key := range f.writes {
		if t.readers[key] > 0 || t.writers[key] > 0 {
			return true
		}
		if len(t.ranges) == 0 {
			continue
		}
		for prefix := range prefixes(key) {
			if t.ranges[prefix] > 0 {
				return true
			}
		}
	}
	return false
}

func (t *table) add(f *footprint)    { t.count(f, 1) }
func (t *table) remove(f *footprint) { t.count(f, -1) }

func (t *table) count(f *footprint, n int) {
	t.size += n
	if f.wide {
		t.wide += n
	}
	for _, key := range f.reads {
		bump(t.readers, key, n)
	}
	for _, prefix := range f.below {
		bump(t.ranges, prefix, n)
	}
	for _, key := range f.writes {
		bump(t.writers, key, n)
		for prefix := range prefixes(key) {
			bump(t.under, prefix, n)
		}
	}
}

func bump(counts map[string]int, key string, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}

// prefixes are the beginnings of key that end in "/", the key itself too if it does.
func prefixes(key string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(key) - 1; i >= 0; i-- {
			if key[i] == '/' && !yield(key[:i+1]) {
				return
			}
		}
	}
}
