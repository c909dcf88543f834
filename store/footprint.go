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
	between       []span   // other ranges that are compared as a whole
}

// span are the keys from one up to another, without that.
type span struct{ from, to string }

func (s span) has(key string) bool { return s.from <= key && key < s.to }

func (f *footprint) compares(cmp clientv3.Cmp) {
	c := cmp.GetCompare()
	key, end := string(c.Key), string(c.RangeEnd)
	switch {
	case end == "":
		f.reads = append(f.reads, key)
	case strings.HasSuffix(key, "/") && end == clientv3.GetPrefixRangeEnd(key):
		f.below = append(f.below, key)
	default:
		f.between = append(f.between, span{key, end})
	}
}

// table counts what the transactions that are in it look at and write.
type table struct {
	size    int
	readers map[string]int
	writers map[string]int
	ranges  map[string]int // who compares all below a prefix
	under   map[string]int // writes below a prefix
	spans   map[span]int   // who compares all of a range
}

func newTable() *table {
	return &table{readers: map[string]int{}, writers: map[string]int{}, ranges: map[string]int{}, under: map[string]int{}, spans: map[span]int{}}
}

// meets tells whether f and any footprint in the table must not be side by side.
func (t *table) meets(f *footprint) bool {
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
	for _, compared := range f.between {
		for key := range t.writers {
			if compared.has(key) {
				return true
			}
		}
	}
	for _, key := range f.writes {
		if t.readers[key] > 0 || t.writers[key] > 0 {
			return true
		}
		for compared := range t.spans {
			if compared.has(key) {
				return true
			}
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
	for _, compared := range f.between {
		if t.spans[compared] += n; t.spans[compared] == 0 {
			delete(t.spans, compared)
		}
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
