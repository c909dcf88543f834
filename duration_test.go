package nightwatch_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		text  string
		want  time.Duration
		shown string
	}{
		{text: "90s", want: 90 * time.Second, shown: "1m30s"},
		{text: "1h30m", want: 90 * time.Minute, shown: "1h30m"},
		{text: "250ms", want: 250 * time.Millisecond, shown: "250ms"},
		{text: "1.5h", want: 90 * time.Minute, shown: "1h30m"},
		{text: "7d", want: 7 * day, shown: "168h"},
		{text: "1d12h", want: 36 * time.Hour, shown: "36h"},
		{text: "0d1s", want: time.Second, shown: "1s"},
		{text: "60m", want: time.Hour, shown: "1h"},
		{text: "10m", want: 10 * time.Minute, shown: "10m"},
		{text: "20h", want: 20 * time.Hour, shown: "20h"},
		{text: "1h10m", want: 70 * time.Minute, shown: "1h10m"},
		{text: "1h10s", want: time.Hour + 10*time.Second, shown: "1h0m10s"},
		{text: "1ns", want: 1, shown: "1ns"},
		{text: "3650d", want: 3650 * day, shown: "87600h"},
	}
	for _, test := range tests {
		got, err := nightwatch.ParseDuration(test.text)
		if err != nil || time.Duration(got) != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", test.text, time.Duration(got), err, test.want)
			continue
		}
		if got.String() != test.shown {
			t.Errorf("%q shows as %q, want %q", test.text, got, test.shown)
		}
		if again, err := nightwatch.ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("ParseDuration(%q) = %v, %v, want what it came from", got, again, err)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	const form, zero, long = "want a duration such as 90s, 1h30m or 7d", "want a duration over zero", "is over ten years"
	tests := []struct{ text, reason string }{
		{"", form}, {"0", form}, {"90", form}, {"abc", form}, {"7 d", form}, {"1d2d", form}, {"1d 2h", form}, {"1.5d", form},
		{"d", form}, {"1w", form}, {"1h30", form}, {"1d0", form}, {"٣s", form},
		{"0s", zero}, {"-1h", zero}, {"-0s", zero}, {"0d0s", zero}, {"7d-1h", zero}, {"0.1ns", zero},
		{"3651d", long}, {"99999d", long}, {"87601h", long}, {"3650d1ns", long},
		{"999999d", form}, {"9999999h", form},
		{strings.Repeat("9", 60000), form},
	}
	for _, test := range tests {
		got, err := nightwatch.ParseDuration(test.text)
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("ParseDuration(%.40q) = %v, %v, want an error with %q", test.text, got, err, test.reason)
		} else if len(err.Error()) > 300 {
			t.Errorf("ParseDuration(%.40q): an error of %d bytes", test.text, len(err.Error()))
		}
	}
}

func TestDurationShowsZero(t *testing.T) {
	if got := nightwatch.Duration(0).String(); got != "0s" {
		t.Errorf("got %q", got)
	}
}

func TestStringsJSON(t *testing.T) {
	tests := []struct{ in, out string }{
		{`"a"`, `"a"`},
		{`["a"]`, `"a"`},
		{`["a","b"]`, `["a","b"]`},
		{`""`, `""`},
	}
	for _, test := range tests {
		var s nightwatch.Strings
		if err := json.Unmarshal([]byte(test.in), &s); err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		if got := canonical(t, s); got != test.out {
			t.Errorf("%s became %s, want %s", test.in, got, test.out)
		}
	}
}
