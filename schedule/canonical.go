package schedule

import (
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// canonical spells an expression. Where a star decides about something (days of
// month or of week or both, daylight saving) it is kept, elsewhere it depends on
// the values alone. With years there are seven fields, else without second 0 five.
func canonical(e expression, loc *time.Location) string {
	var words []string
	if loc != time.UTC {
		words = append(words, "CRON_TZ="+loc.String())
	}
	for i, f := range fields {
		values, star := e.values[i], e.star[i]
		if i == second && values == 1 && len(e.years) == 0 {
			continue
		}
		if i == second || i == month {
			star = f.regular(values)
		}
		words = append(words, e.rules.spell(i, f.spell(values, star)))
	}
	if len(e.years) > 0 {
		words = append(words, spellYears(e.years))
	}
	return strings.Join(words, " ")
}

// spell writes a set as a field: *, */n, a-b/n, or a list of values and ranges.
func (f field) spell(set uint64, star bool) string {
	var items []string
	if star {
		// The smallest step whose values are all in the set.
		for n := 1; n <= f.limit; n++ {
			steps := f.steps(f.min, f.max, n)
			if set&steps != steps {
				continue
			}
			if items = append(items, "*"); n > 1 {
				items[0] += "/" + strconv.Itoa(n)
			}
			set &^= steps
			break
		}
	} else if item, ok := f.progression(set); ok {
		return item
	}
	for set != 0 {
		low := bits.TrailingZeros64(set)
		length := bits.TrailingZeros64(^(set >> low))
		if length == 2 {
			length = 1 // 1,2 rather than 1-2
		}
		items = append(items, rangeText(low, low+length-1))
		set &^= (1<<length - 1) << low
	}
	return strings.Join(items, ",")
}

// progression spells a set of at least three values that are equally far apart,
// by more than one.
func (f field) progression(set uint64) (string, bool) {
	if bits.OnesCount64(set) < 3 {
		return "", false
	}
	low, high := bits.TrailingZeros64(set), bits.Len64(set)-1
	step := bits.TrailingZeros64(set&^(1<<low)) - low
	if step < 2 || f.steps(low, high, step) != set {
		return "", false
	}
	return rangeText(low, high) + "/" + strconv.Itoa(step), true
}

// regular reports whether a set of at least three values is that of * or */n.
func (f field) regular(set uint64) bool {
	for n := 1; bits.OnesCount64(set) >= 3 && n <= f.limit; n++ {
		if f.steps(f.min, f.max, n) == set {
			return true
		}
	}
	return false
}

// steps is the set of low, low+step and so on up to high.
func (f field) steps(low, high, step int) uint64 {
	var set uint64
	for v := low; v <= high; v += step {
		set |= 1 << v
	}
	return set
}
