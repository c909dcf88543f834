package jobrunner

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpoolGivesWhatItWasGiven(t *testing.T) {
	const writers, lines = 4, 2000
	ready := make(chan struct{}, 1)
	tell := func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	}
	s := NewSpool(1000, time.Hour, tell)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				fmt.Fprintf(s, "%d-%d\n", w, i)
			}
		})
	}
	go func() {
		wg.Wait()
		s.Close()
		tell()
	}()
	var got bytes.Buffer
	for range ready {
		for !s.Empty() {
			data, dropped := s.TakeUpTo(700)
			if dropped > 0 || len(data) > 700 {
				t.Fatalf("took %d bytes, %d dropped", len(data), dropped)
			}
			got.Write(data)
		}
		if s.Over() {
			break
		}
	}
	if n := strings.Count(got.String(), "\n"); n != writers*lines {
		t.Errorf("%d lines: want %d", n, writers*lines)
	}
}

func TestSpoolOfSomebodyWhoTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpool(1000, time.Second, func() {})
		begin := time.Now()
		for i := range 10_000 {
			fmt.Fprintf(s, "line %d\n", i)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("writes waited for %v: want the patience once", took)
		}
		data, dropped := s.Take()
		if len(data) > 1000 || !bytes.HasPrefix(data, []byte("line ")) || !bytes.HasSuffix(data, []byte("line 9998\nline 9999\n")) {
			t.Errorf("held %d bytes, from %.10q", len(data), data)
		}
		if total := len(data) + int(dropped); total != 98_890 {
			t.Errorf("%d bytes held and dropped: want all that were written", total)
		}
		// Somebody is there again: the next write to a full spool waits for him.
		begin = time.Now()
		time.AfterFunc(500*time.Millisecond, func() { s.Take() })
		_, _ = io.WriteString(s, strings.Repeat("x", 1500))
		if took := time.Since(begin); took != 500*time.Millisecond {
			t.Errorf("the write waited for %v", took)
		}
		if _, dropped := s.Take(); dropped != 0 {
			t.Errorf("%d bytes dropped", dropped)
		}
	})
}

func TestSpoolClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpool(10, time.Hour, func() {})
		time.AfterFunc(time.Minute, s.Close)
		begin := time.Now()
		_, _ = io.WriteString(s, strings.Repeat("x", 1000))
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("the write waited for %v: want until the end", took)
		}
		if data, _ := s.Take(); len(data) != 10 {
			t.Errorf("took %q: want what was there before", data)
		}
	})
}
