package jobrunner

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

const base = "http://n1.example:7420"

func newCallbacks(t *testing.T) *Callbacks {
	t.Helper()
	cs, err := NewCallbacks(base + "/")
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func open(t *testing.T, cs *Callbacks) *Callback {
	t.Helper()
	a := &Attempt{Callbacks: cs, Deadline: func() time.Time { return time.Now().Add(time.Minute) }}
	c, err := a.OpenCallback()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// call is what a server does: the URL's path, at this handler.
func call(cs *Callbacks, method, url, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	cs.ServeHTTP(answer, httptest.NewRequest(method, url, strings.NewReader(body)))
	return answer
}

func TestCallback(t *testing.T) {
	cs := newCallbacks(t)
	c, other := open(t, cs), open(t, cs)
	if c.URL != base+CallbackPath+c.Token || len(c.Token) < 26 || c.Token == other.Token {
		t.Errorf("%s, %s: want tokens of at least 26 letters, each its own", c.URL, other.URL)
	}
	done := `{"phase":"Succeeded","result":7}`
	for _, step := range []struct {
		method, url, body string
		status            int
		text              string
	}{
		{"GET", c.URL, "", 405, "want POST"},
		{"PUT", c.URL, done, 405, "want POST"},
		{"POST", c.URL + "A", done, 404, "no attempt on this node waits"},
		{"POST", base + CallbackPath, done, 404, "no attempt on this node waits"},
		{"POST", base + CallbackPath + strings.ToLower(c.Token), done, 404, "no attempt on this node waits"},
		{"POST", c.URL, "", 400, "value is empty"},
		{"POST", c.URL, `{"phase":"Done"}`, 400, `phase: "Done": want Succeeded or Failed`},
		{"POST", c.URL, `{"phase":"Failed","message":"` + strings.Repeat("x", nightwatch.MaxCompletion) + `"}`, 413, "want at most 8192 bytes"},
	} {
		got := call(cs, step.method, step.url, step.body)
		if got.Code != step.status || !strings.Contains(got.Body.String(), step.text) {
			t.Errorf("%s %s %.60s: %d %s: want %d, %s", step.method, step.url, step.body, got.Code, got.Body, step.status, step.text)
		}
	}
	if c.Completion() != nil {
		t.Fatal("the attempt was told something")
	}
	for range 2 { // whoever lost the answer says it again
		if got := call(cs, "POST", c.URL, done); got.Code != 200 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		<-c.Told()
		if said := c.Completion(); said.Phase != nightwatch.PhaseSucceeded || string(said.Result) != "7" {
			t.Errorf("told %+v", said)
		}
		c.Close()
	}
	if got := call(cs, "POST", c.URL, `{"phase":"Failed"}`); got.Code != 410 {
		t.Errorf("told otherwise: %d %s", got.Code, got.Body)
	}
	if other.Completion() != nil {
		t.Error("another attempt was told")
	}
}

// Nobody hears what is said once an attempt is over, or its session's deadline has passed.
func TestCallbackTooLate(t *testing.T) {
	cs := newCallbacks(t)
	c := open(t, cs)
	c.Close()
	late := &Attempt{Callbacks: cs, Deadline: func() time.Time { return time.Now().Add(-time.Millisecond) }}
	passed, err := late.OpenCallback()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Callback{c, passed} {
		if got := call(cs, "POST", c.URL, `{"phase":"Succeeded"}`); got.Code != 410 || c.Completion() != nil {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	}
}

// However many there are, those that are over are forgotten at some time, and those that wait are not.
func TestCallbacksAreBounded(t *testing.T) {
	cs := newCallbacks(t)
	waits := open(t, cs)
	var first, last *Callback
	for range 3 * maxOver {
		last = open(t, cs)
		if first == nil {
			first = last
		}
		last.Close()
		last.Close()
	}
	if n := len(cs.calls); n != maxOver+1 || len(cs.over) != maxOver {
		t.Errorf("%d are remembered, %d of them as over", n, len(cs.over))
	}
	for c, want := range map[*Callback]int{first: 404, last: 410, waits: 200} {
		if got := call(cs, "POST", c.URL, `{"phase":"Succeeded"}`); got.Code != want {
			t.Errorf("%d: want %d", got.Code, want)
		}
	}
}

// Of many who call at one time one is heard.
func TestCallbackCountsOnce(t *testing.T) {
	cs := newCallbacks(t)
	c := open(t, cs)
	var taken atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if call(cs, "POST", c.URL, fmt.Sprintf(`{"phase":"Succeeded","result":%d}`, i)).Code == http.StatusOK {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("%d were taken", taken.Load())
	}
}

func TestCallbacksWithoutAnAddress(t *testing.T) {
	none, err := NewCallbacks("")
	if err != nil {
		t.Fatal(err)
	}
	for _, cs := range []*Callbacks{nil, none} {
		if _, err := (&Attempt{Callbacks: cs}).OpenCallback(); !errors.Is(err, ErrNoCallbacks) {
			t.Error(err)
		}
	}
	for _, bad := range []string{"n1:7420", "ftp://n1", "http://", "http://me@n1", "http://n1/?a=b", "http://n1/#a", "://"} {
		if _, err := NewCallbacks(bad); err == nil || !strings.Contains(err.Error(), "want http:// or https:// and a host") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
