package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var chinese = wording{
	cron:     chineseCron,
	every:    chineseEvery,
	duration: chineseDuration,
	list:     func(items []string) string { return chineseList(items, "和") },
	// What stands in brackets twice in a row stands in one pair.
	sentence: func(clauses string) string { return strings.ReplaceAll(clauses, "）（", "，") + "。" },

	counted:      "%s（自 %s 起算）",
	once:         "%s，仅一次",
	instants:     "%s",
	manyInstants: "共 %d 个指定时刻，从 %s 至 %s",
	afterFinish:  "上次运行结束 %s后",
	canonical:    "按表达式“%s”",
	manyForms:    "按 %d 个表达式：“%s”",
	union:        "；以及",
	from:         "，不早于 %s",
	before:       "，早于 %s",
	fromBefore:   "，不早于 %s 且早于 %s",
	zone:         "%s（%s 时间）",
	jitter:       "，每次推迟不到 %s，且总在下一时刻之前",
	daysOf:       "%s（按 %s 的日期）",
	daylight: map[daylight]string{
		daylightSkip: "，时钟调快时跳过的时刻不执行",
		daylightBoth: "，时钟调慢时重复的时刻执行两次",
	},
	counting: map[dayChoice]string{
		{include: true}:                "，仅限日历包含的日期",
		{exclude: true}:                "，日历排除的日期除外",
		{include: true, exclude: true}: "，仅限日历包含且未排除的日期",
	},
	others: map[dayChoice]string{
		{include: true}:                "日历未包含的日期",
		{exclude: true}:                "日历排除的日期",
		{include: true, exclude: true}: "日历排除或未包含的日期",
	},
	moved: map[string]string{
		NextIncluded:     "，遇%s则顺延至之后第一个有效日期",
		PreviousIncluded: "，遇%s则提前至之前最后一个有效日期",
	},
}

// chineseCron puts the days before the times of day.
func chineseCron(c *cronPart) string {
	times, ofDay := chineseTimes(c)
	return spaced(chineseDays(c, ofDay), times)
}

// chineseTimes tells the times of day. ofDay: they want a day before them.
func chineseTimes(c *cronPart) (text string, ofDay bool) {
	clock := func(second int) string { return clockText(second, c.seconds != 1) }
	d := c.dayTimes()
	switch {
	case d.times != nil:
		texts := make([]string, len(d.times))
		for i, t := range d.times {
			texts[i] = clock(t)
		}
		return chineseList(texts, "和"), true
	case d.round.n > 0:
		return chineseRound(d.round)
	case d.windows != nil:
		texts := make([]string, len(d.windows))
		for i, w := range d.windows {
			texts[i] = clock(w.first) + " 至 " + clock(w.last)
		}
		return spaced(chineseList(texts, "和"), chineseEvery(time.Duration(d.windows[0].step)*time.Second)), true
	}

	all := c.follows && uint64(c.hours) == fields[hour].all()
	text = "每小时"
	if !all {
		text = chineseValues(uint64(c.hours)) + " 点的"
	}
	if c.seconds == 1 {
		return spaced(text, chineseOften(c.minutes, "分", "分钟")), !all
	}
	minutes := "每分钟"
	if c.minutes != fields[minute].all() {
		minutes = "第 " + chineseValues(c.minutes) + " 分"
	}
	return spaced(text, minutes) + "的" + chineseOften(c.seconds, "秒", "秒"), !all
}

// chineseRound tells times that go round the clock.
func chineseRound(p progression) (text string, ofDay bool) {
	every := chineseEvery(time.Duration(p.step) * time.Second)
	past := fmt.Sprintf("第 %d 分", p.first/60)
	if p.first%60 != 0 {
		past += fmt.Sprintf(" %d 秒", p.first%60)
	}
	switch {
	case p.step == 60*60 && p.first == 0:
		return "每小时整点", false
	case p.first == 0 && p.step < 60*60:
		return every, false
	case p.step == 60*60:
		return "每小时" + past, false
	case p.step == 60:
		return fmt.Sprintf("每分钟第 %d 秒", p.first), false
	case p.step < 60:
		return fmt.Sprintf("%s（自每分钟第 %d 秒起）", every, p.first), false
	case p.step < 60*60:
		return every + "（自每小时" + past + "起）", false
	}
	seconds := p.last%60 != 0
	return clockText(p.first, seconds) + " 至 " + clockText(p.last, seconds) + " " + every, true
}

// chineseOften tells the values of a field as something that happens.
func chineseOften(set uint64, unit, units string) string {
	if set == fields[minute].all() {
		return "每" + units
	}
	if p := stretches(set); len(p) == 1 && p[0].step > 1 {
		return fmt.Sprintf("第 %d 至 %d %s之间，每隔 %d %s", p[0].first, p[0].last, unit, p[0].step, units)
	}
	return "第 " + chineseValues(set) + " " + unit
}

// chineseValues lists numbers, each of a progression too.
func chineseValues(set uint64) string {
	var texts []string
	for set != 0 {
		low := bits.TrailingZeros64(set)
		n := bits.TrailingZeros64(^(set >> low))
		if texts = append(texts, strconv.Itoa(low)); n > 2 {
			texts[len(texts)-1] += "–" + strconv.Itoa(low+n-1)
		} else {
			n = 1
		}
		set &^= (1<<n - 1) << low
	}
	return strings.Join(texts, "、")
}

