package schedule

import (
	"fmt"
	"strings"
	"time"
)

// Languages that Explain speaks.
const (
	English = "en"
	Chinese = "zh" // Simplified
)

const (
	maxSentence = 600 // bytes
	// maxClauses bounds what a sentence spells out, in bytes; what is longer is told by its canonical form.
	maxClauses = 400
	// maxAround is more than a canonical form that is cut has around it, in bytes.
	maxAround = 50
	// maxNamed is how many instants a sentence names one by one.
	maxNamed = 3
)

// wording is a language. What is no function is a format for one string, unless it says otherwise.
type wording struct {
	cron     func(*cronPart) string       // "at 09:00 from Monday to Friday": neither zone nor full stop
	every    func(d time.Duration) string // "every 10 minutes"
	duration func(d time.Duration) string // "10 minutes"
	list     func(items []string) string  // "a, b and c"
	sentence func(clauses string) string  // with a capital and a full stop

	counted      string // an interval, what it is counted from
	once         string
	instants     string
	manyInstants string // their number, the first, the last
	afterFinish  string
	canonical    string
	manyForms    string // the number of expressions, how their canonical forms begin
	union        string // no format: between members
	from         string
	before       string
	fromBefore   string // two instants
	zone         string // what was said, the zone of its times
	jitter       string
	daysOf       string // days of calendars, whose they are: a zone

	daylight map[daylight]string // no formats: what becomes of fixed times, where it is not the default

	// Days of calendars.
	counting map[dayChoice]string // no formats: the days that count
	others   map[dayChoice]string // no formats: the days that do not
	moved    map[string]string    // by what OnExcluded says: the days from which times are moved
}

// dayChoice is which of their kinds the calendars of a schedule are.
type dayChoice struct{ include, exclude bool }

// Explain is the schedule as a sentence for people who do not know cron, in English or Chinese (Simplified); any other
// language is English. It is made from the compiled form, so all spellings of a schedule read the same. Times of day
// are those of the zone it names, and of UTC when it names none. It is never empty and has at most 600 bytes: what
// takes more is told by the canonical form, cut short if need be.
func (s *Schedule) Explain(language string) string {
	w := &english
	if language == Chinese {
		w = &chinese
	}
	parts, days := s.bare()
	loc, same := s.commonZone(parts)
	zoned := onClock(parts)
	frame := func(clauses string) string {
		text := clauses + w.bounds(s, loc, same && zoned)
		if same && zoned && loc != time.UTC {
			text = fmt.Sprintf(w.zone, text, loc)
		}
		if days != nil {
			text += w.calendars(days, loc, zoned)
		}
		text += w.daylight[s.daylight]
		if s.jitter > 0 {
			text += fmt.Sprintf(w.jitter, w.duration(milliseconds(s.jitter)))
		}
		return text
	}
	room := maxSentence - len(frame("")) - len("。")
	return w.sentence(frame(w.clauses(s, parts, loc, same, min(room, maxClauses))))
}

// bare returns the parts without their calendars, and the part that tells what these do, nil when there are none: one
// whose times are moved, if any are.
func (s *Schedule) bare() (parts []part, days *onDays) {
	parts = make([]part, len(s.parts))
	for i, p := range s.parts {
		if on, ok := p.(*onDays); ok {
			if days == nil || on.step != 0 {
				days = on
			}
			p = on.inner
		}
		parts[i] = p
	}
	return parts, days
}

// calendars tells what calendars do, and whose days they mean where the times have no zone (unless it is UTC).
func (w *wording) calendars(days *onDays, loc *time.Location, zoned bool) string {
	choice := dayChoice{include: len(days.include) > 0, exclude: len(days.exclude) > 0}
	text := w.counting[choice]
	switch {
	case days.step > 0:
		text = fmt.Sprintf(w.moved[NextIncluded], w.others[choice])
	case days.step < 0:
		text = fmt.Sprintf(w.moved[PreviousIncluded], w.others[choice])
	}
	if !zoned && loc != time.UTC {
		text = fmt.Sprintf(w.daysOf, text, loc)
	}
	return text
}

// commonZone returns the zone that all times of the sentence are told in. Where expressions of several zones meet, each
// names its own, and other times are in UTC.
func (s *Schedule) commonZone(parts []part) (loc *time.Location, same bool) {
	loc = s.zone
	var first *cronPart
	for _, p := range parts {
		c, ok := p.(*cronPart)
		switch {
		case !ok:
		case first == nil:
			first, loc = c, c.loc
		case c.loc.String() != loc.String():
			return time.UTC, false
		}
	}
	return loc, true
}

