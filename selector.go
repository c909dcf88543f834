package nightwatch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selector is a compiled label selector in kubectl's grammar: "a=b", "a==b", "a!=b", "a in (b,c)",
// "a notin (b,c)", "a", "!a", joined by commas that all must hold. The zero value selects everything.
type Selector struct{ terms []selectorTerm }

type selectorTerm struct {
	key    string
	values []string // nil: existence
	negate bool
}

var (
	labelKey   = regexp.MustCompile(`^(?:(` + dns1123 + `)/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`)
	setTerm    = regexp.MustCompile(`^([^ \t\r\n]+)[ \t\r\n]+(in|notin)[ \t\r\n]*\(([^()]*)\)$`)
)

// dns1123 matches a DNS-1123 subdomain of any length.
const dns1123 = `[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*`

const maxSubdomain = 253

func validLabelKey(key string) bool {
	m := labelKey.FindStringSubmatch(key)
	return m != nil && len(m[1]) <= maxSubdomain
}

// trimSpace takes away what kubectl takes for space, and nothing else.
func trimSpace(text string) string { return strings.Trim(text, " \t\r\n") }

// ParseSelector compiles a selector.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	if trimSpace(text) == "" {
		return s, nil
	}
	for _, part := range splitOutsideParens(text) {
		term, err := parseTerm(trimSpace(part))
		if err != nil {
			return Selector{}, err
		}
		s.terms = append(s.terms, term)
	}
	return s, nil
}

// Matches tells whether labels satisfy every term.
func (s Selector) Matches(labels map[string]string) bool {
	for _, t := range s.terms {
		value, has := labels[t.key]
		ok := has && (t.values == nil || slices.Contains(t.values, value))
		if ok == t.negate {
			return false
		}
	}
	return true
}

func splitOutsideParens(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, text[start:])
}

func parseTerm(text string) (selectorTerm, error) {
	var t selectorTerm
	if m := setTerm.FindStringSubmatch(text); m != nil {
		t.key, t.negate = m[1], m[2] == "notin"
		for value := range strings.SplitSeq(m[3], ",") {
			t.values = append(t.values, trimSpace(value))
		}
	} else if key, value, ok := strings.Cut(text, "!="); ok {
		t.key, t.values, t.negate = trimSpace(key), []string{trimSpace(value)}, true
	} else if key, value, ok := strings.Cut(text, "="); ok {
		t.key, t.values = trimSpace(key), []string{trimSpace(strings.TrimPrefix(value, "="))}
	} else {
		t.key = trimSpace(strings.TrimPrefix(text, "!"))
		t.negate = strings.HasPrefix(text, "!")
	}
	if !validLabelKey(t.key) {
		return t, fmt.Errorf("%q: want terms such as zone=a, arch in (amd64,arm64), !gpu", clip(text))
	}
	for _, value := range t.values {
		if !labelValue.MatchString(value) {
			return t, fmt.Errorf("%q: %q is not a label value", clip(text), clip(value))
		}
	}
	return t, nil
}

// CheckLabels refuses labels that Kubernetes would refuse.
func CheckLabels(field string, labels map[string]string) []FieldError {
	var faults []FieldError
	for key, value := range labels {
		switch {
		case !validLabelKey(key):
			faults = append(faults, FieldError{join(field, clip(key)), "not a label key: letters, digits, '-', '_' and '.', at most 63, with an optional DNS prefix and '/'"})
		case !labelValue.MatchString(value):
			faults = append(faults, FieldError{join(field, key), fmt.Sprintf("%q is not a label value: letters, digits, '-', '_' and '.', at most 63", clip(value))})
		}
	}
	slices.SortFunc(faults, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
	return faults
}
