// Package schedule says when: it turns what a user wrote of "when" into the
// instants a task is due at. It is calendar maths only. It reads no clock,
// starts no goroutine and keeps no state; a time goes in, a time comes out, and
// the same question has the same answer on every node that has the same
// time-zone data.
//
// # Cron expressions
//
// Five fields (minute, hour, day of month, month, day of week) or six with
// seconds first. A field is a list of values, ranges and steps: 5, 1-5, */15,
// 10-50/20, 5/15 (from 5 to the end by 15). Months and days of the week have
// three-letter English names in any case; Sunday is 0 and 7, and ends a range as
// 7 (fri-sun). "?" stands for "*" in the two day fields. The descriptors are
// @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and
// @every with a duration. "CRON_TZ=Zone " or "TZ=Zone " before the expression
// overrides [Spec.TimeZone].
//
// Several expressions are a union: an instant that two of them name is one
// instant.
//
// Days follow crontab(5): when day of month and day of week are both
// restricted, a day that matches either is due; a field that contains "*", with
// a step too, is not restricted, and then both must match. So "0 0 13 * 5" is
// every 13th and every Friday, and "0 0 */2 * 1" is the Mondays with an odd date.
//
// # Daylight saving
//
// The rule is that of Debian's cron. An expression whose minute or hour contains
// "*", with a step too, follows the clock on the wall: it matches what the clock
// shows, in both passes when the clock goes back, and not at all for times that
// the clock jumps over. Any other expression names fixed times, and each of them
// is due once, at the first instant at which the zone's clock has reached it:
//
//   - a time in the gap is due at the first instant after the gap (02:30 in New
//     York on the day of the change is due at 03:00 EDT; several times in one gap
//     are one instant),
//   - a time that the clock shows twice is due the first time.
//
// So a daily task keeps its day where the gap is at midnight (São Paulo, Cairo,
// Havana), and where it is half an hour (Lord Howe). A gap of 24 hours or more is
// a date that never was (30 December 2011 in Apia): its times are not due at all.
//
// # Intervals
//
// Every and @every count from the Unix epoch plus the offset, never from the
// start of a process, and know no zone: 10ms or more, in whole milliseconds.
//
// # Bounds
//
// An expression has at most 256 bytes and a list at most 32. The calendar is the
// proleptic Gregorian one from year 1 to year 9999; a time before is read as
// its beginning and nothing is due after. A search looks 50 years ahead, more
// than the 40 that can lie between two 29ths of February on the same day of the
// week. An expression that no year can match (31 April) is refused by [Parse].
//
// # Not promised
//
// Nodes with different time-zone data may disagree about instants after a change
// of law. The system's data is used where there is any; the data embedded in the
// program is what is used on a machine without.
package schedule
