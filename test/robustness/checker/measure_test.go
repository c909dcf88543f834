package checker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOccurrences(t *testing.T) {
	again := func(h *History, fields string) {
		// The effect of the first time begins once more.
		h.Effects = append(h.Effects, h.Effects[0])
		h.Effects[len(h.Effects)-1].Attempt = 2
		h.edit("runs/a/e/"+h.Effects[0].Run, `"attempt":1`, `"attempt":2`+fields)
	}
	nodeLost := func(h *History, sessions int) {
		h.edit("runs/a/e/"+name(minute(2)), `"phase":"Succeeded"`, fmt.Sprintf(`"phase":"Failed","reason":"NodeLost","lostSessions":%d`, sessions))
	}
	for _, row := range []struct {
		what        string
		change      func(h *History)
		lost, twice int
	}{
		{"all well", func(*History) {}, 0, 0},
		{"neither record nor range", func(h *History) { h.edit("ledger/a/e", `ranges`, `none`) }, 1, 0},
		{"record and range", func(h *History) {
			h.Changes = slices.DeleteFunc(h.Changes, func(c Change) bool { return c.Deleted && strings.HasPrefix(c.Key, "runs/a/e/") })
		}, 0, 1},
		{"lost with its node, and no other attempt", func(h *History) { nodeLost(h, 1) }, 1, 0},
		{"lost with its node for the tenth time", func(h *History) { nodeLost(h, 10) }, 0, 0},
		{"success without an effect", func(h *History) { h.Effects = h.Effects[2:] }, 1, 0},
		{"a second beginning", func(h *History) { again(h, ``) }, 0, 1},
		{"a second beginning, as a session was lost", func(h *History) { again(h, `,"lostSessions":1`) }, 0, 0},
		{"a second beginning, after a failure", func(h *History) { again(h, `,"failures":1`) }, 0, 0},
		{"a second beginning, as the node stopped", func(h *History) { h.again(`,"reason":"HandedBack"`) }, 0, 0},
		{"a second Job, as a session was lost", func(h *History) {
			h.again(`,"lostSessions":1`)
			h.edit("runs/a/e/"+name(minute(2)), `"runner":"process"`, `"runner":"kubernetes"`)
		}, 0, 1},
		{"a second beginning though at most once, as a session was lost", func(h *History) {
			again(h, `,"lostSessions":1`)
			h.edit("accepted/a/e", `"every"`, `"delivery":"at-most-once","every"`)
		}, 0, 1},
	} {
		t.Run(row.what, func(t *testing.T) {
			h := goodTasks()
			row.change(h)
			lost, twice := 0, 0
			for _, o := range indexed(t, h).Occurrences() {
				if o.Lost() {
					lost++
				}
				if o.Twice() {
					twice++
				}
			}
			if lost != row.lost || twice != row.twice {
				t.Errorf("%d lost, %d twice: %+v", lost, twice, indexed(t, h).Occurrences())
			}
		})
	}
}
