package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// table checks a table of expressions or of changes of clocks.
func (p *schedulesPage) table(t *testing.T, text string) {
	rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var head []string
	for i, line := range rows {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for k := range cells {
			cells[k] = strings.TrimSpace(cells[k])
		}
		switch {
		case i == 0:
			head = cells
		case len(cells) != len(head):
			t.Errorf("row %d has %d cells, the head %d", i, len(cells), len(head))
		case i == 1: // the line under the head
		case strings.HasPrefix(head[len(head)-1], "next times"):
			for _, expression := range inCode(cells[0]) {
				p.expressions++
				p.nextTimes(t, expression, cells[len(cells)-1])
			}
		case head[len(head)-1] == "`both`":
			p.clocks++
			zone, day, _ := strings.Cut(cells[0], " ")
			for k, mode := range []string{schedule.Once, schedule.Skip, schedule.Both} {
				checkDay(t, inCode(cells[2])[0], zone, day, mode, cells[3+k])
			}
		}
	}
}

// inCode are the texts in back quotes.
func inCode(cell string) []string {
	var found []string
	for i, text := range strings.Split(cell, "`") {
		if i%2 == 1 {
			found = append(found, text)
		}
	}
	return found
}

// tableStart is from when on the table of expressions shows times.
var tableStart = time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC)

func (p *schedulesPage) nextTimes(t *testing.T, expression, want string) {
	times, err := schedule.Parse(schedule.Spec{Expressions: []string{expression}, Key: "default/report"})
	if err != nil {
		t.Error(err)
		return
	}
	shown := strings.Split(want, ", ")
	var got []string
	after := tableStart
	for range shown {
		next, ok := times.Next(after)
		if !ok {
			got = append(got, "no more")
			break
		}
		layout := "2006-01-02 15:04"
		if next.Second() != 0 {
			layout = time.DateTime
		}
		got = append(got, next.Format(layout))
		after = next
	}
	if !slices.Equal(got, shown) {
		t.Errorf("%s: the page says %s, the code %s", expression, want, strings.Join(got, ", "))
	}
}

// checkDay compares the times of a date as the zone's clock shows them.
func checkDay(t *testing.T, expression, zone, day, mode, want string) {
	times, err := schedule.Parse(schedule.Spec{Expressions: []string{expression}, TimeZone: zone, DaylightSaving: mode})
	if err != nil {
		t.Error(err)
		return
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	date, err := time.Parse(time.DateOnly, day)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	due, _ := times.Between(date.AddDate(0, 0, -1), date.AddDate(0, 0, 2), 1000)
	for _, at := range due {
		if local := at.In(loc); local.Format(time.DateOnly) == day {
			got = append(got, local.Format("15:04Z07:00"))
		}
	}
	if text := strings.Join(got, ", "); text != strings.Replace(want, "none", "", 1) {
		t.Errorf("%s in %s on %s, %s: the page says %s, the code %q", expression, zone, day, mode, want, text)
	}
}
