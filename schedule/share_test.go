package schedule

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestEqualExpressionsShareOnePart(t *testing.T) {
	spec := Spec{Expressions: []string{"H(10-10)/1 3  * * 1"}, TimeZone: "Asia/Kathmandu", Key: "default/a"}
	parse := func(spec Spec) *cronPart {
		t.Helper()
		s, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		return s.parts[0].(*cronPart)
	}
	first := parse(spec)

	other := spec
	other.Key = "default/b" // another key, the same minute
	if parse(other) != first {
		t.Error("equal expressions are two parts")
	}
	for name, change := range map[string]func(*Spec){
		"zone":            func(s *Spec) { s.TimeZone = "Asia/Kolkata" },
		"daylight saving": func(s *Spec) { s.DaylightSaving = Skip },
		"day match":       func(s *Spec) { s.DayMatch = And },
		"expression":      func(s *Spec) { s.Expressions = []string{"11 3 * * 1"} },
	} {
		other := spec
		change(&other)
		if parse(other) == first {
			t.Errorf("another %s is the same part", name)
		}
	}
	if zone := parse(Spec{Expressions: []string{"TZ=Asia/Kathmandu @daily"}}).loc; zone != first.loc {
		t.Error("equal zones are two")
	}
}

func TestSharedPartsGo(t *testing.T) {
	keys := make(map[cronKey]bool)
	for i := range 100 {
		s := mustParse(t, fmt.Sprintf("%d %d 7 7 *", i%60, i/60), "Pacific/Chatham")
		keys[cronKey{text: fmt.Sprintf("0 %d %d 7 7 *", i%60, i/60), zone: "Pacific/Chatham"}] = true
		runtime.KeepAlive(s)
	}
	left := func() (n int) {
		cronParts.mu.Lock()
		defer cronParts.mu.Unlock()
		for key := range keys {
			if _, ok := cronParts.entries[key]; ok {
				n++
			}
		}
		return n
	}
	kept := mustParse(t, "0 0 7 7 *", "Pacific/Chatham")
	// Cleanups run some time after a collection.
	for deadline := time.Now().Add(30 * time.Second); left() > 1; runtime.Gosched() {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d entries are left, want the one in use", left())
		}
	}
	if left() != 1 || mustParse(t, "0 0 7 7 *", "Pacific/Chatham").parts[0] != kept.parts[0] {
		t.Fatal("a part in use is gone")
	}
	runtime.KeepAlive(kept)
}

func TestSharingIsSafe(t *testing.T) {
	const expressions = 8
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 300 {
				text := fmt.Sprintf("%d 4 * * *", (i+worker)%expressions)
				s, err := Parse(Spec{Expressions: []string{text}, TimeZone: "Atlantic/Azores"})
				if err != nil || s.String() != "CRON_TZ=Atlantic/Azores "+text {
					t.Errorf("%s is %s, %v", text, s, err)
					return
				}
				if i%100 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wait.Wait()
}
