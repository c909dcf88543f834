// Package schedule says when: it turns what a user wrote of "when" into the
// instants a task is due at. It is calendar maths only. It reads no clock and
// starts no goroutine; a time goes in, a time comes out, and the same question has
// the same answer on every node that has the same time-zone data.
//
// # Cron expressions
//
// Five fields, six with seconds first, or seven with seconds first and years last:
//
//	field          values       also
//	second         0-59         * H
//	minute         0-59         * H
//	hour           0-23         * H
//	day of month   1-31         * ? H L LW 15W
//	month          1-12 jan-dec * H
//	day of week    0-7 sun-sat  * ? H 5L friL mon#2
//	year           1970-9999    *
//
// A field is a list of items, separated by commas:
//
//   - a value, a range, or either with a step: 5, 1-5, 10-50/20, 5/15 (from 5 to the
//     end by 15); * for all values and */15 for each fifteenth from the first. Names
//     are in any case, like all letters here. Sunday is 0 and 7, and ends a range as 7
//     (fri-sun). "?" stands for "*" in the two day fields.
//   - L in day of month: the last day of the month. LW: its last day from Monday to
//     Friday. 15W: the day from Monday to Friday that is nearest to the 15th and in the
//     same month, so 1W on a Saturday is Monday the 3rd. A month that lacks the day of
//     a W has no such day, as with a plain one: 31W means seven months of the year.
//   - mon#2 or 1#2 in day of week: the second Monday of the month, up to #5. 5L or
//     friL: its last Friday. L alone is refused there, since programs differ about it.
//   - H: a value that a hash of [Spec.Key] chooses, so that tasks with the same
//     expression spread. H(9-17): one from 9 to 17. H/15: each fifteenth from one of
//     the first fifteen on; H(0-29)/10: the same from 0 to 29. H in day of month is 1
//     to 28, which every month has. The number added to the first value is that of the
//     first eight bytes, big-endian, of SHA-256 of the key, a line feed and the field's
//     name as in the table, modulo how many values there are to choose from. An H is a
//     value, or a range with a step, from then on, and never a wildcard.
//
// Days follow crontab(5): when day of month and day of week are both restricted, a
// day that matches either is due; a field that contains "*", with a step too, is not
// restricted, and then both must match. So "0 0 13 * 5" is every 13th and every
// Friday, and "0 0 */2 * 1" is the Mondays with an odd date. With [Spec.DayMatch]
// "and" both must match always, and "0 0 13 * 5" is Friday the 13th. A spec that
// restricts both and does not say which it means gets a warning.
//
// The descriptors, in any case, are @yearly (@annually), @monthly, @weekly, @daily (@midnight),
// @hourly, and @every with a duration (90s, 1h30m, 7d, 1d12h). "CRON_TZ=Zone " or "TZ=Zone " before the
// expression overrides [Spec.TimeZone].
//
// Several expressions are a union: an instant that two of them name is one
// instant.
//
// # Daylight saving
//
// An expression whose minute or hour contains "*", with a step too, follows the clock
// on the wall: it matches what the clock shows, in both passes when the clock goes
// back, and not at all for times that the clock jumps over. Any other expression names
// fixed times, and [Spec.DaylightSaving] says what becomes of each. The default, once,
// is the rule of Debian's cron: a time is due once, at the first instant at which the
// zone's clock has reached it:
//
//   - a time in the gap is due at the first instant after the gap (02:30 in New
//     York on the day of the change is due at 03:00 EDT; several times in one gap
//     are one instant),
//   - a time that the clock shows twice is due the first time.
//
// So a daily task keeps its day where the gap is at midnight (São Paulo, Cairo,
// Havana), and where it is half an hour (Lord Howe). With skip, times in the gap are
// not due. With both, times that the clock shows twice are due twice. A gap of 24 hours
// or more is a date that never was (30 December 2011 in Apia): its times are never due.
//
// # Intervals
//
// Every and @every count from the Unix epoch plus the offset, never from the
// start of a process, and know no zone: 10ms or more, in whole milliseconds.
//
// # Instants
//
// At, StartsAt and EndsAt are written in RFC 3339, to the millisecond: with an offset
// (2026-12-01T09:00:00.250+08:00, or Z), or without one as the clock of
// [Spec.TimeZone] shows it. Seconds may be left out. A local time in a gap is the first
// instant after it, one that the clock shows twice is the first, one on a date that
// never was is refused. StartsAt is the first instant that can be due, EndsAt the first
// that cannot any more.
//
// # After the last run
//
// AfterFinish has no times of its own. What is next depends on when the last run
// ended: [Schedule.Following].
//
// # Jitter
//
// Jitter moves no time. [Schedule.Due] tells when the run of a nominal time is to start:
// later by less than the jitter, by a hash of [Spec.Key] and the time, and before the
// next nominal time.
//
// # Calendars
//
// A [Calendar] is a set of days: dates, ranges, yearly dates, days of the week, and the all-day events of an iCalendar
// file. [Schedule.On] keeps the times whose day counts, in the zone of the expression that has them. A time on
// another day is dropped, or moves to the same time of the next or the previous day that counts, at most 366 days
// away; times that meet there are one.
//
// # Bounds
//
// An expression has at most 256 bytes and a list at most 32; At has at most 1000
// instants. The calendar is the proleptic Gregorian one from year 1 to year 9999; a
// time before is read as its beginning and nothing is due after. A search looks 50
// years ahead, more than the 40 that can lie between two 29ths of February on the same
// day of the week. An expression with years goes from one of its years to the next, to
// the last of them. An expression that can never match is refused by [Parse] with that
// reason: 31 April, 29 February of years that are no leap years, with "and" a second
// Monday from the 1st to the 7th.
//
// # Sharing
//
// Schedules with equal expressions share one compiled form, and equal zones are one
// [time.Location]: a million tasks that run each day are not a million calendars. What
// is shared is never changed, and freed with the last schedule that uses it.
//
// # Not promised
//
// Nodes with different time-zone data may disagree about instants after a change
// of law. The system's data is used where there is any; the data embedded in the
// program is what is used on a machine without.
package schedule
