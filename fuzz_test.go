package nightwatch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/nightwatch-go/nightwatch"
)

// valueParsers read what users write beside tasks, and what callers say of an attempt. Each returns what it made of it.
var valueParsers = []struct {
	most  int // bytes
	parse func(value []byte) (any, error)
}{
	{nightwatch.MaxValue, func(value []byte) (any, error) { return nightwatch.ParseRequest(value) }},
	{nightwatch.MaxValue, func(value []byte) (any, error) { return nightwatch.ParseFreeze(value) }},
	{nightwatch.MaxValue, func(value []byte) (any, error) { return nightwatch.ParseCordon(value) }},
	{nightwatch.MaxCompletion, func(value []byte) (any, error) { return nightwatch.ParseCompletion(value) }},
	{nightwatch.MaxValue, func(value []byte) (any, error) { return nightwatch.ParsePool("reports", value) }},
	{nightwatch.MaxValue, func(value []byte) (any, error) { return nightwatch.ParseNamespace("default", value) }},
	{nightwatch.MaxCalendar, func(value []byte) (any, error) { return nightwatch.ParseCalendar("holidays", value) }},
}

// No value makes a parser panic; what is refused says why, in a verdict that fits its key; what is accepted is accepted
// again, with the same meaning, as it is stored.
func FuzzValues(f *testing.F) {
	for i, value := range []string{
		`{"action":"backfill","from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00+08:00","maxParallel":3,"overlap":"allow","dryRun":true}`,
		`{"by":"ann","note":"new kernel","until":"2026-11-01T00:00:00Z"}`,
		`{"drain":true,"by":"ann"}`,
		`{"phase":"Failed","message":"no","result":{"a":[1]},"retry":false}`,
		`{"slots":4,"startsPerMinute":60}`,
		`{"defaults":{"timeout":"1h","retry":{"attempts":3}},"limits":{"tasks":10,"running":5},"weight":3,"runners":["http"],"kubernetesNamespace":"a"}`,
		`{"days":["2026-10-01/2026-10-07","--12-25","Sat"]}`,
	} {
		f.Add(uint8(i), []byte(value))
	}
	f.Add(uint8(0), []byte("action: retry\nshards: failed\nrun: req-1\nparams: {a: [1]}"))
	f.Add(uint8(0), []byte(`{"action":"cancel","shards":[1,3],"Action":"run","by":"`+strings.Repeat("ü", 200)+`"}`))
	f.Add(uint8(1), []byte(`{"until":"soon","by":"`+strings.Repeat("é", 200)+`"}`))
	f.Add(uint8(6), []byte("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261001\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"))
	f.Fuzz(func(t *testing.T, kind uint8, value []byte) {
		p := valueParsers[int(kind)%len(valueParsers)]
		got, err := p.parse(value)
		if err != nil {
			var faults nightwatch.InvalidError
			if !errors.As(err, &faults) || len(faults) == 0 || faults[0].Reason == "" {
				t.Fatalf("refused by %#v", err)
			}
			if size := len(canonical(t, faults)); size > 32<<10 {
				t.Fatalf("a verdict of %d bytes", size)
			}
			return
		}
		stored := canonical(t, got)
		if len(stored) > p.most {
			return // an escape may take six bytes where the user wrote one
		}
		again, err := p.parse([]byte(stored))
		if err != nil {
			t.Fatalf("%q was accepted, its stored form %s is not: %v", value, stored, err)
		}
		if text := canonical(t, again); text != stored {
			t.Fatalf("%q became\n%s, then\n%s", value, stored, text)
		}
	})
}

// What is accepted is over zero and at most ten years, and is shown in a form that is read as the same; what is refused is
// quoted.
func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"90s", "1h30m", "7d", "1d12h", "0d1s", "3650d", "1.5h", "1ns", "", "0", "-1h", "7d-1h", "99999d", "1d 2h", "9223372036854775807ns", "٣s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := nightwatch.ParseDuration(text)
		if err != nil {
			if got != 0 || len(err.Error()) > 400 || !strings.Contains(err.Error(), `"`) {
				t.Fatalf("%v, %v", got, err)
			}
			return
		}
		if d := time.Duration(got); d <= 0 || d > 3650*24*time.Hour {
			t.Fatalf("%q is %s", text, d)
		}
		var read nightwatch.Duration
		unmarshal(t, canonical(t, got), &read)
		if again, err := nightwatch.ParseDuration(got.String()); err != nil || again != got || read != got {
			t.Fatalf("%q is %s, which is %s (%v), and %s in JSON", text, got, again, err, read)
		}
	})
}

// What is accepted is a selector for Kubernetes as well, and means the same there.
func FuzzParseSelector(f *testing.F) {
	for _, text := range []string{"", "zone=a", "zone == a,!gpu", "arch in (amd64, arm64)", "zone notin (a),zone", "a in ()", "a!=b", "x.y/z=", "a in (b", "a===b", "in in (in)", "a in (b) c", "\f", "a\v=b", "a\u00a0in (b)", "a in (\u2003b)"} {
		f.Add(text, "a")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		ours, err := nightwatch.ParseSelector(text)
		if err != nil {
			if len(err.Error()) > 600 || !strings.Contains(err.Error(), `"`) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		theirs, err := labels.Parse(text)
		if err != nil {
			t.Fatalf("%q: Kubernetes refuses it: %v", text, err)
		}
		words := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune("!=(), \t\r\n", c) })
		for _, values := range [][]string{{value}, {""}, words} {
			set := map[string]string{}
			for i, key := range words {
				if len(values) > 0 {
					set[key] = values[(i+1)%len(values)]
				}
			}
			if got, want := ours.Matches(set), theirs.Matches(labels.Set(set)); got != want {
				t.Fatalf("%q of %v: %v, in Kubernetes %v", text, set, got, want)
			}
		}
	})
}
