package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	firstYear = 1970
	finalYear = 9999
	// maxYearRanges bounds what a few interleaved steps can grow to.
	maxYearRanges = 64
)

// yearRange holds from, from+step and so on up to to, which is one of them. A single year has step 1.
type yearRange struct{ from, to, step int }

var yearField = field{name: "year", min: firstYear, max: finalYear, limit: finalYear}

// parseYears reads the seventh field. The ranges are in order, do not overlap or interleave and depend on the set of
// years alone; none means every year.
func parseYears(text string) ([]yearRange, error) {
	var in [finalYear + 1]bool
	for _, item := range strings.Split(text, ",") {
		if item == "" {
			return nil, fmt.Errorf("year %q has an empty item: want values separated by single commas", cut(text))
		}
		r, _, err := yearField.stride(item)
		if err != nil {
			return nil, err
		}
		for y := r.low; y <= r.high; y += r.step {
			in[y] = true
		}
	}
	var years []int
	for y := firstYear; y <= finalYear; y++ {
		if in[y] {
			years = append(years, y)
		}
	}
	if len(years) == finalYear-firstYear+1 {
		return nil, nil
	}
	ranges := progressions(years)
	if len(ranges) > maxYearRanges {
		return nil, fmt.Errorf("year %s makes %d separate ranges: want at most %d", cut(text), len(ranges), maxYearRanges)
	}
	return ranges, nil
}

// progressions splits ascending years into ranges of at least three that are equally far apart, and single ones.
func progressions(years []int) []yearRange {
	var ranges []yearRange
	for i := 0; i < len(years); {
		end := i + 1 // behind the last year that goes on at the same distance
		for end < len(years) && years[end]-years[end-1] == years[i+1]-years[i] {
			end++
		}
		if end-i < 3 {
			end = i + 1
		}
		r := yearRange{from: years[i], to: years[end-1], step: 1}
		if end > i+1 {
			r.step = years[i+1] - years[i]
		}
		ranges = append(ranges, r)
		i = end
	}
	return ranges
}

// yearAfter returns the expression's first year later than the given one.
func (c *cronPart) yearAfter(year int) (int, bool) {
	if len(c.years) == 0 {
		return year + 1, true
	}
	for _, r := range c.years {
		switch {
		case year < r.from:
			return r.from, true
		case year < r.to:
			return year + r.step - (year-r.from)%r.step, true
		}
	}
	return 0, false
}

// spellYears is the canonical form of the year field.
func spellYears(years []yearRange) string {
	items := make([]string, len(years))
	for i, r := range years {
		items[i] = rangeText(r.from, r.to)
		if r.step > 1 {
			items[i] += "/" + strconv.Itoa(r.step)
		}
	}
	return strings.Join(items, ",")
}

// yearKinds are the kinds of year there are among some years (none: among all), by the day of week of 1 January and
// whether it is a leap year. There are 14, and the calendar has all of them every 40 years.
func yearKinds(years []yearRange) (kinds [7][2]bool) {
	if len(years) == 0 {
		for i := range kinds {
			kinds[i] = [2]bool{true, true}
		}
	}
	for _, r := range years {
		for y := r.from; y <= r.to; y += r.step {
			january := time.Date(y, time.January, 1, 0, 0, 0, 0, time.UTC).Weekday()
			kinds[january][monthLength(y, time.February)-28] = true
		}
	}
	return kinds
}
