package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// dayRules are the items of the two day fields whose days differ from month to month. The meanings are Quartz'.
type dayRules struct {
	lastDay     bool     // L: the month's last day
	lastWeekday bool     // LW: the month's last day from Monday to Friday
	nearest     uint32   // bit n: nW, the day from Monday to Friday nearest to day n, in the same month
	nth         [7]uint8 // by day of week, bit n: MON#n, the nth one in the month
	lastOf      uint8    // bit w: 5L, the last such day of week in the month
}

// take reads an item of field i if it is a rule.
func (r *dayRules) take(i int, item string) (taken bool, err error) {
	switch i {
	case dayOfMonth:
		return r.takeDay(item)
	case dayOfWeek:
		return r.takeWeekday(item)
	}
	return false, nil
}

func (r *dayRules) takeDay(item string) (taken bool, err error) {
	switch strings.ToUpper(item) {
	case "L":
		r.lastDay = true
		return true, nil
	case "LW":
		r.lastWeekday = true
		return true, nil
	case "W":
		return true, errors.New("day of month W stands behind a day: want 1W to 31W, or LW")
	}
	if strings.HasPrefix(strings.ToUpper(item), "L-") {
		return true, fmt.Errorf("day of month %s is not supported: want L for the last day, LW for the last working day, "+
			"or 15W for the working day nearest to the 15th", cut(item))
	}
	text, found := cutLetter(item, 'W')
	if !found {
		return false, nil
	}
	day, err := fields[dayOfMonth].value(text, item)
	if err != nil {
		return true, err
	}
	r.nearest |= 1 << day
	return true, nil
}

func (r *dayRules) takeWeekday(item string) (taken bool, err error) {
	f := fields[dayOfWeek]
	if text, count, found := strings.Cut(item, "#"); found {
		day, err := f.value(text, item)
		if err != nil {
			return true, err
		}
		n, err := number(count)
		if err != nil || n < 1 || n > 5 {
			return true, fmt.Errorf("day of week #%s in %q is not known: want #1 to #5", cut(count), cut(item))
		}
		r.nth[day%7] |= 1 << n
		return true, nil
	}
	text, found := cutLetter(item, 'L')
	switch {
	case !found:
		return false, nil
	case text == "":
		return true, errors.New("day of week L does not say which day: want 5L for the last Friday of the month, or 6 for every Saturday")
	}
	day, err := f.value(text, item)
	if err != nil {
		return true, err
	}
	r.lastOf |= 1 << (day % 7)
	return true, nil
}

// cutLetter is strings.CutSuffix for a letter in either case.
func cutLetter(item string, letter byte) (before string, found bool) {
	if item == "" || item[len(item)-1]&^0x20 != letter {
		return item, false
	}
	return item[:len(item)-1], true
}

// spell appends the rules of field i to the canonical form of its values.
func (r *dayRules) spell(i int, plain string) string {
	var items []string
	if plain != "" {
		items = append(items, plain)
	}
	switch i {
	case dayOfMonth:
		for set := r.nearest; set != 0; set &= set - 1 {
			items = append(items, strconv.Itoa(bits.TrailingZeros32(set))+"W")
		}
		if r.lastDay {
			items = append(items, "L")
		}
		if r.lastWeekday {
			items = append(items, "LW")
		}
	case dayOfWeek:
		for day, counts := range r.nth {
			for ; counts != 0; counts &= counts - 1 {
				items = append(items, fmt.Sprintf("%d#%d", day, bits.TrailingZeros8(counts)))
			}
		}
		for set := r.lastOf; set != 0; set &= set - 1 {
			items = append(items, strconv.Itoa(bits.TrailingZeros8(set))+"L")
		}
	}
	return strings.Join(items, ",")
}

// monthShape is all that the days which match in it depend on.
type monthShape struct {
	first  int // day of week of its first day
	length int // 28 to 31
}

func (s monthShape) weekday(day int) time.Weekday {
	return time.Weekday((s.first + day - 1) % 7)
}

func (s monthShape) working(day int) bool {
	w := s.weekday(day)
	return w != time.Saturday && w != time.Sunday
}

// all holds the days that the month has, bit n for day n.
func (s monthShape) all() uint32 { return uint32(1<<(s.length+1) - 2) }

// dates holds the days that the rules of day of month name in a month.
func (r *dayRules) dates(s monthShape) uint32 {
	var days uint32
	if r.lastDay {
		days |= 1 << s.length
	}
	if r.lastWeekday {
		days |= 1 << s.nearest(s.length)
	}
	for set := r.nearest & s.all(); set != 0; set &= set - 1 {
		days |= 1 << s.nearest(bits.TrailingZeros32(set))
	}
	return days
}

// nearest returns the day from Monday to Friday that is nearest to a day, in the same month: a Saturday the 1st has
// Monday the 3rd, and a last Sunday the Friday before.
func (s monthShape) nearest(day int) int {
	for _, candidate := range [...]int{day, day - 1, day + 1, day - 2, day + 2} {
		if candidate >= 1 && candidate <= s.length && s.working(candidate) {
			return candidate
		}
	}
	return day // not reached: of five neighbouring days, two at a month's end left out, one is a working day
}

// weekdays holds the days that the rules of day of week name in a month.
func (r *dayRules) weekdays(s monthShape) uint32 {
	var days uint32
	for day := 1; day <= s.length; day++ {
		w := s.weekday(day)
		if r.nth[w]>>((day+6)/7)&1 != 0 || r.lastOf>>w&1 != 0 && day+7 > s.length {
			days |= 1 << day
		}
	}
	return days
}
