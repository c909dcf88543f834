package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const someLog = `2026-11-20T14:15:00.1Z one
2026-11-20T14:15:00.1Z two and more
2026-11-20T14:15:00.1Z ` + `
2026-11-20T14:15:00.2Z three
2026-11-20T14:15:00.2Z 2026-11-20T14:15:00.2Z four
2026-11-20T14:15:03Z five
2026-11-20T14:15:03Z end`

// TestLogBreaksOff has the log break off anywhere, again and again: what is printed is the whole of it all the same.
func TestLogBreaksOff(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, timestamps := range []bool{false, true} {
		want := someLog
		if !timestamps {
			var texts []string
			for line := range strings.Lines(someLog) {
				_, text, _ := strings.Cut(line, " ")
				texts = append(texts, text)
			}
			want = strings.Join(texts, "")
		}
		for range 2000 {
			var out bytes.Buffer
			r := &logReader{tailing: &tailing{out: &out, timestamps: timestamps}}
			var cuts []int
			for {
				log := since(t, r.at.time)
				cut := random.IntN(len(log) + 20)
				cuts = append(cuts, cut)
				if cut >= len(log) {
					if err := r.copy(iotest.HalfReader(strings.NewReader(log))); err != nil {
						t.Fatal(err)
					}
					break
				}
				if err := r.copy(io.MultiReader(strings.NewReader(log[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF))); err == nil {
					t.Fatal("no error")
				}
			}
			if out.String() != want {
				t.Fatalf("cut at %v, printed\n%q, want\n%q", cuts, out.String(), want)
			}
		}
	}
}

// since is the log as a node gives it from a time on.
func since(t *testing.T, at time.Time) string {
	t.Helper()
	var log strings.Builder
	for line := range strings.Lines(someLog) {
		head, _, _ := strings.Cut(line, " ")
		written, err := time.Parse(time.RFC3339Nano, head)
		if err != nil {
			t.Fatal(err)
		}
		if !written.Before(at) {
			log.WriteString(line)
		}
	}
	return log.String()
}
