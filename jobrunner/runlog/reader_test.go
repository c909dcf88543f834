package runlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestReadWhileItIsWritten(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir})
		if _, err := logs.Read(t.Context(), attempt1, all); !errors.Is(err, nightwatch.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		log := logs.Open(attempt1)
		if got := read(t, logs, attempt1, all); got != "" {
			t.Errorf("read %q before anything was written", got)
		}
		fmt.Fprint(log, "one\ntwo")
		eventually(t, logs, "one\ntwo")
		fmt.Fprint(log, "fold\n\nthree \xff\x00\r\n")
		eventually(t, logs, "one\ntwofold\n\nthree \xff\x00\r\n")
		fmt.Fprint(log, "un")
		log.Note("something happened")
		fmt.Fprint(log, "ended")
		log.Close()
		fmt.Fprint(log, "late")
		log.Note("late")
		want := "one\ntwofold\n\nthree \xff\x00\r\nun\nnightwatch: something happened\nended"
		if dir == "" {
			if _, err := logs.Read(t.Context(), attempt1, all); !errors.Is(err, nightwatch.ErrNotFound) {
				t.Errorf("in memory, after the end: %v", err)
			}
			return
		}
		if got := read(t, logs, attempt1, all); got != want {
			t.Errorf("read %q: want %q", got, want)
		}
		// The next life of the node has it too, and what it adds comes behind.
		next := newLogs(t, Config{Dir: dir})
		if got := read(t, next, attempt1, all); got != want {
			t.Errorf("the next node reads %q: want %q", got, want)
		}
		again := next.Open(attempt1)
		fmt.Fprint(again, "more\n")
		again.Close()
		if got := read(t, next, attempt1, all); got != want+"more\n" {
			t.Errorf("the next node reads %q after it wrote", got)
		}
	})
}

func TestFollow(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir, AttemptBytes: MinAttemptBytes})
		log := logs.Open(attempt1)
		r := follow(t.Context(), t, logs)
		// Each line is read before the next is written, over many turns of the files.
		buf := make([]byte, 1000)
		for i := range 1000 {
			line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 400))
			fmt.Fprint(log, line)
			var got strings.Builder
			for !strings.HasSuffix(got.String(), "\n") {
				n, err := r.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got.Write(buf[:n])
			}
			if untimed(got.String()) != line {
				t.Fatalf("read %q after %q was written", got.String(), line)
			}
		}
		log.Close()
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("then %q, %v: want the end", rest, err)
		}
	})
}

func TestFollowUntilContextEnds(t *testing.T) {
	logs := newLogs(t, Config{})
	log := logs.Open(attempt1)
	defer log.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := follow(ctx, t, logs)
	enough := errors.New("enough")
	time.AfterFunc(10*time.Millisecond, func() { cancel(enough) })
	if _, err := io.ReadAll(r); !errors.Is(err, enough) {
		t.Errorf("%v: want the cause", err)
	}
}

func TestTail(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir})
		log := logs.Open(attempt1)
		defer log.Close()
		long := strings.Repeat("x", 40_000)
		fmt.Fprint(log, "one\n"+long+"\nthree\nfo")
		eventually(t, logs, "one\n"+long+"\nthree\nfo")
		for n, want := range map[int]string{
			0: "", 1: "fo", 2: "three\nfo", 3: long + "\nthree\nfo", 4: "one\n" + long + "\nthree\nfo", 100: "one\n" + long + "\nthree\nfo",
		} {
			o := all
			o.Tail = n
			if got := read(t, logs, attempt1, o); got != want {
				t.Errorf("tail %d is %d bytes, %.30q", n, len(got), got)
			}
		}
	})
}

func TestSince(t *testing.T) {
	logs := newLogs(t, Config{})
	log := logs.Open(attempt1)
	defer log.Close()
	fmt.Fprint(log, "one\ntwo ")
	eventually(t, logs, "one\ntwo ")
	since := time.Now()
	fmt.Fprint(log, "and a half\nthree\n")
	eventually(t, logs, "one\ntwo and a half\nthree\n")
	o := all
	o.Since = since
	got := readTimed(t, logs, attempt1, o)
	at, text, _ := strings.Cut(got, " ")
	if when, err := time.Parse(time.RFC3339Nano, at); text != "three\n" || err != nil || when.Before(since) || time.Since(when) > time.Hour {
		t.Errorf("since %v: %q (%v)", since, got, err)
	}
}

// FuzzReader reads files of any content, from everywhere, without harm.
func FuzzReader(f *testing.F) {
	f.Add([]byte("2026-11-20T14:15:00.000000000Z stdout F one\n2026-11-20T14:15:00.000000000Z stdout P tw\n"), 1)
	f.Add([]byte("2026-11-20T14:15:00.000000000Z stderr T 17\nx\n\n\x00\n"), 0)
	f.Fuzz(func(t *testing.T, data []byte, tail int) {
		m := &memory{newer: &block{data: data}}
		r, err := newReader(t.Context(), &finished{segments: m}, jobrunner.LogOptions{Tail: tail})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	})
}
