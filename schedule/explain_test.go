package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestExplainExpressions(t *testing.T) {
	for _, tc := range []struct{ expr, en, zh string }{
		{
			expr: "* * * * *",
			en:   "Every minute.",
			zh:   "每分钟。",
		},
		{
			expr: "*/5 * * * *",
			en:   "Every 5 minutes.",
			zh:   "每 5 分钟。",
		},
		{
			expr: "2/5 * * * *",
			en:   "Every 5 minutes, from 2 minutes past every hour.",
			zh:   "每 5 分钟（自每小时第 2 分起）。",
		},
		{
			expr: "0 * * * *",
			en:   "Every hour on the hour.",
			zh:   "每小时整点。",
		},
		{
			expr: "15 * * * *",
			en:   "At 15 minutes past every hour.",
			zh:   "每小时第 15 分。",
		},
		{
			expr: "30 15 * * * *",
			en:   "At 15 minutes and 30 seconds past every hour.",
			zh:   "每小时第 15 分 30 秒。",
		},
		{
			expr: "*/7 * * * *",
			en:   "Every 7 minutes from minute 0 to 56 of every hour.",
			zh:   "每小时第 0 至 56 分之间，每隔 7 分钟。",
		},
		{
			expr: "5,17,23,41 * * * *",
			en:   "At minutes 5, 17, 23 and 41 of every hour.",
			zh:   "每小时第 5、17、23、41 分。",
		},
		{
			expr: "0 */2 * * *",
			en:   "Every 2 hours from 00:00 to 22:00.",
			zh:   "每天 00:00 至 22:00 每 2 小时。",
		},
		{
			expr: "30 */2 * * *",
			en:   "Every 2 hours from 00:30 to 22:30.",
			zh:   "每天 00:30 至 22:30 每 2 小时。",
		},
		{
			expr: "0 */5 * * *",
			en:   "Every 5 hours from 00:00 to 20:00.",
			zh:   "每天 00:00 至 20:00 每 5 小时。",
		},
		{
			expr: "* * * * * *",
			en:   "Every second.",
			zh:   "每秒。",
		},
		{
			expr: "*/10 * * * * *",
			en:   "Every 10 seconds.",
			zh:   "每 10 秒。",
		},
		{
			expr: "3/10 * * * * *",
			en:   "Every 10 seconds, from second 3 of every minute.",
			zh:   "每 10 秒（自每分钟第 3 秒起）。",
		},
		{
			expr: "30 * * * * *",
			en:   "At second 30 of every minute.",
			zh:   "每分钟第 30 秒。",
		},
		{
			expr: "*/20 30 2 * * *",
			en:   "At 02:30:00, 02:30:20 and 02:30:40.",
			zh:   "每天 02:30:00、02:30:20 和 02:30:40。",
		},
		{
			expr: "*/20 1,7,9 * * * *",
			en:   "At seconds 0, 20 and 40 of minutes 1, 7 and 9 of every hour.",
			zh:   "每小时第 1、7、9 分的第 0、20、40 秒。",
		},
		{
			expr: "*/10 */5 * * * *",
			en:   "Every 10 seconds from second 0 to 50 of every 5th minute from 0 to 55 of every hour.",
			zh:   "每小时第 0、5、10、15、20、25、30、35、40、45、50、55 分的第 0 至 50 秒之间，每隔 10 秒。",
		},
		{
			expr: "* 30 9 * * *",
			en:   "Every second from 09:30:00 to 09:30:59.",
			zh:   "每天 09:30:00 至 09:30:59 每秒。",
		},
		{
			expr: "1,2,5 * 9,11,13,15,17 * * *",
			en:   "At seconds 1, 2 and 5 of every minute of every 2nd hour from 9 to 17.",
			zh:   "每天 9、11、13、15、17 点的每分钟的第 1、2、5 秒。",
		},
		{
			expr: "@daily",
			en:   "At 00:00.",
			zh:   "每天 00:00。",
		},
		{
			expr: "0,30 8 * * *",
			en:   "At 08:00 and 08:30.",
			zh:   "每天 08:00 和 08:30。",
		},
		{
			expr: "0 */6 * * *",
			en:   "At 00:00, 06:00, 12:00 and 18:00.",
			zh:   "每天 00:00、06:00、12:00 和 18:00。",
		},
		{
			expr: "0 8,9,13,15,16,22 * * *",
			en:   "At 08:00, 09:00, 13:00, 15:00, 16:00 and 22:00.",
			zh:   "每天 08:00、09:00、13:00、15:00、16:00 和 22:00。",
		},
		{
			expr: "*/10 9-17 * * *",
			en:   "Every 10 minutes from 09:00 to 17:50.",
			zh:   "每天 09:00 至 17:50 每 10 分钟。",
		},
		{
			expr: "* 9 * * *",
			en:   "Every minute from 09:00 to 09:59.",
			zh:   "每天 09:00 至 09:59 每分钟。",
		},
		{
			expr: "0 9-12,14-17 * * *",
			en:   "Every hour from 09:00 to 12:00 and from 14:00 to 17:00.",
			zh:   "每天 09:00 至 12:00 和 14:00 至 17:00 每小时。",
		},
		{
			expr: "*/15 8,12 * * *",
			en:   "Every 15 minutes from 08:00 to 08:45 and from 12:00 to 12:45.",
			zh:   "每天 08:00 至 08:45 和 12:00 至 12:45 每 15 分钟。",
		},
		{
			expr: "*/15 */2 * * *",
			en:   "Every 15 minutes from minute 0 to 45 of every 2nd hour from 0 to 22.",
			zh:   "每天 0、2、4、6、8、10、12、14、16、18、20、22 点的第 0 至 45 分之间，每隔 15 分钟。",
		},
		{
			expr: "0-10,30 9-11,15 * * *",
			en:   "At minutes 0 to 10 and 30 of hours 9 to 11 and 15.",
			zh:   "每天 9–11、15 点的第 0–10、30 分。",
		},
		{
			expr: "0 0-23 * * *",
			en:   "Every hour from 00:00 to 23:00.",
			zh:   "每天 00:00 至 23:00 每小时。",
		},
		{
			expr: "0-59/5 0-23 * * *",
			en:   "Every 5 minutes from 00:00 to 23:55.",
			zh:   "每天 00:00 至 23:55 每 5 分钟。",
		},
		{
			expr: "5,7,30 0-23 * * *",
			en:   "At minutes 5, 7 and 30 of hours 0 to 23.",
			zh:   "每天 0–23 点的第 5、7、30 分。",
		},
		{
			expr: "0 9 * * 1-5",
			en:   "At 09:00 from Monday to Friday.",
			zh:   "每周一至周五 09:00。",
		},
		{
			expr: "0 9 * * mon,wed,fri",
			en:   "At 09:00 on every Monday, Wednesday and Friday.",
			zh:   "每周一、周三和周五 09:00。",
		},
		{
			expr: "0 9 * * sat,sun",
			en:   "At 09:00 on every Saturday and Sunday.",
			zh:   "每周六和周日 09:00。",
		},
		{
			expr: "0 9 * * fri-sun,mon",
			en:   "At 09:00 from Friday to Monday.",
			zh:   "每周五至周一 09:00。",
		},
		{
			expr: "*/5 * * * 7",
			en:   "Every 5 minutes, on every Sunday.",
			zh:   "每周日每 5 分钟。",
		},
		{
			expr: "0 0 * * MON#2",
			en:   "At 00:00 on the second Monday of the month.",
			zh:   "每月第二个周一 00:00。",
		},
		{
			expr: "0 0 * * MON#2,MON#4",
			en:   "At 00:00 on the second and fourth Monday of the month.",
			zh:   "每月第二个周一和每月第四个周一 00:00。",
		},
		{
			expr: "0 0 * * 5L",
			en:   "At 00:00 on the last Friday of the month.",
			zh:   "每月最后一个周五 00:00。",
		},
		{
			expr: "0 0 * * 5,MON#2",
			en:   "At 00:00 on every Friday and on the second Monday of the month.",
			zh:   "每周五和每月第二个周一 00:00。",
		},
		{
			expr: "0 0 * * 1-5,SUN#1,SUNL",
			en:   "At 00:00 from Monday to Friday and on the first and last Sunday of the month.",
			zh:   "每周一至周五、每月第一个周日和每月最后一个周日 00:00。",
		},
		{
			expr: "30 2 1,15 * *",
			en:   "At 02:30 on days 1 and 15 of the month.",
			zh:   "每月 1 日和 15 日 02:30。",
		},
		{
			expr: "0 0 1-7 * *",
			en:   "At 00:00 on days 1 to 7 of the month.",
			zh:   "每月 1 日至 7 日 00:00。",
		},
		{
			expr: "0 0 */2 * *",
			en:   "At 00:00 on every 2nd day from 1 to 31 of the month.",
			zh:   "每月 1 日至 31 日每隔一天 00:00。",
		},
		{
			expr: "0 0 L * *",
			en:   "At 00:00 on the last day of the month.",
			zh:   "每月最后一天 00:00。",
		},
		{
			expr: "0 0 LW * *",
			en:   "At 00:00 on the last working day (Monday to Friday) of the month.",
			zh:   "每月最后一个工作日（周一至周五）00:00。",
		},
		{
			expr: "0 0 15W * *",
			en:   "At 00:00 on the working day (Monday to Friday) nearest to day 15 of the month.",
			zh:   "每月最接近 15 日的工作日（周一至周五）00:00。",
		},
		{
			expr: "0 0 1,15,L * *",
			en:   "At 00:00 on days 1 and 15 and the last day of the month.",
			zh:   "每月 1 日、15 日和最后一天 00:00。",
		},
		{
			expr: "0 0 5-10,20,LW * *",
			en:   "At 00:00 on days 5 to 10 and 20 and the last working day (Monday to Friday) of the month.",
			zh:   "每月 5 日至 10 日、20 日和最后一个工作日（周一至周五）00:00。",
		},
		{
			expr: "0 0 13 * 5",
			en:   "At 00:00 on day 13 of the month, and on every Friday.",
			zh:   "每月 13 日以及每周五 00:00。",
		},
		{
			expr: "0 0 1-31 * 5",
			en:   "At 00:00.",
			zh:   "每天 00:00。",
		},
		{
			expr: "0 0 13 * 0-6",
			en:   "At 00:00.",
			zh:   "每天 00:00。",
		},
		{
			expr: "0 0 1-7 * 1L",
			en:   "At 00:00 on days 1 to 7 of the month, and on the last Monday of the month.",
			zh:   "每月 1 日至 7 日以及每月最后一个周一 00:00。",
		},
		{
			expr: "0 0 */2 * 1",
			en:   "At 00:00 on every 2nd day from 1 to 31 of the month if it is a Monday.",
			zh:   "每月 1 日至 31 日每隔一天（仅当该日为周一）00:00。",
		},
		{
			expr: "0 0 13 3 5",
			en:   "At 00:00 on day 13 of the month, and on every Friday, in March.",
			zh:   "每年 3 月 13 日以及当月的每周五 00:00。",
		},
		{
			expr: "0 9 * 3 *",
			en:   "At 09:00 in March.",
			zh:   "每年 3 月每天 09:00。",
		},
		{
			expr: "0 9 * 6-8 *",
			en:   "At 09:00 from June to August.",
			zh:   "每年 6 月至 8 月的每天 09:00。",
		},
		{
			expr: "0 9 * 11,12,1,2 *",
			en:   "At 09:00 from November to February.",
			zh:   "每年 11 月至次年 2 月的每天 09:00。",
		},
		{
			expr: "0 9 * 6-8 1",
			en:   "At 09:00 on every Monday from June to August.",
			zh:   "每年 6 月至 8 月的每周一 09:00。",
		},
		{
			expr: "0 9 * 6-8 1-5",
			en:   "At 09:00 from Monday to Friday, from June to August.",
			zh:   "每年 6 月至 8 月的每周一至周五 09:00。",
		},
		{
			expr: "0 9 * 1,7 1-5",
			en:   "At 09:00 from Monday to Friday, in January and July.",
			zh:   "每年 1 月和 7 月的每周一至周五 09:00。",
		},
		{
			expr: "0 0 * 3 MON#2",
			en:   "At 00:00 on the second Monday of March.",
			zh:   "每年 3 月第二个周一 00:00。",
		},
		{
			expr: "0 0 * 3 5,MON#2",
			en:   "At 00:00 on every Friday and on the second Monday of the month, in March.",
			zh:   "每年 3 月每周五和第二个周一 00:00。",
		},
		{
			expr: "0 9 1 6-8 *",
			en:   "At 09:00 on day 1 of each month from June to August.",
			zh:   "每年 6 月至 8 月的 1 日 09:00。",
		},
		{
			expr: "0 9 1 */3 *",
			en:   "At 09:00 on day 1 of January, April, July and October.",
			zh:   "每年 1 月、4 月、7 月和 10 月的 1 日 09:00。",
		},
		{
			expr: "0 0 29 2 *",
			en:   "At 00:00 on 29 February.",
			zh:   "每年 2 月 29 日 00:00。",
		},
		{
			expr: "@yearly",
			en:   "At 00:00 on 1 January.",
			zh:   "每年 1 月 1 日 00:00。",
		},
		{
			expr: "0 0 0 1 1 * 2027",
			en:   "At 00:00 on 1 January 2027.",
			zh:   "2027 年 1 月 1 日 00:00。",
		},
		{
			expr: "0 0 9 * * * 2026-2030",
			en:   "At 09:00, from 2026 to 2030.",
			zh:   "2026 年至 2030 年每天 09:00。",
		},
		{
			expr: "0 0 9 * * * 2026/2",
			en:   "At 09:00, in every 2nd year from 2026 to 9998.",
			zh:   "2026 年至 9998 年（每 2 年）每天 09:00。",
		},
		{
			expr: "0 0 9 29 2 * 2028,2032",
			en:   "At 09:00 on 29 February, in 2028 and 2032.",
			zh:   "2028 年和 2032 年 2 月 29 日 09:00。",
		},
		{
			expr: "0 0 9 * 3 * 2027,2030-2040",
			en:   "At 09:00 in March, in 2027 and 2030 to 2040.",
			zh:   "2027 年和 2030 年至 2040 年 3 月每天 09:00。",
		},
		{
			expr: "0 */5 * * * * 2027",
			en:   "Every 5 minutes, in 2027.",
			zh:   "2027 年每 5 分钟。",
		},
		{
			expr: "0 0 9 * 11,12,1,2 * 2027",
			en:   "At 09:00 in January, February, November and December, in 2027.",
			zh:   "2027 年 1 月、2 月、11 月和 12 月的每天 09:00。",
		},
		{
			expr: "0 0 13 1,7 5",
			en:   "At 00:00 on day 13 of the month, and on every Friday, in January and July.",
			zh:   "每年 1 月和 7 月的 13 日以及当月的每周五 00:00。",
		},
		{
			expr: "0 */5 * 3 *",
			en:   "Every 5 hours from 00:00 to 20:00, in March.",
			zh:   "每年 3 月每天 00:00 至 20:00 每 5 小时。",
		},
		{
			expr: "0 0 15W 2 *",
			en:   "At 00:00 on the working day (Monday to Friday) nearest to day 15 of February.",
			zh:   "每年 2 月最接近 15 日的工作日（周一至周五）00:00。",
		},
		{
			expr: "0 12 1-7 * *",
			en:   "At 12:00 on days 1 to 7 of the month.",
			zh:   "每月 1 日至 7 日 12:00。",
		},
	} {
		t.Run(tc.expr, func(t *testing.T) {
			checkExplain(t, mustParse(t, tc.expr, ""), tc.en, tc.zh)
		})
	}
}

