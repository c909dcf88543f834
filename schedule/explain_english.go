package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

var english = wording{
	cron:     englishCron,
	every:    englishEvery,
	duration: englishDuration,
	list:     func(items []string) string { return englishList(items, "and") },
	sentence: func(clauses string) string { return strings.ToUpper(clauses[:1]) + clauses[1:] + "." },

	counted:      "%s, counted from %s",
	once:         "once, at %s",
	instants:     "at %s",
	manyInstants: "at %d given instants, from %s to %s",
	afterFinish:  "%s after the last run ended",
	canonical:    `at the times of "%s"`,
	manyForms:    `at the times of %d expressions: "%s"`,
	union:        "; and ",
	from:         ", not before %s",
	before:       ", before %s",
	fromBefore:   ", not before %s and before %s",
	zone:         "%s, %s time",
	jitter:       ", each delayed by less than %s, and never as late as the next time",
	daysOf:       "%s of %s",
	daylight: map[daylight]string{
		daylightSkip: ", without times that the clock skips",
		daylightBoth: ", twice when the clock shows a time twice",
	},
	counting: map[dayChoice]string{
		{include: true}:                ", only on included days",
		{exclude: true}:                ", except on excluded days",
		{include: true, exclude: true}: ", only on included and not excluded days",
	},
	others: map[dayChoice]string{
		{include: true}:                "days that are not included",
		{exclude: true}:                "excluded days",
		{include: true, exclude: true}: "days that are excluded or not included",
	},
	moved: map[string]string{
		NextIncluded:     ", on %s moved to the next day that counts",
		PreviousIncluded: ", on %s moved to the previous day that counts",
	},
}

func englishCron(c *cronPart) string {
	times, separator := englishTimes(c)
	days := englishDays(c)
	if days == "" {
		return times
	}
	if strings.HasPrefix(days, ",") {
		separator = ""
	}
	return times + separator + days
}

// englishTimes tells the times of day, and what stands between them and the days.
func englishTimes(c *cronPart) (text, separator string) {
	clock := func(second int) string { return clockText(second, c.seconds != 1) }
	d := c.dayTimes()
	switch {
	case d.times != nil:
		texts := make([]string, len(d.times))
		for i, t := range d.times {
			texts[i] = clock(t)
		}
		return "at " + englishList(texts, "and"), " "
	case d.round.n > 0:
		return englishRound(d.round), ", "
	case d.windows != nil:
		texts := make([]string, len(d.windows))
		for i, w := range d.windows {
			texts[i] = "from " + clock(w.first) + " to " + clock(w.last)
		}
		step := time.Duration(d.windows[0].step) * time.Second
		return englishEvery(step) + " " + englishList(texts, "and"), ", "
	}

	// The smallest field says how often, the others are named after it.
	hours := englishField("hour", uint64(c.hours), 0) // as fixed times do not come every hour of a day of 25
	if c.follows && uint64(c.hours) == fields[hour].all() {
		hours = "every hour"
	}
	if c.seconds == 1 {
		return englishOften("minute", c.minutes) + " of " + hours, ", "
	}
	minutes := englishField("minute", c.minutes, fields[minute].all())
	return englishOften("second", c.seconds) + " of " + minutes + " of " + hours, ", "
}

// englishRound tells times that go round the clock: of every hour, or of every minute, they show the same.
func englishRound(p progression) string {
	every := englishEvery(time.Duration(p.step) * time.Second)
	past := time.Duration(p.first) * time.Second
	switch {
	case p.step == 60*60 && p.first == 0:
		return "every hour on the hour"
	case p.first == 0 && p.step < 60*60:
		return every
	case p.step == 60*60:
		return "at " + englishDuration(past) + " past every hour"
	case p.step == 60:
		return fmt.Sprintf("at second %d of every minute", p.first)
	case p.step < 60:
		return fmt.Sprintf("%s, from second %d of every minute", every, p.first)
	case p.step < 60*60:
		return every + ", from " + englishDuration(past) + " past every hour"
	}
	return every + " from " + clockText(p.first, p.last%60 != 0) + " to " + clockText(p.last, p.last%60 != 0)
}

