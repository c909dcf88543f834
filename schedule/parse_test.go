package schedule

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseRefuses(t *testing.T) {
	expr := func(e ...string) Spec { return Spec{Expressions: e} }
	long := strings.Repeat("1,", 127) + "1 * * *" // 262 bytes
	for _, tc := range []struct {
		name string
		spec Spec
		want string // of Error()
	}{
		{"nothing", Spec{}, `schedule: nothing is set: want a cron expression, or every with an interval of at least 10ms`},
		{"both", Spec{Expressions: []string{"@daily"}, Every: time.Minute}, `every: "1m0s": schedule and every exclude each other: want one of them`},
		{"offset without every", Spec{Expressions: []string{"@daily"}, Offset: time.Second}, `offset: "1s": goes with every, not with schedule`},
		{"too many", expr(make([]string, 33)...), `schedule: 33 expressions are too many: want at most 32`},
		{"too long", expr(long), `: 261 bytes are too many: want at most 256`},
		{"empty", expr(""), `schedule: is empty: want a cron expression like 0 3 * * *`},
		{"blank", expr(" \t\n"), `: is empty: `},
		{"second of a list", expr("@daily", "61 * * * *"), `schedule[1]: "61 * * * *": minute 61 is over 59`},

		{"minute over", expr("61 * * * *"), `schedule: "61 * * * *": minute 61 is over 59`},
		{"second over", expr("60 * * * * *"), `second 60 is over 59`},
		{"hour over", expr("0 24 * * *"), `hour 24 is over 23`},
		{"day zero", expr("0 0 0 * *"), `day of month 0 is under 1`},
		{"day over", expr("0 0 32 * *"), `day of month 32 is over 31`},
		{"month over", expr("0 0 1 13 *"), `month 13 is over 12`},
		{"weekday over", expr("0 0 * * 8"), `day of week 8 is over 7`},
		{"unknown name", expr("0 0 * foo *"), `month "foo" is not known: want 1 to 12 or jan to dec`},
		{"name in a range", expr("0 0 * * mon-xyz"), `day of week "xyz" in "mon-xyz" is not known: want 0 to 7 or sun to sat`},
		{"negative", expr("-5 * * * *"), `minute "" in "-5" is not known: want 0 to 59`},
		{"sign", expr("+5 * * * *"), `minute "+5" is not known: want 0 to 59`},
		{"huge", expr("99999999999999999999 * * * *"), `minute "99999999999999999999" is not known: want 0 to 59`},
		{"backwards", expr("0 22-2 * * *"), `hour 22-2 runs backwards: want the lower value first, or 22-23,0-2 for a range over the end`},
		{"backwards with step", expr("0 22-2/2 * * *"), `hour 22-2/2 runs backwards: want the lower value first`},
		{"two hyphens", expr("1-2-3 * * * *"), `minute "2-3" in "1-2-3" is not known: want 0 to 59`},
		{"star range", expr("*-5 * * * *"), `minute "*" in "*-5" is not known: want 0 to 59`},
		{"empty item", expr("1,,2 * * * *"), `minute "1,,2" has an empty item: want values separated by single commas`},
		{"comma only", expr(", * * * *"), `minute "," has an empty item`},
		{"step zero", expr("*/0 * * * *"), `minute step 0 in "*/0" is under 1`},
		{"step over", expr("*/90 * * * *"), `minute step 90 in "*/90" is over 59`},
		{"step missing", expr("*/ * * * *"), `minute step "" in "*/" is not a number: want 1 to 59`},
		{"two slashes", expr("*/2/3 * * * *"), `minute step "2/3" in "*/2/3" is not a number`},
		{"question mark", expr("? * * * *"), `minute ? is not known: want *`},
		{"four fields", expr("* * * *"), `has 4 fields: want 5 (minute, hour, day of month, month, day of week), 6 with seconds first, or 7 with seconds first and years last`},
		{"eight fields", expr("* * * * * * * *"), `has 8 fields: `},

		{"30 February", expr("0 0 30 2 *"), `can never match: day of month 30 does not exist in February`},
		{"31 of short months", expr("0 0 31 4,6 *"), `can never match: day of month 31 does not exist in April or June`},
		{"31 of short months and weekday", expr("0 0 30,31 2 */2"), `can never match: day of month 30 does not exist in February`},

		{"31W of short months", expr("0 0 31W 4,6 *"), `can never match: day of month 31W does not exist in April or June`},
		{"29 February of other years", expr("0 0 0 29 2 * 2025-2027"), `can never match: day of month 29 does not exist in February of 2025-2027`},
		{"29 February 2100", expr("0 0 0 29 2 * 2100"), `can never match: day of month 29 does not exist in February of 2100`},
		{"fifth Monday of a short February", expr("0 0 0 ? 2 mon#5 2026-2027"), `can never match: no day in February of 2026,2027 matches both`},
		{"neither day of February", expr("0 0 0 31W 2 mon#5 2026"),
			`can never match: day of month 31W does not exist in February of 2026, and no day there matches day of week`},
		{"second Monday in the first week", Spec{Expressions: []string{"0 0 1-7 * 1#2"}, DayMatch: And},
			`can never match: no day in any month matches both day of month and day of week`},
		{"last Sunday that is a working day", Spec{Expressions: []string{"0 0 LW 1-3 sunL"}, DayMatch: And},
			`can never match: no day in January or February or March matches both day of month and day of week`},
		{"a Friday the 13th in a year without", Spec{Expressions: []string{"0 0 0 13 1 5 2026"}, DayMatch: And},
			`can never match: no day in January of 2026 matches both day of month and day of week`},
		{"a date that never was", Spec{Expressions: []string{"0 0 12 30 12 * 2011"}, TimeZone: "Pacific/Apia"},
			`can never match: the clock in Pacific/Apia skips every time that it names`},
		{"only times in a gap, skipped", Spec{Expressions: []string{"0 30 2 29 3 * 2026"}, TimeZone: "Europe/Berlin", DaylightSaving: Skip},
			`can never match: the clock in Europe/Berlin skips every time that it names`},

		{"year under", expr("0 0 0 1 1 * 1969"), `year 1969 is under 1970`},
		{"year over", expr("0 0 0 1 1 * 10000"), `year 10000 is over 9999`},
		{"year not known", expr("0 0 0 1 1 * next"), `year "next" is not known: want 1970 to 9999`},
		{"years backwards", expr("0 0 0 1 1 * 2030-2026"), `year 2030-2026 runs backwards: want the lower value first`},
		{"year empty item", expr("0 0 0 1 1 * 2026,"), `year "2026," has an empty item`},
		{"year question mark", expr("0 0 0 1 1 * ?"), `year ? is not known: want *`},
		{"years of many steps", expr("0 0 0 1 1 * */7,*/11,*/13"), `separate ranges: want at most 64`},
		{"hash of years", Spec{Expressions: []string{"0 0 0 1 1 * H"}, Key: "default/backup"}, `year "H" is not known`},

		{"bare L of the week", expr("0 0 * * L"), `day of week L does not say which day: want 5L for the last Friday of the month, or 6 for every Saturday`},
		{"L of an unknown day", expr("0 0 * * xL"), `day of week "x" in "xL" is not known`},
		{"L of a range", expr("0 0 * * 1-5L"), `day of week "1-5" in "1-5L" is not known`},
		{"L of a number over", expr("0 0 * * 8L"), `day of week 8 is over 7`},
		{"sixth Monday", expr("0 0 * * mon#6"), `day of week #6 in "mon#6" is not known: want #1 to #5`},
		{"zeroth Monday", expr("0 0 * * mon#0"), `day of week #0 in "mon#0" is not known: want #1 to #5`},
		{"Monday of no number", expr("0 0 * * mon#"), `day of week # in "mon#" is not known: want #1 to #5`},
		{"number of no day", expr("0 0 * * #2"), `day of week "" in "#2" is not known`},
		{"bare W", expr("0 0 W * *"), `day of month W stands behind a day: want 1W to 31W, or LW`},
		{"W of a range", expr("0 0 1-15W * *"), `day of month "1-15" in "1-15W" is not known: want 1 to 31`},
		{"W over", expr("0 0 32W * *"), `day of month 32 is over 31`},
		{"L and an offset", expr("0 0 L-3 * *"), `day of month L-3 is not supported: want L for the last day, ` +
			`LW for the last working day, or 15W for the working day nearest to the 15th`},
		{"l and an offset, among others", expr("0 0 1,l-3w * *"), `day of month l-3w is not supported: want L`},
		{"L of the month in another field", expr("0 L * * *"), `hour "L" is not known: want 0 to 23`},
		{"# in the month's days", expr("0 0 1#2 * *"), `day of month "1#2" is not known: want 1 to 31`},

		{"H without a key", expr("H 3 * * *"), `minute H spreads by the hash of a key, namespace/task, and none is given: want the key, or a value instead`},
		{"H and more", Spec{Expressions: []string{"H5 3 * * *"}, Key: "default/backup"}, `minute "H5" is not known: want H, H(a-b), H/n or H(a-b)/n`},
		{"H open", Spec{Expressions: []string{"H(1-5 3 * * *"}, Key: "default/backup"}, `minute "H(1-5" is not known: want H, H(a-b), H/n or H(a-b)/n`},
		{"H of one value", Spec{Expressions: []string{"H(5) 3 * * *"}, Key: "default/backup"}, `minute "H(5)" is not known`},
		{"H over", Spec{Expressions: []string{"H(1-60) 3 * * *"}, Key: "default/backup"}, `minute 60 is over 59`},
		{"H backwards", Spec{Expressions: []string{"0 H(22-2) * * *"}, Key: "default/backup"}, `hour 22-2 runs backwards: want the lower value first`},
		{"H step zero", Spec{Expressions: []string{"H/0 3 * * *"}, Key: "default/backup"}, `minute step 0 in "H/0" is under 1`},
		{"H step over its range", Spec{Expressions: []string{"H(0-9)/11 3 * * *"}, Key: "default/backup"},
			`minute step 11 in "H(0-9)/11" is over 10, the number of values`},
		{"H of Sunday twice", Spec{Expressions: []string{"0 3 * * H(0-7)"}, Key: "default/backup"}, `are both Sunday: want 0-6 or 1-7`},

		{"daylight saving", Spec{Expressions: []string{"@daily"}, DaylightSaving: "twice"}, `daylightSaving: "twice": is not known: want once, skip or both`},
		{"day match", Spec{Expressions: []string{"@daily"}, DayMatch: "xor"}, `dayMatch: "xor": is not known: want or or and`},
		{"schedule and at", Spec{Expressions: []string{"@daily"}, At: []string{"2026-12-01T09:00"}},
			`at: "2026-12-01T09:00": schedule and at exclude each other: want one of them`},
		{"every and afterFinish", Spec{Every: time.Minute, AfterFinish: time.Hour},
			`afterFinish: "1h0m0s": every and afterFinish exclude each other: want one of them`},
		{"offset with at", Spec{At: []string{"2026-12-01T09:00"}, Offset: time.Second}, `offset: "1s": goes with every, not with at`},
		{"afterFinish negative", Spec{AfterFinish: -time.Minute}, `afterFinish: "-1m0s": is not positive: want at least 10ms`},
		{"afterFinish short", Spec{AfterFinish: time.Millisecond}, `afterFinish: "1ms": is too short: want at least 10ms`},
		{"jitter negative", Spec{Every: time.Minute, Jitter: -time.Second}, `jitter: "-1s": is negative: want at least 0s`},
		{"jitter fraction", Spec{Every: time.Minute, Jitter: time.Microsecond}, `jitter: "1µs": is not in whole milliseconds`},

		{"every zero", expr("@every 0s"), `@every 0s is not positive: want at least 10ms`},
		{"every negative", expr("@every -1h"), `@every -1h is not positive: want at least 10ms`},
		{"every short", expr("@every 9ms"), `@every 9ms is too short: want at least 10ms`},
		{"every fraction", expr("@every 10500us"), `@every 10500us is not in whole milliseconds`},
		{"every bare", expr("@every"), `@every needs a duration: want one like 90s, 1h30m or 7d`},
		{"every number", expr("@every 90"), `"90" is not a duration: want one like 90s, 1h30m or 7d`},
		{"every, days behind", expr("@every 12h1d"), `"12h1d" is not a duration: want one like 90s, 1h30m or 7d`},
		{"every, days apart", expr("@every 1d 12h"), `"1d 12h" is not a duration`},
		{"every, part of a day", expr("@every 1.5d"), `"1.5d" is not a duration`},
		{"every, less than days", expr("@every 7d-1h"), `"7d-1h" is not a duration`},
		{"every, days and a bare number", expr("@every 1d0"), `"1d0" is not a duration`},
		{"every, days overflow", expr("@every 106752d"), `"106752d" is not a duration`},
		{"every, days and more overflow", expr("@every 106751d24h"), `"106751d24h" is not a duration`},
		{"every of no days", expr("@every 0d"), `@every 0d is not positive: want at least 10ms`},
		{"every overflow", expr("@every 9999999h"), `"9999999h" is not a duration`},
		{"every in a zone", expr("CRON_TZ=UTC @every 1h"), `@every counts from the Unix epoch and has no time zone: leave the zone out`},
		{"reboot", expr("@reboot"), `@reboot names no time`},
		{"unknown descriptor", expr("@fortnightly"), `"@fortnightly" is not known: want @yearly`},
		{"descriptor and more", expr("@daily 5"), `@daily stands alone: nothing may follow it`},

		{"bare TZ", expr("TZ=UTC"), `nothing follows TZ=UTC: want a cron expression after it`},
		{"bare CRON_TZ", expr("CRON_TZ=UTC"), `nothing follows CRON_TZ=UTC: want a cron expression after it`},
		{"bare CRON_TZ and space", expr("CRON_TZ=UTC "), `nothing follows CRON_TZ=UTC`},
		{"empty TZ", expr("TZ= * * * * *"), `TZ= has no time zone after it: want an IANA name`},
		{"two prefixes", expr("TZ=UTC TZ=UTC * * * * *"), `second "TZ=UTC" is not known: want 0 to 59`},
		{"unknown zone prefix", expr("TZ=Mars/Olympus 0 0 * * *"), `TZ="Mars/Olympus": no such time zone: want an IANA name`},
		{"local zone prefix", expr("CRON_TZ=Local 0 0 * * *"), `CRON_TZ="Local": differs from one machine to the next`},

		{"every field short", Spec{Every: 5 * time.Millisecond}, `every: "5ms": is too short: want at least 10ms`},
		{"every field negative", Spec{Every: -time.Hour}, `every: "-1h0m0s": is not positive: want at least 10ms`},
		{"every field fraction", Spec{Every: time.Second + 1}, `every: "1.000000001s": is not in whole milliseconds`},
		{"offset negative", Spec{Every: time.Minute, Offset: -1}, `offset: "-1ns": is negative: want at least 0s and less than every (1m)`},
		{"offset too long", Spec{Every: time.Minute, Offset: time.Minute}, `offset: "1m0s": is not less than every (1m)`},
		{"offset fraction", Spec{Every: time.Minute, Offset: 1}, `offset: "1ns": is not in whole milliseconds`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.spec)
			if err == nil {
				t.Fatalf("accepted as %s, want %s", s, tc.want)
			}
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("error is a %T, want *Error", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got  %s\nwant %s", err, tc.want)
			}
			if len(err.Error()) > 600 {
				t.Fatalf("message of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestTimeZoneRefused(t *testing.T) {
	for _, name := range []string{
		"Local", "local", "localtime", "posixrules", "Mars/Olympus", "Europe/", "/Europe/Berlin", "Europe//Berlin",
		"../../etc/passwd", "/etc/passwd", "Europe/../../../etc/passwd", `..\..\etc\passwd`, "right/UTC", "posix/UTC",
		"Europe/Berlin\x00", "Europe/Berlin ", " UTC", "Europe\nBerlin", "zone.tab", "+02:00", "UTC+8", "北京", "America",
		strings.Repeat("A", 300),
	} {
		_, err := Parse(Spec{Expressions: []string{"@daily"}, TimeZone: name})
		var refused *Error
		if !errors.As(err, &refused) || refused.Field != "timeZone" || refused.Value != cut(name) {
			t.Errorf("TimeZone %q: %v, want an Error that names it", name, err)
		}
	}
	for _, name := range []string{"", "UTC", "Etc/UTC", "Etc/GMT+8", "EST5EDT", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"} {
		if _, err := Parse(Spec{Expressions: []string{"@daily"}, TimeZone: name}); err != nil {
			t.Errorf("TimeZone %q: %v", name, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, tc := range []struct{ zone, in, want string }{
		{"", "*/5 * * * *", "*/5 * * * *"},
		{"", "  */5\t*  * * *\n", "*/5 * * * *"},
		{"UTC", "*/1 */1 ? * ?", "* * * * *"},
		{"", "0 */5 * * * *", "*/5 * * * *"},
		{"", "*/10 0 0 1 */3 *", "*/10 0 0 1 */3 *"},
		{"", "0-59 0-23 1-31 1-12 0-7", "0-59 0-23 1-31 * 0-6"},
		{"", "0/5 9-17/1 * * mon-fri", "0-55/5 9-17 * * 1-5"},
		{"", "5,4,3,3,2 1,2 1 JAN,mar Sun", "2-5 1,2 1 1,3 0"},
		{"", "0 0 * * 7", "0 0 * * 0"},
		{"", "0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"", "0 0 * * fri-sun", "0 0 * * 0,5,6"},
		{"", "0 0 * * 1-7/2", "0 0 * * 0,1,3,5"},
		{"", "0 0 * * 0-7/2", "0 0 * * 0-6/2"},
		{"", "0 0 * * 7/2", "0 0 * * 0"},
		{"", "0 0 * * sun-mon", "0 0 * * 0,1"},
		{"", "*/20,7 * * * *", "*/20,7 * * * *"},
		{"", "5/15 * * * *", "5-50/15 * * * *"},
		{"", "0 0 l,1,15w,lw,2W * *", "0 0 1,2W,15W,L,LW * *"},
		{"", "0 0 L * *", "0 0 L * *"},
		{"", "0 0 *,L * *", "0 0 *,L * *"},
		{"", "0 0 * * Mon#2,fril,5#3,7L,7#1,1", "0 0 * * 1,0#1,1#2,5#3,0L,5L"},
		{"", "0 0 3 1 1 * *", "0 3 1 1 *"},
		{"", "5 0 3 1 1 * */1", "5 0 3 1 1 *"},
		{"", "0 0 3 1 1 * 2028,2026,2027,2030", "0 0 3 1 1 * 2026-2028,2030"},
		{"", "0 0 3 1 1 * 2026,2030,2028,2026", "0 0 3 1 1 * 2026-2030/2"},
		{"", "0 0 3 1 1 * 2026-2031/2", "0 0 3 1 1 * 2026-2030/2"},
		{"", "0 0 3 1 1 * 9990/5", "0 0 3 1 1 * 9990,9995"},
		{"", "0 0 3 1 1 * 1970-2026,2020-9999", "0 3 1 1 *"},
		{"Asia/Shanghai", "0 0 3 1 1 * 2026", "CRON_TZ=Asia/Shanghai 0 0 3 1 1 * 2026"},
		{"", "@hourly", "0 * * * *"},
		{"", "@daily", "0 0 * * *"},
		{"", "@midnight", "0 0 * * *"},
		{"", "@weekly", "0 0 * * 0"},
		{"", "@monthly", "0 0 1 * *"},
		{"", "@yearly", "0 0 1 1 *"},
		{"", "@annually", "0 0 1 1 *"},
		{"", "@every 90s", "@every 1m30s"},
		{"", "@every 1d", "@every 24h"},
		{"", "@EVERY 1d12h", "@every 36h"},
		{"", "@Daily", "0 0 * * *"},
		{"", "TZ=UTC @MIDNIGHT", "0 0 * * *"},
		{"Asia/Shanghai", "@every 3600s", "@every 1h"},
		{"Asia/Shanghai", "0 9 * * *", "CRON_TZ=Asia/Shanghai 0 9 * * *"},
		{"Asia/Shanghai", "TZ=Europe/Berlin 0 9 * * *", "CRON_TZ=Europe/Berlin 0 9 * * *"},
		{"Asia/Shanghai", "CRON_TZ=UTC\t@daily", "0 0 * * *"},
	} {
		s, err := Parse(Spec{Expressions: []string{tc.in}, TimeZone: tc.zone})
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if s.String() != tc.want {
			t.Errorf("%q is %q, want %q", tc.in, s, tc.want)
		}
		if again := mustParse(t, tc.want, ""); again.String() != tc.want {
			t.Errorf("%q again is %q", tc.want, again)
		}
	}

	for _, tc := range []struct {
		name string
		spec Spec
		want string
	}{
		{"union", Spec{Expressions: []string{"@daily", "*/5 * * * *", "0 0 * * *", "@every 1m"}}, "*/5 * * * * | 0 0 * * * | @every 1m"},
		{"interval", Spec{Every: 30 * time.Second, Offset: 5 * time.Second}, "@every 30s offset 5s"},
		{"instants", Spec{At: []string{"2026-12-01T09:00", "2026-12-01T00:30:00.250Z"}, TimeZone: "Asia/Shanghai"},
			"at 2026-12-01T00:30:00.25Z, 2026-12-01T01:00:00Z"},
		{"after finish", Spec{AfterFinish: 90 * time.Minute}, "afterFinish 1h30m"},
		{"everything", Spec{Expressions: []string{"30 2 13 * 5"}, TimeZone: "Europe/Berlin", DaylightSaving: Both, DayMatch: And,
			StartsAt: "2026-12-01T00:00", EndsAt: "2027-12-01T00:00Z", Jitter: 90 * time.Second},
			"CRON_TZ=Europe/Berlin 30 2 13 * 5; daylightSaving both; dayMatch and; " +
				"startsAt 2026-11-30T23:00:00Z; endsAt 2027-12-01T00:00:00Z; jitter 1m30s"},
		{"what makes no difference", Spec{Expressions: []string{"30 2 * * 5", "CRON_TZ=Europe/Berlin 30 * * * *"}, DaylightSaving: Skip, DayMatch: And},
			"30 2 * * 5 | CRON_TZ=Europe/Berlin 30 * * * *"},
	} {
		s, err := Parse(tc.spec)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if s.String() != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, s, tc.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	const reason = "is due on days that match day of month or day of week, not only on those that match both: " +
		"dayMatch: and asks for both, dayMatch: or says that this is meant"
	for _, tc := range []struct {
		name string
		spec Spec
		want []Error
	}{
		{"both days restricted", Spec{Expressions: []string{"0 0 13 * 5"}}, []Error{{"schedule", "0 0 13 * 5", reason}}},
		{"in a list", Spec{Expressions: []string{"@daily", "0 0 L * FRIL"}}, []Error{{"schedule[1]", "0 0 L * FRIL", reason}}},
		{"full range", Spec{Expressions: []string{"0 0 1-31 * 5"}}, []Error{{"schedule", "0 0 1-31 * 5", reason}}},
		{"or is meant", Spec{Expressions: []string{"0 0 13 * 5"}, DayMatch: Or}, nil},
		{"and", Spec{Expressions: []string{"0 0 13 * 5"}, DayMatch: And}, nil},
		{"and, needlessly", Spec{Expressions: []string{"0 0 13 * *"}, DayMatch: And}, nil},
		{"one day restricted", Spec{Expressions: []string{"0 0 13 * *", "0 0 */2 * 5", "0 0 ? * 5#2"}}, nil},
		{"interval", Spec{Every: time.Minute}, nil},
	} {
		s, err := Parse(tc.spec)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := s.Warnings(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestErrorValueIsCutBetweenCharacters(t *testing.T) {
	_, err := Parse(Spec{Expressions: []string{strings.Repeat("界", 80)}})
	var refused *Error
	if !errors.As(err, &refused) || refused.Value != strings.Repeat("界", 26)+"…" {
		t.Fatalf("got %q", err)
	}
}
