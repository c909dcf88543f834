package store

import (
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// footprint is what a transaction looks at and writes. Two whose footprints do not meet have the same outcomes in one
// request, side by side, and one after the other. Keys stand in it as hashes: of two that have one hash one waits for the
// other, which costs time and harms nothing.
type footprint struct {
	reads, writes []uint64
	below         []uint64 // prefixes, ending in "/", that are compared as a whole
	under         []uint64 // those of what is written
	odd           bool     // another range is compared as a whole: it goes with no other write
}

func (f *footprint) compares(c *pb.Compare) {
	switch key := string(c.Key); {
	case len(c.RangeEnd) == 0:
		f.reads = append(f.reads, hash(key))
	case strings.HasSuffix(key, "/") && string(c.RangeEnd) == clientv3.GetPrefixRangeEnd(key):
		f.below = append(f.below, hash(key))
	default:
		f.odd = true
	}
}

func (f *footprint) read(key string) { f.reads = append(f.reads, hash(key)) }

func (f *footprint) write(key string) {
	h := uint64(offset64)
	for i := range len(key) {
		if h = step(h, key[i]); key[i] == '/' {
			f.under = append(f.under, h)
		}
	}
	f.writes = append(f.writes, h)
}

// The hash is FNV-1a with 64 bits, which tells those of all beginnings of a key on its way.
const (
	offset64 = 14695981039346656037
	prime64  = 1099511628211
)

func step(h uint64, c byte) uint64 { return (h ^ uint64(c)) * prime64 }

func hash(key string) uint64 {
	h := uint64(offset64)
	for i := range len(key) {
		h = step(h, key[i])
	}
	return h
}

// table counts what the transactions that are in it look at and write.
type table struct {
	readers counts
	writers counts
	ranges  counts // who compares all below a prefix
	under   counts // writes below a prefix
	odd     int    // who compares another range
}

// counts are by hash.
type counts map[uint64]int

func newTable() *table {
	return &table{readers: counts{}, writers: counts{}, ranges: counts{}, under: counts{}}
}

// meets tells whether f and any footprint in the table must not be side by side.
func (t *table) meets(f *footprint) bool {
	return f.odd && len(t.writers) > 0 || t.odd > 0 && len(f.writes) > 0 ||
		t.writers.any(f.reads) || t.under.any(f.below) || t.readers.any(f.writes) || t.writers.any(f.writes) || t.ranges.any(f.under)
}

func (c counts) any(hashes []uint64) bool {
	if len(c) == 0 {
		return false
	}
	for _, h := range hashes {
		if c[h] > 0 {
			return true
		}
	}
	return false
}

func (t *table) add(f *footprint)    { t.count(f, 1) }
func (t *table) remove(f *footprint) { t.count(f, -1) }

func (t *table) count(f *footprint, n int) {
	if f.odd {
		t.odd += n
	}
	t.readers.bump(f.reads, n)
	t.writers.bump(f.writes, n)
	t.ranges.bump(f.below, n)
	t.under.bump(f.under, n)
}

func (c counts) bump(hashes []uint64, n int) {
	for _, h := range hashes {
		if now := c[h] + n; now == 0 {
			delete(c, h)
		} else {
			c[h] = now
		}
	}
}
