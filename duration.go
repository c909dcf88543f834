package nightwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time that users write as a string: "90s", "1h30m", "250ms", "7d" (a day is 24 hours).
type Duration time.Duration

const maxDuration = 10 * 365 * 24 * time.Hour

var days = regexp.MustCompile(`^([0-9]{1,5})d(.*)$`)

// ParseDuration reads a duration as tasks have it: Go's form, with days before the rest. Bare numbers, zero,
// negative values and anything over ten years are refused.
func ParseDuration(text string) (Duration, error) {
	var total time.Duration
	rest := text
	if m := days.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, fmt.Errorf("%q: want a duration such as 90s, 1h30m or 7d", clip(text))
		}
		if n > int(maxDuration/(24*time.Hour)) {
			return 0, fmt.Errorf("%q is over ten years", clip(text))
		}
		total, rest = time.Duration(n)*24*time.Hour, m[2]
	}
	if rest != "" || total == 0 {
		d, err := time.ParseDuration(rest)
		if err != nil || rest == "0" {
			return 0, fmt.Errorf("%q: want a duration such as 90s, 1h30m or 7d", clip(text))
		}
		if d > maxDuration || total+d > maxDuration {
			return 0, fmt.Errorf("%q is over ten years", clip(text))
		}
		total += d
		if d < 0 || total == 0 {
			return 0, fmt.Errorf("%q: want a duration over zero", clip(text))
		}
	}
	return Duration(total), nil
}

// String is the form that ParseDuration reads, without the zero units of time.Duration's own.
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// MarshalJSON writes the string form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the string form.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("%s: want a duration in quotes, such as \"90s\"", clip(string(data)))
	}
	parsed, err := ParseDuration(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Strings is a list of strings that may be written as one string.
type Strings []string

// UnmarshalJSON reads "a" as well as ["a", "b"].
func (s *Strings) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*s = Strings{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("%s: want a string or a list of strings", clip(string(data)))
	}
	if len(list) == 0 {
		return errors.New("an empty list: leave the field out instead")
	}
	*s = list
	return nil
}

// MarshalJSON writes a list of one as the string alone.
func (s Strings) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]string(s))
}

// clip shortens what is quoted in messages.
func clip(text string) string { return clipTo(text, 60) }

func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