// englishOften tells the values of a field as something that happens.
func englishOften(unit string, set uint64) string {
	if set == fields[minute].all() { // seconds have the same
		return "every " + unit
	}
	if p := stretches(set); len(p) == 1 && p[0].step > 1 {
		return fmt.Sprintf("every %d %ss from %s %d to %d", p[0].step, unit, unit, p[0].first, p[0].last)
	}
	return "at " + englishField(unit, set, 0)
}

// englishField names the values of a field: "minute 5", "minutes 1, 5 and 20 to 30", "every 2nd hour from 0 to 22".
func englishField(unit string, set, all uint64) string {
	if set == all {
		return "every " + unit
	}
	split := stretches(set)
	if len(split) == 1 && split[0].step > 1 {
		return fmt.Sprintf("every %s %s from %d to %d", englishOrdinal(split[0].step), unit, split[0].first, split[0].last)
	}
	if bits.OnesCount64(set) > 1 {
		unit += "s"
	}
	texts := make([]string, len(split))
	for i, p := range split {
		if texts[i] = strconv.Itoa(p.first); p.n > 1 {
			texts[i] += " to " + strconv.Itoa(p.last)
		}
	}
	return unit + " " + englishList(texts, "and")
}

// englishDays tells days, months and years, "" for every day.
func englishDays(c *cronPart) string {
	dates, weekdays := c.daysTold()
	in, of := englishMonths(c)
	const ofMonth = " of the month"
	text := ""
	switch {
	case dates && weekdays && c.either:
		text = "on " + englishDates(c, ofMonth) + ", and " + englishOnWeekdays(c, ofMonth)
		if in != "" {
			text += "," + in
		}
	case dates && weekdays:
		text = "on " + englishDates(c, of) + " if it is " + englishWeekday(c, ofMonth)
	case dates:
		if month, day, ok := c.date(); ok {
			text = fmt.Sprintf("on %d %s", day, month)
			if len(c.years) == 1 && c.years[0].from == c.years[0].to {
				return text + " " + strconv.Itoa(c.years[0].from)
			}
			break
		}
		text = "on " + englishDates(c, of)
	case weekdays && c.plainWeekdays == 0:
		text = englishOnWeekdays(c, of)
	case weekdays:
		text = englishOnWeekdays(c, ofMonth)
		if in != "" && (strings.HasPrefix(text, "from") || c.weekdayRules()) {
			text += ","
		}
		text += in
	default:
		text = strings.TrimPrefix(in, " ")
	}
	if len(c.years) > 0 {
		text += ", " + englishYears(c.years)
	}
	return text
}

// englishMonths tells the months behind a day that has none (" in March") and behind one of a month (" of March").
func englishMonths(c *cronPart) (in, of string) {
	if c.months == uint16(fields[month].all()) {
		return "", " of the month"
	}
	if first, last, ok := c.monthRun(); ok {
		in = fmt.Sprintf(" from %s to %s", first, last)
		return in, " of each month" + in
	}
	var names []string
	for m := time.January; m <= time.December; m++ {
		if c.months>>m&1 != 0 {
			names = append(names, m.String())
		}
	}
	text := englishList(names, "and")
	return " in " + text, " of " + text
}

// englishDates tells the day of month.
func englishDates(c *cronPart, of string) string {
	if !c.dateRules() {
		return englishField("day", uint64(c.days), 0) + of
	}
	var items []string
	if c.days != 0 {
		items = append(items, englishField("day", uint64(c.days), 0))
	}
	for set := c.nearest; set != 0; set &= set - 1 {
		items = append(items, fmt.Sprintf("the working day (Monday to Friday) nearest to day %d", bits.TrailingZeros32(set)))
	}
	if c.lastDay {
		items = append(items, "the last day")
	}
	if c.lastWeekday {
		items = append(items, "the last working day (Monday to Friday)")
	}
	return englishList(items, "and") + of
}

