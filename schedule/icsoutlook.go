package schedule

import "strings"

// outlookAllDay marks an all-day event in what Outlook writes: its times are midnights of a zone whose name only
// Windows knows, so its days are the dates as written ([MS-OXCICAL], section 2.1.3.1.1.20.28).
const outlookAllDay = "X-MICROSOFT-CDO-ALLDAYEVENT"

// outlookDay tells whether an event whose DTSTART has a time is one of Outlook's all-day events.
func outlookDay(given map[string]property) bool {
	marked := strings.EqualFold(strings.TrimSpace(given[outlookAllDay].value), "TRUE")
	start, end := given["DTSTART"], given["DTEND"]
	return marked && start.isMidnight() && (end.value == "" || end.isMidnight())
}

// isMidnight tells whether the value has the shape of a DATE-TIME at the beginning of a day.
func (p property) isMidnight() bool {
	return p.hasTime() && strings.HasSuffix(strings.TrimSuffix(strings.TrimSpace(p.value), "Z"), "T000000")
}

// untilMidnight returns the days from the date of an UNTIL to that of the midnight that its UTC time is in some zone: 1
// when it is nearer to the next day's in UTC, as it is east of Greenwich. 23:59:59 is no midnight but the end of a day.
func untilMidnight(clock string) int64 {
	if rest, ok := cutShape(clock, "dddd00Z"); ok && rest == "" && clock >= "12" {
		return 1
	}
	return 0
}