// onClock reports whether a zone has a part in the times: in intervals it has none, and all about them is told in UTC.
func onClock(parts []part) bool {
	for _, p := range parts {
		if _, ok := p.(*interval); !ok {
			return true
		}
	}
	return false
}

// clauses tells the parts, or names their canonical forms when that takes more than so many bytes.
func (w *wording) clauses(s *Schedule, parts []part, loc *time.Location, same bool, limit int) string {
	if s.AfterFinish() {
		return fmt.Sprintf(w.afterFinish, w.duration(milliseconds(s.after)))
	}
	told := make([]string, len(parts))
	forms := make([]string, len(parts))
	for i, p := range parts {
		forms[i] = p.String()
		switch p := p.(type) {
		case *cronPart:
			told[i] = w.cron(p)
			if same {
				forms[i] = strings.TrimPrefix(forms[i], "CRON_TZ="+p.loc.String()+" ")
			} else {
				told[i] = fmt.Sprintf(w.zone, told[i], p.loc)
			}
		case *interval:
			told[i] = w.interval(p)
		case *instants:
			told[i] = w.given(p, loc)
		}
	}
	if text := strings.Join(told, w.union); len(text) <= limit {
		return text
	}
	text := strings.Join(forms, " | ")
	if form := fmt.Sprintf(w.canonical, text); len(form) <= limit {
		return form
	}
	if text = text[:limit-maxAround] + "…"; len(forms) == 1 {
		return fmt.Sprintf(w.canonical, text)
	}
	return fmt.Sprintf(w.manyForms, len(forms), text)
}

// bounds tells startsAt and endsAt, in the zone that the sentence names if it does.
func (w *wording) bounds(s *Schedule, loc *time.Location, named bool) string {
	text := func(ms int64) string {
		if !named {
			return pointText(ms, time.UTC) + " UTC"
		}
		return pointText(ms, loc)
	}
	starts, ends := s.starts != noStart, s.ends != noEnd
	switch {
	case starts && ends:
		return fmt.Sprintf(w.fromBefore, text(s.starts), text(s.ends))
	case starts:
		return fmt.Sprintf(w.from, text(s.starts))
	case ends:
		return fmt.Sprintf(w.before, text(s.ends))
	}
	return ""
}

// interval tells an interval. Where it comes at the same times in every hour, it need not be said from when it is
// counted.
func (w *wording) interval(i *interval) string {
	text := w.every(milliseconds(i.every))
	const hour, day = 3600 * 1000, daySeconds * 1000
	switch first := time.UnixMilli(i.offset).UTC(); {
	case hour%i.every == 0 && i.offset == 0:
		return text
	case day%i.every == 0:
		return fmt.Sprintf(w.counted, text, first.Format(clockLayout(first))+" UTC")
	default:
		return fmt.Sprintf(w.counted, text, pointText(i.offset, time.UTC)+" UTC")
	}
}

// given tells instants that were given one by one.
func (w *wording) given(p *instants, loc *time.Location) string {
	n := len(p.times)
	if n > maxNamed {
		return fmt.Sprintf(w.manyInstants, n, pointText(p.times[0], loc), pointText(p.times[n-1], loc))
	}
	texts := make([]string, n)
	for i, at := range p.times {
		texts[i] = pointText(at, loc)
	}
	if n == 1 {
		return fmt.Sprintf(w.once, texts[0])
	}
	return fmt.Sprintf(w.instants, w.list(texts))
}

// pointText is an instant as the zone's clock shows it, with the offset from UTC when the clock shows it twice.
func pointText(ms int64, loc *time.Location) string {
	t := time.UnixMilli(ms).In(loc)
	layout := time.DateOnly + " " + clockLayout(t)
	if before, after := passes(loc, floorDiv(ms, 1000)); before+after > 0 {
		layout += " -07:00"
	}
	return t.Format(layout)
}

// clockLayout is the shortest layout that shows all of a time of day.
func clockLayout(t time.Time) string {
	switch {
	case t.Nanosecond() != 0:
		return "15:04:05.000"
	case t.Second() != 0:
		return "15:04:05"
	}
	return "15:04"
}

// amount is a number of units.
type amount struct {
	n    int64
	unit int // index into units
}

// units that durations are told in.
var units = [...]time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond}

// amounts splits a duration; days are used for two or more.
func amounts(d time.Duration) (split []amount) {
	for i, unit := range units {
		if n := d / unit; n > 0 && (i > 0 || n > 1) {
			split = append(split, amount{int64(n), i})
			d %= unit
		}
	}
	return split
}