// englishOnWeekdays tells the day of week as the days on which something happens.
func englishOnWeekdays(c *cronPart, of string) string {
	first, last, run := cycle(uint64(c.plainWeekdays), 7)
	var items []string
	switch {
	case run:
		items = append(items, fmt.Sprintf("from %s to %s", time.Weekday(first), time.Weekday(last)))
	case c.plainWeekdays != 0:
		items = append(items, "on every "+englishList(englishNames(c.plainWeekdays), "and"))
	}
	if c.weekdayRules() {
		items = append(items, "on "+englishList(englishRules(c, of), "and"))
	}
	return englishList(items, "and")
}

// englishWeekday tells the day of week as what one day must be.
func englishWeekday(c *cronPart, of string) string {
	first, last, run := cycle(uint64(c.plainWeekdays), 7)
	var items []string
	switch {
	case run:
		items = append(items, fmt.Sprintf("a day from %s to %s", time.Weekday(first), time.Weekday(last)))
	case c.plainWeekdays != 0:
		items = append(items, "a "+englishList(englishNames(c.plainWeekdays), "or"))
	}
	return englishList(append(items, englishRules(c, of)...), "or")
}

// englishNames lists days of the week, Monday first.
func englishNames(set uint8) (names []string) {
	for _, w := range mondayFirst {
		if set>>w&1 != 0 {
			names = append(names, w.String())
		}
	}
	return names
}

// englishRules lists "the 2nd Monday of the month" and the like.
func englishRules(c *cronPart, of string) (items []string) {
	for _, w := range mondayFirst {
		var counts []string
		for set := c.nth[w]; set != 0; set &= set - 1 {
			counts = append(counts, englishCounts[bits.TrailingZeros8(set)])
		}
		if c.lastOf>>w&1 != 0 {
			counts = append(counts, "last")
		}
		if counts != nil {
			items = append(items, "the "+englishList(counts, "and")+" "+w.String()+of)
		}
	}
	return items
}

var englishCounts = [...]string{1: "first", "second", "third", "fourth", "fifth"}

func englishYears(years []yearRange) string {
	if r := years[0]; len(years) == 1 && r.step == 1 && r.from != r.to {
		return fmt.Sprintf("from %d to %d", r.from, r.to)
	}
	items := make([]string, len(years))
	for i, r := range years {
		switch {
		case r.from == r.to:
			items[i] = strconv.Itoa(r.from)
		case r.step == 1:
			items[i] = fmt.Sprintf("%d to %d", r.from, r.to)
		default:
			items[i] = fmt.Sprintf("every %s year from %d to %d", englishOrdinal(r.step), r.from, r.to)
		}
	}
	return "in " + englishList(items, "and")
}

// englishEvery reads "every minute", "every 2 minutes", "every 1 minute and 30 seconds".
func englishEvery(d time.Duration) string {
	if split := amounts(d); len(split) == 1 && split[0].n == 1 {
		return "every " + strings.TrimPrefix(englishDuration(d), "1 ")
	}
	return "every " + englishDuration(d)
}

func englishDuration(d time.Duration) string {
	var items []string
	for _, a := range amounts(d) {
		item := fmt.Sprintf("%d %s", a.n, [...]string{"day", "hour", "minute", "second", "millisecond"}[a.unit])
		if a.n > 1 {
			item += "s"
		}
		items = append(items, item)
	}
	return englishList(items, "and")
}

// englishList reads "a, b and c".
func englishList(items []string, word string) string {
	last := len(items) - 1
	if last < 1 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:last], ", ") + " " + word + " " + items[last]
}

// englishOrdinal reads 2nd, 3rd, 11th.
func englishOrdinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
