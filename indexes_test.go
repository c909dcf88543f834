package nightwatch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
)

func TestIndexes(t *testing.T) {
	for _, row := range []struct {
		numbers []int
		want    nightwatch.Indexes
	}{
		{nil, ""},
		{[]int{0}, "0"},
		{[]int{5, 2, 1, 0}, "0-2,5"},
		{[]int{1, 1, 2, 2}, "1-2"},
		{[]int{999, 0, 998}, "0,998-999"},
		{[]int{0, 2, 4, 6}, "0,2,4,6"},
	} {
		if got := nightwatch.IndexesOf(row.numbers...); got != row.want {
			t.Errorf("%v: %q, want %q", row.numbers, got, row.want)
		}
	}
	for count, want := range map[int]nightwatch.Indexes{-1: "", 0: "", 1: "0", 2: "0-1", 1000: "0-999"} {
		if got := nightwatch.AllIndexes(count); got != want || got.Len() != max(count, 0) {
			t.Errorf("all of %d: %q, want %q", count, got, want)
		}
	}
}

func TestParseIndexes(t *testing.T) {
	for text, want := range map[string]nightwatch.Indexes{
		"": "", " ": "", "3": "3", "1,3": "1,3", "5, 0-2": "0-2,5", "0-3,2-5": "0-5", "7-7": "7", "007": "7",
		strings.Repeat("0-999,", 7000) + "0": "0-999",
	} {
		if got, err := nightwatch.ParseIndexes(text); err != nil || got != want {
			t.Errorf("%.40q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{",", "1,", "a", "-1", "1-", "3-1", "1000", "0-1000", "1.5", "1--2", "99999999999999999999", "+1"} {
		if got, err := nightwatch.ParseIndexes(text); err == nil || !strings.Contains(err.Error(), "from 0 to 999") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// Indexes are sets, whatever is done to them, and one set is written in one way.
func TestIndexesAreSets(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		numbers := rapid.SliceOf(rapid.OneOf(rapid.IntRange(0, 12), rapid.IntRange(0, nightwatch.MaxShards-1)))
		a, b := numbers.Draw(r, "a"), numbers.Draw(r, "b")
		in := func(lists ...[]int) map[int]bool {
			set := map[int]bool{}
			for _, list := range lists {
				for _, n := range list {
					set[n] = true
				}
			}
			return set
		}
		check := func(name string, got nightwatch.Indexes, want map[int]bool) {
			sorted := slices.Sorted(maps.Keys(want))
			if !slices.Equal(got.Numbers(), sorted) || got.Len() != len(want) {
				r.Errorf("%s: %q, want %v", name, got, sorted)
			}
			if again, err := nightwatch.ParseIndexes(string(got)); err != nil || again != got {
				r.Errorf("%s: %q is read as %q, %v", name, got, again, err)
			}
			if again := nightwatch.IndexesOf(rapid.Permutation(sorted).Draw(r, "order")...); again != got {
				r.Errorf("%s: %q and %q are one set", name, got, again)
			}
			for n := range 14 {
				if got.Has(n) != want[n] {
					r.Errorf("%s: %q has %d: %v", name, got, n, got.Has(n))
				}
			}
		}
		x, y := nightwatch.IndexesOf(a...), nightwatch.IndexesOf(b...)
		check("of", x, in(a))
		check("add", x.Add(b...), in(a, b))
		check("union", x.Union(y), in(a, b))
		without := in(a)
		for _, n := range b {
			delete(without, n)
		}
		check("minus", x.Minus(y), without)
	})
}

func FuzzParseIndexes(f *testing.F) {
	for _, seed := range []string{"", "0-2,5", "999", "1,,2", "3-1", " 1 - 2", "0-999,0-999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := nightwatch.ParseIndexes(text)
		if err != nil {
			return
		}
		numbers := got.Numbers()
		if again := nightwatch.IndexesOf(numbers...); again != got {
			t.Errorf("%q: %q, made anew %q", text, got, again)
		}
		if len(numbers) > 0 && (numbers[0] < 0 || numbers[len(numbers)-1] >= nightwatch.MaxShards) {
			t.Errorf("%q: %q", text, got)
		}
	})
}
