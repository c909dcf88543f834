package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The order of fields in an expression with seconds.
const (
	second = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
)

// field is one place of an expression.
type field struct {
	name     string
	min, max int      // of the values that the compiled sets hold
	limit    int      // highest number accepted: max, or 7 where Sunday is also 7
	names    []string // names[i] is min+i
	hashHigh int      // highest that H without bounds stands for; 0: max
	question bool     // "?" stands for "*"
}

var fields = [6]field{
	second: {name: "second", max: 59, limit: 59},
	minute: {name: "minute", max: 59, limit: 59},
	hour:   {name: "hour", max: 23, limit: 23},
	dayOfMonth: {name: "day of month", min: 1, max: 31, limit: 31, question: true,
		hashHigh: 28}, // which every month has
	month: {name: "month", min: 1, max: 12, limit: 12,
		names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	dayOfWeek: {name: "day of week", max: 6, limit: 7, question: true,
		names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// rewrite checks a field and spells it so that the parser behind has nothing
// left to guess or to change: numbers only, no item empty, no bound exceeded,
// Sunday as 0, and none of the items that the rules take, which it does not know.
// plain is empty when they took all. star reports that an item was a wildcard, with
// a step or without.
func (f field) rewrite(text string, take func(item string) (bool, error)) (plain string, star bool, err error) {
	var out []string
	for _, item := range strings.Split(text, ",") {
		if item == "" {
			return "", false, fmt.Errorf("%s %q has an empty item: want values separated by single commas", f.name, text)
		}
		taken, err := take(item)
		if err != nil {
			return "", false, err
		}
		if taken {
			continue
		}
		words, wild, err := f.rewriteItem(item)
		if err != nil {
			return "", false, err
		}
		out = append(out, words...)
		star = star || wild
	}
	return strings.Join(out, ","), star, nil
}

// rewriteItem is rewrite for one item: * or */n or a or a/n or a-b or a-b/n.
func (f field) rewriteItem(item string) (words []string, star bool, err error) {
	s, star, err := f.stride(item)
	switch {
	case err != nil:
		return nil, false, err
	case star:
		return []string{"*/" + strconv.Itoa(s.step)}, true, nil
	case s.high <= f.max:
		return []string{fmt.Sprintf("%d-%d/%d", s.low, s.high, s.step)}, false, nil
	}
	// The range ends at Sunday as 7: one by one.
	for v := s.low; v <= s.high; v += s.step {
		words = append(words, strconv.Itoa(v%f.limit))
	}
	return words, false, nil
}

// stride is what an item stands for: low, low+step and so on up to high.
type stride struct{ low, high, step int }

// stride reads an item. For a star it holds all values of the field.
func (f field) stride(item string) (s stride, star bool, err error) {
	text, stepText, stepped := strings.Cut(item, "/")
	s = stride{low: f.min, high: f.max, step: 1}
	if stepped {
		if s.step, err = f.step(stepText, item); err != nil {
			return stride{}, false, err
		}
	}

	if text == "*" || text == "?" && f.question {
		return s, true, nil
	}
	if text == "?" {
		return stride{}, false, fmt.Errorf("%s ? is not known: want *; ? is for day of month and day of week", f.name)
	}

	lowText, highText, ranged := strings.Cut(text, "-")
	if s.low, err = f.value(lowText, item); err != nil {
		return stride{}, false, err
	}
	switch {
	case ranged:
		if s.high, err = f.value(highText, item); err != nil {
			return stride{}, false, err
		}
		if f.limit > f.max && s.high == f.min && s.low > f.min && strings.EqualFold(highText, f.names[0]) {
			s.high = f.limit // fri-sun
		}
		if s.low > s.high {
			return stride{}, false, f.backwards(item, s.low, s.high, stepped)
		}
	case stepped:
		s.high = max(s.low, f.max)
	default:
		s.high = s.low
	}
	return s, false, nil
}

// value reads a number or name within the field's bounds.
func (f field) value(text, item string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := number(text)
	switch {
	case err != nil && text == item:
		return 0, fmt.Errorf("%s %q is not known: want %s", f.name, cut(text), f.wanted())
	case err != nil:
		return 0, fmt.Errorf("%s %q in %q is not known: want %s", f.name, cut(text), cut(item), f.wanted())
	case n < f.min:
		return 0, fmt.Errorf("%s %d is under %d", f.name, n, f.min)
	case n > f.limit:
		return 0, fmt.Errorf("%s %d is over %d", f.name, n, f.limit)
	}
	return n, nil
}

// step reads what follows a slash.
func (f field) step(text, item string) (int, error) {
	n, err := number(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s step %q in %q is not a number: want 1 to %d", f.name, cut(text), cut(item), f.limit)
	case n == 0:
		return 0, fmt.Errorf("%s step 0 in %q is under 1", f.name, cut(item))
	case n > f.limit:
		return 0, fmt.Errorf("%s step %d in %q is over %d: a step does not reach into the next field, an interval (every) does", f.name, n, cut(item), f.limit)
	}
	return n, nil
}

// wanted says which values the field takes.
func (f field) wanted() string {
	s := fmt.Sprintf("%d to %d", f.min, f.limit)
	if f.names != nil {
		s += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return s
}

// backwards is the error for 22-2, which may have meant 22-23,0-2.
func (f field) backwards(item string, low, high int, stepped bool) error {
	msg := fmt.Sprintf("%s %s runs backwards: want the lower value first", f.name, item)
	if !stepped && f.max != finalYear { // years do not come round
		msg += ", or " + rangeText(low, f.max) + "," + rangeText(f.min, high) + " for a range over the end"
	}
	return errors.New(msg)
}

// rangeText spells a range, or a value where it is only one.
func rangeText(low, high int) string {
	if low >= high {
		return strconv.Itoa(low)
	}
	return strconv.Itoa(low) + "-" + strconv.Itoa(high)
}

// number reads up to nine decimal digits: no sign, no space, no overflow.
func number(text string) (int, error) {
	if text == "" || len(text) > 9 {
		return 0, strconv.ErrSyntax
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}
