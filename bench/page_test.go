package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

// noted are effects, one a millisecond, of which the last of each hundred is late by a second and the rest by n µs.
func noted(n int) *effects {
	e := newEffects()
	from := time.UnixMilli(1_800_000_000_000)
	e.between(from, time.Time{})
	for i := range n {
		late := time.Duration(i) * time.Microsecond
		if i%100 == 99 {
			late = time.Second
		}
		nominal := from.Add(time.Duration(i) * time.Millisecond)
		e.note("ns/task", nominal, nominal.Add(late))
	}
	return e
}

func TestQuantiles(t *testing.T) {
	if q := noted(0).quantiles(); q != nil {
		t.Errorf("of nothing: %v", q)
	}
	if q := noted(1).quantiles(); len(q) != 1 || q[0] != (Quantile{1, 0}) {
		t.Errorf("of one: %v", q)
	}
	q := noted(1000).quantiles()
	if q[0] != (Quantile{0, 0}) || q[len(q)-1] != (Quantile{1, 1000}) {
		t.Errorf("ends: %v, %v", q[0], q[len(q)-1])
	}
	for i := 1; i < len(q); i++ {
		if q[i].Share <= q[i-1].Share || q[i].Ms < q[i-1].Ms {
			t.Errorf("%v after %v", q[i], q[i-1])
		}
	}
}

func TestTimeline(t *testing.T) {
	if all := noted(0).timeline(); all != nil {
		t.Errorf("of nothing: %v", all)
	}
	all := noted(10_000).timeline()
	sum := 0.0
	for i, m := range all {
		sum += m.PerSecond * (m.To - m.From)
		if i > 0 && math.Abs(m.From-all[i-1].To) > 1e-9 {
			t.Errorf("%v after %v", m, all[i-1])
		}
	}
	if len(all) != moments || math.Abs(sum-10_000) > 0.01 || math.Abs(all[0].PerSecond-1000) > 50 {
		t.Errorf("%d moments with %.2f effects, the first %+v", len(all), sum, all[0])
	}
}

var drawing = regexp.MustCompile(`(?s)<svg .*?</svg>`)

// TestPage: whatever was found, the page is whole, its drawings are well-formed and have no number that is none.
func TestPage(t *testing.T) {
	full := func(n int, rate float64) *Report {
		e := noted(n)
		r := &Report{
			Tasks: 10, Nodes: 1, Runner: "handler", Rate: rate, Runs: n, RunsPerSecond: 812.5, CeilingPerSecond: 3000, Efficiency: 0.271,
			LatenessMs: e.lateness(), RequestsPerRun: 0.12, KeysPerRun: 11, BytesPerRun: 5000, DatabaseBytesPerRun: 6000, CPUSecondsPerThousand: 0.4,
			Quantiles: e.quantiles(), Timeline: e.timeline(),
		}
		return r
	}
	jobs := full(500, 0)
	jobs.Kubernetes = &Jobs{JobsPerSecond: 100, CeilingPerSecond: 150, Efficiency: 0.667}
	for _, row := range []struct {
		name     string
		report   *Report
		drawings int
	}{
		{"nothing ran", &Report{Tasks: 10, Nodes: 1, Runner: "handler", Missed: 10}, 0},
		{"one run", full(1, 0), 2 + 1 + 6}, // one that was not late has no time to be drawn over
		{"a burst", full(5000, 0), 2 + 3 + 6},
		{"even", full(5000, 1000), 2 + 3 + 6},
		{"Jobs", jobs, 4 + 3 + 6},
	} {
		var out bytes.Buffer
		if err := row.report.WriteHTML(&out); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		text := out.String()
		if !strings.HasSuffix(strings.TrimSpace(text), "</html>") {
			t.Errorf("%s: the page is not whole", row.name)
		}
		if loads := regexp.MustCompile(`<script|<link|<img|href=|src=|url\(|@import`).FindString(text); loads != "" {
			t.Errorf("%s: %s", row.name, loads)
		}
		all := drawing.FindAllString(text, -1)
		if len(all) != row.drawings {
			t.Errorf("%s: %d drawings, want %d", row.name, len(all), row.drawings)
		}
		for _, one := range all {
			if strings.Contains(one, "NaN") || strings.Contains(one, "Inf") {
				t.Errorf("%s: %s", row.name, one)
			}
			decoder := xml.NewDecoder(strings.NewReader(one))
			for {
				if _, err := decoder.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v: %s", row.name, err, one)
				}
			}
		}
	}
}

func TestFiguresForPeople(t *testing.T) {
	for want, got := range map[string]string{
		"1.5 µs": span(0.0015), "12.3 ms": span(12.345), "1.21 s": span(1214), "100 ms": span(100), "1,234,567": grouped(1234567), "0.094": trimmed(0.094),
		"999": grouped(999), "3,000": trimmed(3000),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
