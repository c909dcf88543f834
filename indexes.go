package nightwatch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Indexes is a set of the numbers of shards, as ranges in ascending order: "0-2,5". It is canonical, so that equal sets
// are equal strings; the zero value is the empty set. It is the form in which Kubernetes writes completedIndexes.
type Indexes string

// IndexesOf is the set of some numbers, in any order.
func IndexesOf(numbers ...int) Indexes {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	var text strings.Builder
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		if text.Len() > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.Itoa(numbers[i]))
		if last > i {
			text.WriteString("-" + strconv.Itoa(numbers[last]))
		}
		i = last + 1
	}
	return Indexes(text.String())
}

// AllIndexes is the set of the numbers from 0 to count-1.
func AllIndexes(count int) Indexes {
	switch {
	case count <= 0:
		return ""
	case count == 1:
		return "0"
	}
	return Indexes("0-" + strconv.Itoa(count-1))
}

// ParseIndexes reads numbers from 0 to MaxShards-1 and ranges of them, in any order: "5,0-2".
func ParseIndexes(text string) (Indexes, error) {
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	var in [MaxShards]bool
	for part := range strings.SplitSeq(text, ",") {
		first, last, ok := parseRange(strings.TrimSpace(part))
		if !ok {
			return "", fmt.Errorf("%q: want numbers of shards and ranges of them, from 0 to %d, such as 0-2,5", clip(text), MaxShards-1)
		}
		for n := first; n <= last; n++ {
			in[n] = true
		}
	}
	var numbers []int
	for n, there := range in {
		if there {
			numbers = append(numbers, n)
		}
	}
	return IndexesOf(numbers...), nil
}

func parseRange(part string) (first, last int, ok bool) {
	low, high, ranged := strings.Cut(part, "-")
	first, ok = parseIndex(low)
	if !ranged {
		return first, first, ok
	}
	last, closed := parseIndex(high)
	return first, last, ok && closed && first <= last
}

func parseIndex(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int(n), err == nil && n < MaxShards
}

// Numbers are those in the set, in ascending order. Of a value that no function here made they are what can be read.
func (s Indexes) Numbers() []int {
	if s == "" {
		return nil
	}
	var numbers []int
	for part := range strings.SplitSeq(string(s), ",") {
		if first, last, ok := parseRange(part); ok {
			for n := first; n <= last; n++ {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

// Len is how many numbers are in the set.
func (s Indexes) Len() int { return len(s.Numbers()) }

// Has tells whether n is in the set.
func (s Indexes) Has(n int) bool {
	_, found := slices.BinarySearch(s.Numbers(), n)
	return found
}

// Add is the set with more numbers in it.
func (s Indexes) Add(numbers ...int) Indexes { return IndexesOf(append(s.Numbers(), numbers...)...) }

// Union is the set of what is in either.
func (s Indexes) Union(other Indexes) Indexes { return s.Add(other.Numbers()...) }

// Minus is the set without what is in the other.
func (s Indexes) Minus(other Indexes) Indexes {
	without := other.Numbers()
	return IndexesOf(slices.DeleteFunc(s.Numbers(), func(n int) bool {
		_, found := slices.BinarySearch(without, n)
		return found
	})...)
}
