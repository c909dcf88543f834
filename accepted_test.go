package nightwatch_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func unmarshal(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestAcceptedRoundTrip(t *testing.T) {
	accepted := 0
	for _, seed := range seeds {
		if task, err := nightwatch.ParseTask("default/hello", []byte(seed)); err == nil {
			accepted++
			checkStored(t, task)
		}
	}
	if accepted < 8 {
		t.Errorf("only %d of the seeds are accepted", accepted)
	}
}

func TestAcceptedCompilesAgain(t *testing.T) {
	var a nightwatch.Accepted
	unmarshal(t, `{"revision":12,"uid":7,"task":{"image":"a","schedule":"15 14 * * *","runsOn":"zone=a"}}`, &a)
	if a.Revision != 12 || a.UID != 7 {
		t.Errorf("got revision %d, uid %d", a.Revision, a.UID)
	}
	if next, ok := a.Task.Times().Next(noon.Add(-time.Hour)); !ok || !next.Equal(noon) {
		t.Errorf("next is %v, %v, want %v", next, ok, noon)
	}
	if a.Task.Selector().Matches(map[string]string{"zone": "b"}) || !a.Task.Selector().Matches(map[string]string{"zone": "a"}) {
		t.Error("the selector is not that of runsOn")
	}
}

// A node of this version lives beside newer ones for as long as a rollout takes.
func TestAcceptedIgnoresFieldsOfANewerVersion(t *testing.T) {
	var a nightwatch.Accepted
	unmarshal(t, `{"revision":1,"uid":1,"hash":"x","task":{"image":"a","every":"30s","colour":"blue","catchUp":{"max":5,"order":"newest"},"kubernetes":null}}`, &a)
	if got, want := canonical(t, a), `{"revision":1,"uid":1,"task":{"image":"a","every":"30s","catchUp":{"max":5}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.Task.Times() == nil {
		t.Error("no times")
	}
}

func TestAcceptedRefusesWhatItCannotCompile(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{value: `{"task":{"image":"a","schedule":"61 * * * *"}}`, want: "schedule: "},
		{value: `{"task":{"image":"a","schedule":"@daily","timeZone":"Mars/Olympus"}}`, want: "timeZone: "},
		{value: `{"task":{"image":"a","runsOn":"="}}`, want: "runsOn: "},
		{value: `{"task":{"image":"a","every":"x"}}`, want: "want a duration"},
		{value: `{"task":[]}`, want: "cannot unmarshal"},
	} {
		var a nightwatch.Accepted
		if err := json.Unmarshal([]byte(test.value), &a); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.value, err, test.want)
		}
	}
}
