package process

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestOutboxOfAStoppedNode has nobody read the pipe: who writes goes on, with what is newest, and when somebody reads
// again he is told what is missing, and of the end last.
func TestOutboxOfAStoppedNode(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	o := newOutbox(out)
	go o.run()
	defer close(o.kick)
	spool := o.open(7)
	const lines = 200_000
	begin := time.Now()
	for i := range lines {
		fmt.Fprintf(spool, "line %d of many\n", i)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the writes took %v", took)
	}
	o.end(event{ID: 7, Exited: &exit{By: byItself}})

	var text strings.Builder
	var bytes, dropped int64
	decoder := json.NewDecoder(in)
	for {
		var ev event
		if err := decoder.Decode(&ev); err != nil {
			t.Fatal(err)
		}
		if ev.Exited != nil {
			break
		}
		if ev.Dropped > 0 {
			text.WriteString("…\n")
		}
		text.Write(ev.Wrote)
		bytes += int64(len(ev.Wrote))
		dropped += ev.Dropped
		o.took(7, len(ev.Wrote))
	}
	want := int64(len(fmt.Sprintf("line %d of many\n", 0)) * 10)
	for i := 10; i < lines; i++ {
		want += int64(len(fmt.Sprintf("line %d of many\n", i)))
	}
	if bytes+dropped != want || dropped == 0 || bytes > window+2*spoolLimit {
		t.Errorf("%d bytes and %d dropped, of %d", bytes, dropped, want)
	}
	if got := text.String(); !strings.HasPrefix(got, "line 0 of many\n") || !strings.HasSuffix(got, fmt.Sprintf("\nline %d of many\n", lines-1)) {
		t.Errorf("text from %.20q to %q", got, got[len(got)-30:])
	}
}

// TestOutboxWithoutCredit ends an attempt whose output nobody takes although the pipe is read.
func TestOutboxWithoutCredit(t *testing.T) {
	in, out := io.Pipe()
	o := newOutbox(out)
	go o.run()
	defer close(o.kick)
	spool := o.open(7)
	_, _ = spool.Write(make([]byte, window+1000))
	o.end(event{ID: 7, Exited: &exit{By: byItself}})
	decoder := json.NewDecoder(in)
	var bytes, dropped int64
	for {
		var ev event
		if err := decoder.Decode(&ev); err != nil {
			t.Fatal(err)
		}
		if ev.Exited != nil {
			break
		}
		bytes += int64(len(ev.Wrote))
		dropped += ev.Dropped
	}
	if bytes != window || dropped != 1000 {
		t.Errorf("%d bytes and %d dropped: want %d and 1000", bytes, dropped, window)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.streams) > 0 {
		t.Error("the stream is left")
	}
}

// TestOutboxOfADeadNode lets nobody wait.
func TestOutboxOfADeadNode(t *testing.T) {
	in, out := io.Pipe()
	in.Close()
	o := newOutbox(out)
	go o.run()
	defer close(o.kick)
	spool := o.open(7)
	begin := time.Now()
	for range 1000 {
		_, _ = spool.Write(make([]byte, 10_000))
	}
	_, _ = o.open(8).Write(make([]byte, 10_000_000))
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the writes took %v", took)
	}
	o.end(event{ID: 7, Exited: &exit{By: byItself}})
	o.end(event{ID: 8, Exited: &exit{By: byItself}})
	o.flush(20 * time.Second)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the end took %v", took)
	}
}
