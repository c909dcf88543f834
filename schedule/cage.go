package schedule

import (
	"fmt"
	"strings"

	"github.com/robfig/cron/v3"
)

// sets holds the values of each field as bits, without marks: bit n is value n.
type sets [6]uint64

var cronParser = cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parseSets hands rewritten fields to robfig's parser; an empty one holds no value. Zones,
// descriptors, H, L, W, # and years never get there, and neither does anything it panics on or silently changes;
// should an input be found that makes it panic all the same, that input is
// refused and nothing else is harmed.
func parseSets(plain [6]string) (s sets, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("is not a cron expression: %v", p)
		}
	}()
	words := plain
	for i := range words {
		if words[i] == "" {
			words[i] = "*" // it does not know an empty field
		}
	}
	parsed, err := cronParser.Parse(strings.Join(words[:], " "))
	if err != nil {
		return sets{}, fmt.Errorf("is not a cron expression: %w", err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return sets{}, fmt.Errorf("is not a cron expression but a %T", parsed)
	}
	s = sets{spec.Second, spec.Minute, spec.Hour, spec.Dom, spec.Month, spec.Dow}
	for i, f := range fields {
		s[i] &= f.all() // takes away robfig's mark for a star
		if plain[i] == "" {
			s[i] = 0
		}
	}
	return s, nil
}

// all is the set of every value of the field.
func (f field) all() uint64 {
	return 1<<(f.max+1) - 1<<f.min
}