func TestExplainSpecs(t *testing.T) {
	holidays, err := ParseCalendar([]string{"2026-10-01/2026-10-07"}, "")
	if err != nil {
		t.Fatal(err)
	}
	without := func(onExcluded string) Calendars {
		return Calendars{Exclude: []*Calendar{holidays}, OnExcluded: onExcluded}
	}
	only := func(onExcluded string) Calendars {
		return Calendars{Include: []*Calendar{holidays}, OnExcluded: onExcluded}
	}
	both := func(onExcluded string) Calendars {
		return Calendars{Include: []*Calendar{holidays}, Exclude: []*Calendar{holidays}, OnExcluded: onExcluded}
	}
	for _, tc := range []struct {
		name      string
		spec      Spec
		calendars Calendars
		en, zh    string
	}{
		{
			name: "zone",
			spec: Spec{Expressions: []string{"0 9 * * 1-5"}, TimeZone: "Asia/Shanghai"},
			en:   "At 09:00 from Monday to Friday, Asia/Shanghai time.",
			zh:   "每周一至周五 09:00（Asia/Shanghai 时间）。",
		},
		{
			name: "zone of the expression",
			spec: Spec{Expressions: []string{"CRON_TZ=Asia/Shanghai 0 9 * * 1-5"}, TimeZone: "Europe/Berlin"},
			en:   "At 09:00 from Monday to Friday, Asia/Shanghai time.",
			zh:   "每周一至周五 09:00（Asia/Shanghai 时间）。",
		},
		{
			name: "bounds and jitter",
			spec: Spec{
				Expressions: []string{"0 9 * * 1-5"}, TimeZone: "Asia/Shanghai", Key: "default/report",
				StartsAt: "2026-12-01T00:00", EndsAt: "2027-01-01T00:00", Jitter: 30 * time.Second,
			},
			en: "At 09:00 from Monday to Friday, not before 2026-12-01 00:00 and before 2027-01-01 00:00, Asia/Shanghai time, " +
				"each delayed by less than 30 seconds, and never as late as the next time.",
			zh: "每周一至周五 09:00，不早于 2026-12-01 00:00 且早于 2027-01-01 00:00（Asia/Shanghai 时间），每次推迟不到 30 秒，且总在下一时刻之前。",
		},
		{
			name: "startsAt alone",
			spec: Spec{Every: time.Minute, StartsAt: "2026-12-01T00:00:00+08:00"},
			en:   "Every minute, not before 2026-11-30 16:00 UTC.",
			zh:   "每分钟，不早于 2026-11-30 16:00 UTC。",
		},
		{
			name: "endsAt alone, shown twice",
			spec: Spec{Expressions: []string{"* * * * *"}, EndsAt: "2026-10-25T01:30:00Z", TimeZone: "Europe/Berlin"},
			en:   "Every minute, before 2026-10-25 02:30 +01:00, Europe/Berlin time.",
			zh:   "每分钟，早于 2026-10-25 02:30 +01:00（Europe/Berlin 时间）。",
		},
		{
			name: "an interval has no zone, nor have its bounds",
			spec: Spec{Every: time.Minute, StartsAt: "2026-12-01T00:00", EndsAt: "2027-01-01T00:00", TimeZone: "Asia/Shanghai"},
			en:   "Every minute, not before 2026-11-30 16:00 UTC and before 2026-12-31 16:00 UTC.",
			zh:   "每分钟，不早于 2026-11-30 16:00 UTC 且早于 2026-12-31 16:00 UTC。",
		},
		{
			name: "jitter longer than the interval",
			spec: Spec{Every: time.Minute, Jitter: 5 * time.Minute, Key: "default/report"},
			en:   "Every minute, each delayed by less than 5 minutes, and never as late as the next time.",
			zh:   "每分钟，每次推迟不到 5 分钟，且总在下一时刻之前。",
		},
		{
			name: "what would be bracket after bracket",
			spec: Spec{Expressions: []string{"2/5 * 15W * 5"}, DayMatch: And, TimeZone: "Asia/Shanghai"},
			en: "Every 5 minutes, from 2 minutes past every hour, on the working day (Monday to Friday) nearest to day 15 of the month " +
				"if it is a Friday, Asia/Shanghai time.",
			zh: "每月最接近 15 日的工作日（周一至周五，仅当该日为周五）每 5 分钟（自每小时第 2 分起，Asia/Shanghai 时间）。",
		},
		{
			name: "dayMatch and, alternatives",
			spec: Spec{Expressions: []string{"0 0 13 * 2,4,6,7"}, DayMatch: And},
			en:   "At 00:00 on day 13 of the month if it is a Tuesday, Thursday, Saturday or Sunday.",
			zh:   "每月 13 日（仅当该日为周二、周四、周六或周日）00:00。",
		},
		{
			name: "dayMatch and",
			spec: Spec{Expressions: []string{"0 0 13 * 5"}, DayMatch: And},
			en:   "At 00:00 on day 13 of the month if it is a Friday.",
			zh:   "每月 13 日（仅当该日为周五）00:00。",
		},
		{
			name: "dayMatch and, several days of the week",
			spec: Spec{Expressions: []string{"0 0 L 3 1-3,FRI#5"}, DayMatch: And},
			en:   "At 00:00 on the last day of March if it is a day from Monday to Wednesday or the fifth Friday of the month.",
			zh:   "每年 3 月最后一天（仅当该日为周一至周三或当月第五个周五）00:00。",
		},
		{
			name: "daylightSaving skip",
			spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Skip},
			en:   "At 02:30, Europe/Berlin time, without times that the clock skips.",
			zh:   "每天 02:30（Europe/Berlin 时间），时钟调快时跳过的时刻不执行。",
		},
		{
			name: "daylightSaving both",
			spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Both},
			en:   "At 02:30, Europe/Berlin time, twice when the clock shows a time twice.",
			zh:   "每天 02:30（Europe/Berlin 时间），时钟调慢时重复的时刻执行两次。",
		},
		{
			name: "daylightSaving both makes no difference",
			spec: Spec{Expressions: []string{"*/5 * * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Both},
			en:   "Every 5 minutes, Europe/Berlin time.",
			zh:   "每 5 分钟（Europe/Berlin 时间）。",
		},
		{
			name: "union",
			spec: Spec{Expressions: []string{"0 9 * * 1-5", "0 12 * * 6", "30 10 * * 6"}},
			en:   "At 12:00 on every Saturday; and at 09:00 from Monday to Friday; and at 10:30 on every Saturday.",
			zh:   "每周六 12:00；以及每周一至周五 09:00；以及每周六 10:30。",
		},
		{
			name: "union with an interval",
			spec: Spec{Expressions: []string{"30 2 * * *", "@every 7m"}, TimeZone: "Europe/Berlin"},
			en:   "Every 7 minutes, counted from 1970-01-01 00:00 UTC; and at 02:30, Europe/Berlin time.",
			zh:   "每 7 分钟（自 1970-01-01 00:00 UTC 起算）；以及每天 02:30（Europe/Berlin 时间）。",
		},
		{
			name: "union over zones",
			spec: Spec{
				Expressions: []string{"30 2 * * *", "TZ=Asia/Tokyo 0 9 * * 1-5", "TZ=UTC 1 1 * * *"},
				TimeZone:    "Europe/Berlin", EndsAt: "2027-01-01T00:00",
			},
			en: "At 01:01, UTC time; and at 09:00 from Monday to Friday, Asia/Tokyo time; and at 02:30, Europe/Berlin time, " +
				"before 2026-12-31 23:00 UTC.",
			zh: "每天 01:01（UTC 时间）；以及每周一至周五 09:00（Asia/Tokyo 时间）；以及每天 02:30（Europe/Berlin 时间），" +
				"早于 2026-12-31 23:00 UTC。",
		},
		{
			name: "every",
			spec: Spec{Every: 30 * time.Second, TimeZone: "Asia/Shanghai"},
			en:   "Every 30 seconds.",
			zh:   "每 30 秒。",
		},
		{
			name: "every with offset",
			spec: Spec{Every: 30 * time.Second, Offset: 5 * time.Second},
			en:   "Every 30 seconds, counted from 00:00:05 UTC.",
			zh:   "每 30 秒（自 00:00:05 UTC 起算）。",
		},
		{
			name: "every of milliseconds",
			spec: Spec{Every: 1250 * time.Millisecond, Offset: 250 * time.Millisecond},
			en:   "Every 1 second and 250 milliseconds, counted from 00:00:00.250 UTC.",
			zh:   "每 1 秒 250 毫秒（自 00:00:00.250 UTC 起算）。",
		},
		{
			name: "every fortnight",
			spec: Spec{Every: 14 * 24 * time.Hour, Offset: 4 * 24 * time.Hour},
			en:   "Every 14 days, counted from 1970-01-05 00:00 UTC.",
			zh:   "每 14 天（自 1970-01-05 00:00 UTC 起算）。",
		},
		{
			name: "every day",
			spec: Spec{Every: 24 * time.Hour},
			en:   "Every 24 hours, counted from 00:00 UTC.",
			zh:   "每 24 小时（自 00:00 UTC 起算）。",
		},
		{
			name: "afterFinish",
			spec: Spec{AfterFinish: 10 * time.Minute, TimeZone: "Asia/Shanghai"},
			en:   "10 minutes after the last run ended.",
			zh:   "上次运行结束 10 分钟后。",
		},
		{
			name: "at, one",
			spec: Spec{At: []string{"2026-12-01T09:00:00+08:00"}, TimeZone: "Asia/Shanghai"},
			en:   "Once, at 2026-12-01 09:00, Asia/Shanghai time.",
			zh:   "2026-12-01 09:00，仅一次（Asia/Shanghai 时间）。",
		},
		{
			name: "at, one of two that the clock shows alike",
			spec: Spec{At: []string{"2026-10-25T02:30", "2026-12-01T09:00:00.25Z"}, TimeZone: "Europe/Berlin"},
			en:   "At 2026-10-25 02:30 +02:00 and 2026-12-01 10:00:00.250, Europe/Berlin time.",
			zh:   "2026-10-25 02:30 +02:00 和 2026-12-01 10:00:00.250（Europe/Berlin 时间）。",
		},
		{
			name: "at, many",
			spec: Spec{At: []string{"2026-12-03T09:00", "2026-12-02T09:00", "2026-12-01T09:00", "2026-12-04T09:00:30"}},
			en:   "At 4 given instants, from 2026-12-01 09:00 to 2026-12-04 09:00:30.",
			zh:   "共 4 个指定时刻，从 2026-12-01 09:00 至 2026-12-04 09:00:30。",
		},
		{
			name:      "calendar, skip excluded",
			spec:      Spec{Expressions: []string{"0 9 * * *"}},
			calendars: without(Skip),
			en:        "At 09:00, except on excluded days.",
			zh:        "每天 09:00，日历排除的日期除外。",
		},
		{
			name:      "calendar, skip not included",
			spec:      Spec{Expressions: []string{"0 9 * * *"}},
			calendars: only(Skip),
			en:        "At 09:00, only on included days.",
			zh:        "每天 09:00，仅限日历包含的日期。",
		},
		{
			name:      "calendar, skip both",
			spec:      Spec{Expressions: []string{"0 9 * * *"}},
			calendars: both(Skip),
			en:        "At 09:00, only on included and not excluded days.",
			zh:        "每天 09:00，仅限日历包含且未排除的日期。",
		},
		{
			name:      "calendar, excluded to the next",
			spec:      Spec{Expressions: []string{"0 9 1 * *"}, TimeZone: "Asia/Shanghai"},
			calendars: without(NextIncluded),
			en:        "At 09:00 on day 1 of the month, Asia/Shanghai time, on excluded days moved to the next day that counts.",
			zh:        "每月 1 日 09:00（Asia/Shanghai 时间），遇日历排除的日期则顺延至之后第一个有效日期。",
		},
		{
			name:      "calendar, not included to the next",
			spec:      Spec{Expressions: []string{"0 9 * * *"}},
			calendars: only(NextIncluded),
			en:        "At 09:00, on days that are not included moved to the next day that counts.",
			zh:        "每天 09:00，遇日历未包含的日期则顺延至之后第一个有效日期。",
		},
		{
			name:      "calendar, excluded to the previous",
			spec:      Spec{Expressions: []string{"0 9 L * *", "0 9 15 * *"}},
			calendars: without(PreviousIncluded),
			en: "At 09:00 on day 15 of the month; and at 09:00 on the last day of the month, " +
				"on excluded days moved to the previous day that counts.",
			zh: "每月 15 日 09:00；以及每月最后一天 09:00，遇日历排除的日期则提前至之前最后一个有效日期。",
		},
		{
			name:      "calendar, both to the previous",
			spec:      Spec{Expressions: []string{"0 9 * * *"}},
			calendars: both(PreviousIncluded),
			en:        "At 09:00, on days that are excluded or not included moved to the previous day that counts.",
			zh:        "每天 09:00，遇日历排除或未包含的日期则提前至之前最后一个有效日期。",
		},
		{
			name:      "calendar of an interval, whose days are the zone's",
			spec:      Spec{Every: time.Hour, TimeZone: "Asia/Shanghai"},
			calendars: without(NextIncluded), // intervals are never moved
			en:        "Every hour, except on excluded days of Asia/Shanghai.",
			zh:        "每小时，日历排除的日期除外（按 Asia/Shanghai 的日期）。",
		},
		{
			name:      "calendar of an interval in UTC",
			spec:      Spec{Every: time.Hour},
			calendars: only(Skip),
			en:        "Every hour, only on included days.",
			zh:        "每小时，仅限日历包含的日期。",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			checkExplain(t, s.On(tc.calendars), tc.en, tc.zh)
		})
	}
}

