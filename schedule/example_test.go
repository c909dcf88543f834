package schedule_test

import (
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch/schedule"
)

func ExampleSchedule_Next() {
	s, err := schedule.Parse(schedule.Spec{
		Expressions: []string{"30 2 * * *"},
		TimeZone:    "America/New_York",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// On 8 March 2026 New York's clocks go from 02:00 to 03:00.
	next := time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC)
	for range 3 {
		next, _ = s.Next(next)
		fmt.Println(next)
	}
	// Output:
	// 2026-03-07 07:30:00 +0000 UTC
	// 2026-03-08 07:00:00 +0000 UTC
	// 2026-03-09 06:30:00 +0000 UTC
}

func ExampleParse_refused() {
	for _, expression := range []string{"61 * * * *", "0 0 30 2 *", "0 22-2 * * *"} {
		_, err := schedule.Parse(schedule.Spec{Expressions: []string{expression}})
		fmt.Println(err)
	}
	// Output:
	// schedule: "61 * * * *": minute 61 is over 59
	// schedule: "0 0 30 2 *": can never match: day of month 30 does not exist in February
	// schedule: "0 22-2 * * *": hour 22-2 runs backwards: want the lower value first, or 22-23,0-2 for a range over the end
}