// chineseDays tells years, months and days. ofDay: every day is to be told as well.
func chineseDays(c *cronPart, ofDay bool) string {
	dates, weekdays := c.daysTold()
	months, allMonths := chineseMonths(c)
	period := chineseYears(c.years)
	if !allMonths {
		if period == "" {
			period = "每年"
		}
		if period = spaced(period, months); bits.OnesCount16(c.months) > 1 {
			period += "的"
		}
	}
	each, also := "", "以及当月的"
	if allMonths {
		each, also = "每月", "以及"
	}
	switch {
	case dates && weekdays && c.either:
		return spaced(period, spaced(each, chineseDates(c))+also+chineseWeekdays(c, "每", each, "和"))
	case dates && weekdays:
		return spaced(period, spaced(each, chineseDates(c))+"（仅当该日为"+chineseWeekdays(c, "", "当月", "或")+"）")
	case dates:
		return spaced(period, spaced(each, chineseDates(c)))
	case weekdays:
		return spaced(period, chineseWeekdays(c, "每", each, "和"))
	case ofDay:
		return period + "每天"
	}
	return period
}

func chineseMonths(c *cronPart) (text string, all bool) {
	if c.months == uint16(fields[month].all()) {
		return "", true
	}
	if first, last, ok := c.monthRun(); ok {
		next := ""
		if last < first {
			next = "次年 "
		}
		return spaced(fmt.Sprintf("%d 月至", first), fmt.Sprintf("%s%d 月", next, last)), false
	}
	var names []string
	for m := 1; m <= 12; m++ {
		if c.months>>m&1 != 0 {
			names = append(names, fmt.Sprintf("%d 月", m))
		}
	}
	return chineseList(names, "和"), false
}

func chineseDates(c *cronPart) string {
	var items []string
	for _, p := range stretches(uint64(c.days)) {
		switch {
		case p.n == 1:
			items = append(items, fmt.Sprintf("%d 日", p.first))
		case p.step == 1:
			items = append(items, fmt.Sprintf("%d 日至 %d 日", p.first, p.last))
		case p.step == 2:
			items = append(items, fmt.Sprintf("%d 日至 %d 日每隔一天", p.first, p.last))
		default:
			items = append(items, fmt.Sprintf("%d 日至 %d 日每 %d 天", p.first, p.last, p.step))
		}
	}
	for set := c.nearest; set != 0; set &= set - 1 {
		items = append(items, fmt.Sprintf("最接近 %d 日的工作日（周一至周五）", bits.TrailingZeros32(set)))
	}
	if c.lastDay {
		items = append(items, "最后一天")
	}
	if c.lastWeekday {
		items = append(items, "最后一个工作日（周一至周五）")
	}
	return chineseList(items, "和")
}

// chineseWeekdays tells the day of week; each stands before plain ones, month before those that are counted in it, and
// word before the last.
func chineseWeekdays(c *cronPart, each, month, word string) string {
	var items, rules []string
	first, last, run := cycle(uint64(c.plainWeekdays), 7)
	for _, w := range mondayFirst {
		name := "周" + chineseWeek[w]
		if c.plainWeekdays>>w&1 != 0 && !run {
			if len(items) > 0 {
				each = ""
			}
			items = append(items, each+name)
		}
		for set := c.nth[w]; set != 0; set &= set - 1 {
			rules = append(rules, fmt.Sprintf("%s第%s个%s", month, chineseWeek[bits.TrailingZeros8(set)], name))
		}
		if c.lastOf>>w&1 != 0 {
			rules = append(rules, month+"最后一个"+name)
		}
	}
	if run {
		items = []string{each + "周" + chineseWeek[first] + "至周" + chineseWeek[last]}
	}
	return chineseList(append(items, rules...), word)
}

// chineseWeek are the numbers that days of the week are called by, and that count them.
var chineseWeek = [...]string{"日", "一", "二", "三", "四", "五", "六"}

func chineseYears(years []yearRange) string {
	items := make([]string, len(years))
	for i, r := range years {
		switch {
		case r.from == r.to:
			items[i] = fmt.Sprintf("%d 年", r.from)
		case r.step == 1:
			items[i] = fmt.Sprintf("%d 年至 %d 年", r.from, r.to)
		default:
			items[i] = fmt.Sprintf("%d 年至 %d 年（每 %d 年）", r.from, r.to, r.step)
		}
	}
	return chineseList(items, "和")
}

// chineseEvery reads 每分钟, 每 2 分钟.
func chineseEvery(d time.Duration) string {
	if split := amounts(d); len(split) == 1 && split[0].n == 1 {
		return "每" + strings.TrimPrefix(chineseDuration(d), "1 ")
	}
	return "每 " + chineseDuration(d)
}

func chineseDuration(d time.Duration) string {
	var items []string
	for _, a := range amounts(d) {
		items = append(items, fmt.Sprintf("%d %s", a.n, [...]string{"天", "小时", "分钟", "秒", "毫秒"}[a.unit]))
	}
	return strings.Join(items, " ")
}

// chineseList reads a、b 和 c, or another word for 和.
func chineseList(items []string, word string) string {
	last := len(items) - 1
	if last < 1 {
		return strings.Join(items, "")
	}
	return spaced(spaced(strings.Join(items[:last], "、"), word), items[last])
}

// spaced joins two texts, with a space where Chinese meets digits or letters.
func spaced(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	end, _ := utf8.DecodeLastRuneInString(a)
	begin, _ := utf8.DecodeRuneInString(b)
	latin := func(r rune) bool { return r < utf8.RuneSelf }
	punctuation := func(r rune) bool { return strings.ContainsRune("（）“”，；、", r) }
	if latin(end) != latin(begin) && !punctuation(end) && !punctuation(begin) {
		return a + " " + b
	}
	return a + b
}
