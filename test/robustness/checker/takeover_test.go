package checker

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// takenOver is a task that is due every second, by terms of n1 until it is killed 10.4 s after start, and of n2 from when
// n1's key is gone. In between nobody leads.
func takenOver() *History {
	h := &History{
		Changes: []Change{
			at(change(2, "election/scheduler/l1", "n1"), 0),
			at(change(3, "election/scheduler/l2", "n2"), 100),
			at(change(6, "accepted/a/e", fmt.Sprintf(`{"revision":5,"uid":5,"since":%q,"task":{"every":"1s","overlap":"allow","process":{}}}`, text(start))), 200),
			at(deletion(40, "election/scheduler/l1"), 12500),
		},
		Faults: []Fault{{Kind: FaultKill, Target: "n1", From: start.Add(10400 * time.Millisecond), To: start.Add(10450 * time.Millisecond)}},
	}
	revision := int64(10)
	for second := 1; second <= 20; second++ {
		due, began, term := start.Add(time.Duration(second)*time.Second), 20*time.Millisecond, 2
		switch second {
		case 11, 12:
			continue // nobody led
		case 10:
			began = 3 * time.Second // it was due before, and is no measure
		case 13:
			began = 150 * time.Millisecond
		}
		if second > 10 {
			term, revision = 3, max(revision, 41)
		}
		id := name(due)
		h.Changes = append(h.Changes, change(revision, "runs/a/e/"+id, fmt.Sprintf(
			`{"id":%q,"task":"a/e","taskUID":5,"phase":"Running","runner":"process","nominalTime":%q,"term":%d,"attempt":1}`, id, text(due), term)))
		h.Effects = append(h.Effects, Effect{Task: "a/e", Run: id, Attempt: 1, Fence: revision, Event: EffectStart, Time: due.Add(began).UnixNano()})
		revision++
	}
	h.Changes = append(h.Changes, change(revision, "status/a/e", fmt.Sprintf(`{"uid":5,"cursor":%q}`, text(start.Add(20*time.Second)))))
	return h
}

// at has a change be seen as many milliseconds after start.
func at(c Change, milliseconds int) Change {
	c.Seen = start.Add(time.Duration(milliseconds) * time.Millisecond)
	return c
}

func TestTakeovers(t *testing.T) {
	killed := Takeover{Node: "n1", To: "n2", At: start.Add(10400 * time.Millisecond), Gone: 2100 * time.Millisecond, Effect: 2750 * time.Millisecond, Silence: 2750 * time.Millisecond}
	for _, row := range []struct {
		what   string
		change func(h *History)
		want   []Takeover
	}{
		{"a kill", func(*History) {}, []Takeover{killed}},
		{"what the term before had made late", func(h *History) {
			h.edit("runs/a/e/"+name(start.Add(13*time.Second)), `"term":3`, `"term":2`)
		}, []Takeover{{Node: "n1", To: "n2", At: killed.At, Gone: killed.Gone, Effect: 3620 * time.Millisecond, Silence: 2750 * time.Millisecond}}},
		{"what the term before had announced", func(h *History) {
			id := name(start.Add(11 * time.Second))
			h.Changes = append(h.Changes, change(39, "runs/a/e/"+id, fmt.Sprintf(
				`{"id":%q,"task":"a/e","taskUID":5,"phase":"Running","runner":"process","nominalTime":%q,"term":2,"attempt":1}`, id, text(start.Add(11*time.Second)))))
			h.Effects = append(h.Effects, Effect{Task: "a/e", Run: id, Attempt: 1, Fence: 39, Event: EffectStart, Time: start.Add(11005 * time.Millisecond).UnixNano()})
		}, []Takeover{{Node: "n1", To: "n2", At: killed.At, Gone: killed.Gone, Effect: killed.Effect, Silence: 2145 * time.Millisecond}}},
		{"who leads next is killed too", func(h *History) {
			h.Faults = append(h.Faults, Fault{Kind: FaultKill, Target: "n2", From: start.Add(13100 * time.Millisecond)})
		}, []Takeover{{Node: "n1", To: "n2", At: killed.At, Gone: killed.Gone, Effect: killed.Effect, Silence: killed.Silence, Again: true}}},
		{"who leads next is killed later", func(h *History) {
			h.Faults = append(h.Faults, Fault{Kind: FaultKill, Target: "n2", From: start.Add(13200 * time.Millisecond)})
		}, []Takeover{killed}},
		{"somebody who does not lead", func(h *History) { h.Faults[0].Target = "n2" }, nil},
		{"nothing began after", func(h *History) { h.Effects = h.Effects[:10] }, nil},
		{"the key stays", func(h *History) {
			h.Changes = slices.DeleteFunc(h.Changes, func(c Change) bool { return c.Deleted })
		}, nil},
	} {
		t.Run(row.what, func(t *testing.T) {
			h := takenOver()
			row.change(h)
			x := indexed(t, h)
			if got := x.Takeovers(x.Occurrences(), h.Faults[:1]); !slices.Equal(got, row.want) {
				t.Errorf("measured %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	var times []time.Duration
	for n := 200; n > 0; n-- {
		times = append(times, time.Duration(n))
	}
	if got, want := SpreadOf(times), (Spread{200, 101, 199, 200}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := SpreadOf(nil); got != (Spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
}
