package main

import (
	"strings"
	"testing"
	"time"
)

func TestPauseEnd(t *testing.T) {
	now := time.Date(2026, time.November, 20, 12, 0, 0, 250e6, time.UTC)
	shanghai := zone(t, "Asia/Shanghai") // where it is 20:00
	for _, test := range []struct {
		name, until, lasting string
		want, wrong          string
	}{
		{name: "never"},
		{name: "in two hours, on a whole second", lasting: "2h", want: "2026-11-20T14:00:01Z"},
		{name: "in a moment", lasting: "1ms", want: "2026-11-20T12:00:01Z"},
		{name: "in a week", lasting: "7d", want: "2026-11-27T12:00:01Z"},
		{name: "at an instant", until: "2026-11-20T13:00:00+01:00", wrong: "--until: 2026-11-20T12:00:00Z is in the past: want a time to come"},
		{name: "at a time of day to come", until: "21:00", want: "2026-11-20T13:00:00Z"},
		{name: "at a time of day that is over", until: "19:00", want: "2026-11-21T11:00:00Z"},
		{name: "at midnight", until: "2026-11-21", want: "2026-11-20T16:00:00Z"},
		{name: "yesterday", until: "2026-11-19T20:00", wrong: "--until: 2026-11-19T12:00:00Z is in the past"},
		{name: "no length", lasting: "0s", wrong: "--for: "},
		{name: "both", until: "21:00", lasting: "2h", wrong: "not both"},
	} {
		t.Run(test.name, func(t *testing.T) {
			end, err := pauseEnd(test.until, test.lasting, now, shanghai)
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Fatalf("%s, %v, want the error %q", end, err, test.wrong)
				}
				return
			}
			if err != nil || stamp(end) != test.want {
				t.Errorf("%s, %v, want %s", stamp(end), err, test.want)
			}
		})
	}
}
