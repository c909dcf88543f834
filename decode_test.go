package nightwatch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestDecodeRefusals(t *testing.T) {
	lists := func(n int) string {
		return `{"image":"a","params":{"p":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`
	}
	checkTasks(t, []refused{
		{name: "empty", value: "", field: "", reason: "value is empty"},
		{name: "white space", value: " \n\t", field: "", reason: "value is empty"},
		{name: "list", value: `[1]`, field: "", reason: "[1]: want an object"},
		{name: "null", value: `null`, field: "", reason: "null: want an object"},
		{name: "string", value: `"image"`, field: "", reason: "want an object"},
		{name: "cut short", value: "{\n\"image\": \"a\",\n", field: "", reason: "not valid JSON: line 3"},
		{name: "comma too many", value: "{\n\"image\": \"a\",\n}", field: "", reason: "not valid JSON: line 3"},
		{name: "two objects", value: `{"image":"a"}{"image":"b"}`, field: "", reason: "after top-level value"},
		{name: "YAML in braces", value: `{image: a}`, field: "", reason: "not valid JSON: line 1, byte 2"},
		{name: "not UTF-8", value: "{\"image\":\"\xff\"}", field: "", reason: "not valid UTF-8"},
		{name: "not UTF-8 in YAML", value: "image: \xff", field: "", reason: "not valid UTF-8"},
		{name: "UTF-16", value: "\xff\xfei\x00m\x00a\x00g\x00e\x00:\x00 \x00a\x00", field: "", reason: "not valid UTF-8"},
		{name: "NUL byte", value: "{\"image\":\"a\x00\"}", field: "", reason: "not valid JSON"},
		{name: "NUL byte in YAML", value: "image: a\x00", field: "", reason: "not valid YAML"},
		{name: "too large", value: `{"image":"` + strings.Repeat("a", nightwatch.MaxValue) + `"}`, field: "", reason: "value has 65548 bytes: at most 65536 are allowed"},

		{name: "65 deep", value: lists(63), field: "", reason: "nested over 64 deep"},
		{name: "9,000 deep", value: lists(9000), field: "", reason: "nested over 64 deep"},
		{name: "deeper than the parser goes", value: lists(20000), field: "", reason: "exceeded max depth"},

		{name: "unknown", value: `{"image":"a","imagePullPolicy":"Always"}`, field: "imagePullPolicy", reason: "unknown field"},
		{name: "unknown below", value: `{"process":{"command":["a"],"cwd":"/"}}`, field: "process.cwd", reason: "unknown field"},
		{name: "unknown and empty", value: `{"image":"a","":1}`, field: "", reason: "unknown field"},
		{name: "unknown and long", value: `{"image":"a","` + strings.Repeat("x", 1000) + `":1}`, field: strings.Repeat("x", 60) + "…", reason: "unknown field"},
		{name: "case", value: `{"Image":"a","process":{"command":["a"]}}`, field: "Image", reason: `unknown field; did you mean "image"?`},
		{name: "case below", value: `{"image":"a","schedule":"@daily","catchUp":{"Window":"1h"}}`, field: "catchUp.Window", reason: `did you mean "window"?`},
		{name: "case of a compound", value: `{"image":"a","schedule":"@daily","timezone":"UTC"}`, field: "timezone", reason: `did you mean "timeZone"?`},
		{name: "duplicate", value: `{"image":"a","image":"b"}`, field: "image", reason: "duplicate field"},
		{name: "duplicate with an escape", value: `{"image":"a","im\u0061ge":"b"}`, field: "image", reason: "duplicate field"},
		{name: "duplicate below", value: `{"process":{"shell":"a","shell":"b"}}`, field: "process.shell", reason: "duplicate field"},
		{name: "duplicate label", value: `{"image":"a","labels":{"a":"1","a":"2"}}`, field: "labels.a", reason: "duplicate field"},
		{name: "duplicate variable", value: `{"process":{"shell":"a","env":{"A":"1","A":"2"}}}`, field: "process.env.A", reason: "duplicate field"},
		{name: "duplicate param", value: `{"image":"a","params":{"a":1,"a":2}}`, field: "params.a", reason: "duplicate field"},

		{name: "number for a string", value: `{"image":5}`, field: "image", reason: "5: want a string"},
		{name: "object for a string", value: `{"image":{}}`, field: "image", reason: "{}: want a string"},
		{name: "string for a bool", value: `{"image":"a","suspend":"true"}`, field: "suspend", reason: `"true": want true or false`},
		{name: "string for a number", value: `{"image":"a","priority":"5"}`, field: "priority", reason: `"5": want a whole number`},
		{name: "fraction", value: `{"image":"a","priority":1.5}`, field: "priority", reason: "1.5: want a whole number"},
		{name: "number too large", value: `{"image":"a","priority":99999999999999999999}`, field: "priority", reason: "want a whole number"},
		{name: "string behind a pointer", value: `{"image":"a","history":{"failed":"1"}}`, field: "history.failed", reason: "want a whole number"},
		{name: "string for an object", value: `{"process":"ls"}`, field: "process", reason: `"ls": want an object`},
		{name: "list for an object", value: `{"process":["ls"]}`, field: "process", reason: `["ls"]: want an object`},
		{name: "string for a list", value: `{"image":"a","command":"ls -l"}`, field: "command", reason: `"ls -l": want a list of strings`},
		{name: "number in a list", value: `{"image":"a","args":["sleep",60]}`, field: "args[1]", reason: "60: want a string, in quotes"},
		{name: "null in a list", value: `{"image":"a","args":[null]}`, field: "args[0]", reason: "null: want a string"},
		{name: "number in labels", value: `{"image":"a","labels":{"tier":1}}`, field: "labels.tier", reason: "1: want a string, in quotes"},
		{name: "null in the environment", value: `{"process":{"shell":"a","env":{"A":null}}}`, field: "process.env.A", reason: "null: want a string"},
		{name: "list for a map", value: `{"image":"a","params":[]}`, field: "params", reason: "[]: want an object"},
		{name: "number for a duration", value: `{"image":"a","timeout":90}`, field: "timeout", reason: `90: want a duration in quotes, such as "90s"`},
		{name: "number for a schedule", value: `{"image":"a","schedule":5}`, field: "schedule", reason: "5: want a string or a list of strings"},
		{name: "no schedules", value: `{"image":"a","schedule":[]}`, field: "schedule", reason: "an empty list: leave the field out"},
	})
}