// What would take too long to describe is told by its canonical form.
func TestExplainFallsBack(t *testing.T) {
	const odd = "1,3,8,10,15,17,22,24,29,31,36,38,43,45,50,52,57,59"
	s := mustParse(t, odd+" "+odd+" 1,2,4,5,7,8,10,11,13,14,16,17 1,2,4,5,7,8,10,11,13,14,16,17,19,20,22,23,25,26,28,29 1,3,6,9,11 1,2,4", "Asia/Shanghai")
	form := strings.TrimPrefix(s.String(), "CRON_TZ=Asia/Shanghai ")
	checkExplain(t, s, `At the times of "`+form+`", Asia/Shanghai time.`, "按表达式“"+form+"”（Asia/Shanghai 时间）。")

	s = mustParse(t, "0/3,1/3 0/3,1/3 0/3,1/3 1/3,2/3 1/3,2/3 * 1970-2040/7,1972-2050/7", "")
	if got, want := s.Explain(English), `At the times of "`+s.String()[:350]+`…".`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}

	var many []string
	for h := range 24 {
		many = append(many, fmt.Sprintf("%d %d * * 1,3,5", h, h))
	}
	s, err := Parse(Spec{Expressions: many})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Explain(English), `At the times of 24 expressions: "0 0 * * 1-5/2 | 1 1 * * 1-5/2 | 10 10`; !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s…", got, want)
	}
	if got, want := s.Explain(Chinese), "按 24 个表达式：“0 0 * * 1-5/2 | 1 1 * * 1-5/2 | 10 10"; !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s…", got, want)
	}
}

func TestExplainSpeaksEnglishByDefault(t *testing.T) {
	s := mustParse(t, "0 9 * * 1-5", "")
	for _, language := range []string{"", "fr", "EN", "en"} {
		if got, want := s.Explain(language), "At 09:00 from Monday to Friday."; got != want {
			t.Errorf("Explain(%q) = %q, want %q", language, got, want)
		}
	}
}

func checkExplain(t *testing.T, s *Schedule, en, zh string) {
	t.Helper()
	if got := s.Explain(English); got != en {
		t.Errorf("%s:\n got %s\nwant %s", s, got, en)
	}
	if got := s.Explain(Chinese); got != zh {
		t.Errorf("%s:\n got %s\nwant %s", s, got, zh)
	}
}