func TestDecodeTakesNullAsAbsent(t *testing.T) {
	got := parse(t, `{"image":"a","process":null,"schedule":null,"timeout":null,"labels":null,"args":null,"history":{"failed":null}}`)
	if want := `{"image":"a"}`; canonical(t, got) != want {
		t.Errorf("got %s, want %s", canonical(t, got), want)
	}
}

func TestDecodeTakesWhatIsJustWithinTheLimits(t *testing.T) {
	frame := len(`{"image":"a","description":""}`)
	parse(t, `{"image":"a","description":"`+strings.Repeat("x", nightwatch.MaxValue-frame)+`"}`)
	parse(t, `{"image":"a","params":{"p":`+strings.Repeat("[", 62)+strings.Repeat("]", 62)+`}}`)
	parse(t, `{"image":"a","params":{"p":"`+strings.Repeat("[{", 1000)+`\"[[["}}`)
}

// Faults come in the order of the value, then of the fields, and few enough to be stored, whatever the value.
func TestFaultsAreBoundedAndInOrder(t *testing.T) {
	many := func(format string) string {
		var b strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	tests := []struct {
		name        string
		value       string
		first, last string // fields
	}{
		{name: "unknown fields", value: `{` + many(`"x%d":1,`) + `"image":"a"}`, first: "x0", last: "x9"},
		{name: "wrong items", value: `{"image":"a","args":[` + many(`%d,`) + `1]}`, first: "args[0]", last: "args[9]"},
		{name: "wrong labels", value: `{"labels":{` + many(`"-%04d":"",`) + `"a":"a"}}`, first: "", last: "labels.-0008"},
		{name: "wrong variables", value: `{"process":{"shell":"a","env":{` + many(`"%04d":"",`) + `"a":"a"}}}`, first: "process.env", last: "process.env"},
		{name: "wrong headers", value: `{"http":{"url":"http://a","headers":{` + many(`"a b%04d":"",`) + `"a":"a"}}}`, first: "http.headers", last: "http.headers"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var first string
			for range 5 {
				_, err := nightwatch.ParseTask("a/b", []byte(test.value))
				var faults nightwatch.InvalidError
				if !errors.As(err, &faults) || len(faults) != 10 || faults[0].Field != test.first || faults[9].Field != test.last {
					t.Fatalf("got %d faults: %v", len(faults), err)
				}
				if first == "" {
					first = err.Error()
				}
				if err.Error() != first {
					t.Fatalf("not the same twice:\n%s\n%s", first, err)
				}
			}
		})
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	_, err := nightwatch.ParseTask("default/hello", []byte(`{"name":"other","image":"a b","delivery":"exactly-once","priority":2000,"runsOn":"=","timeZone":"Mars"}`))
	want := `delivery: "exactly-once": want at-least-once or at-most-once; ` +
		`image: "a b": an image has no white space; ` +
		`name: "other": the key says "hello"; ` +
		`priority: 2000: want -1000 to 1000; ` +
		`runsOn: "=": want terms such as zone=a, arch in (amd64,arm64), !gpu; ` +
		`timeZone: goes with schedule, every, afterFinish or at`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
