package nightwatch_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
)

func TestSelectorMatches(t *testing.T) {
	none, a, b := map[string]string(nil), map[string]string{"zone": "a"}, map[string]string{"zone": "b"}
	empty := map[string]string{"zone": ""}
	tests := []struct {
		selector string
		yes, no  []map[string]string
	}{
		{selector: "", yes: []map[string]string{none, a, b, empty}},
		{selector: "  ", yes: []map[string]string{none, a}},
		{selector: "zone", yes: []map[string]string{a, b, empty}, no: []map[string]string{none}},
		{selector: "!zone", yes: []map[string]string{none}, no: []map[string]string{a, empty}},
		{selector: "zone=a", yes: []map[string]string{a}, no: []map[string]string{none, b, empty}},
		{selector: "zone == a", yes: []map[string]string{a}, no: []map[string]string{none, b, empty}},
		{selector: "zone=", yes: []map[string]string{empty}, no: []map[string]string{none, a}},
		// As kubectl has it, what is absent differs from every value and is in no set.
		{selector: "zone!=a", yes: []map[string]string{none, b, empty}, no: []map[string]string{a}},
		{selector: "zone notin (a)", yes: []map[string]string{none, b, empty}, no: []map[string]string{a}},
		{selector: "zone notin (a,b)", yes: []map[string]string{none, empty}, no: []map[string]string{a, b}},
		{selector: "zone in (a, b)", yes: []map[string]string{a, b}, no: []map[string]string{none, empty}},
		{selector: "zone in ( a )", yes: []map[string]string{a}, no: []map[string]string{none, b}},
		{selector: "zone in ()", yes: []map[string]string{empty}, no: []map[string]string{none, a}},
		{selector: "zone, zone!=a", yes: []map[string]string{b, empty}, no: []map[string]string{none, a}},
		{selector: "zone in (a,b),zone notin (b)", yes: []map[string]string{a}, no: []map[string]string{none, b}},
	}
	for _, test := range tests {
		t.Run(test.selector, func(t *testing.T) {
			s, err := nightwatch.ParseSelector(test.selector)
			if err != nil {
				t.Fatal(err)
			}
			for _, set := range test.yes {
				if !s.Matches(set) {
					t.Errorf("does not match %v", set)
				}
			}
			for _, set := range test.no {
				if s.Matches(set) {
					t.Errorf("matches %v", set)
				}
			}
		})
	}
}

func TestSelectorRefusals(t *testing.T) {
	for _, text := range []string{
		"=a", "!=a", "a,", ",a", "a,,b", "a b", "a in", "a in b", "a in (b", "a in b)", "in (a)", "(a)", "a in (b) c", "!a=b", "!!a", "!",
		"a===b", "a=b=c", "a=b c", "a=-b", "a=(b)", "a in ((b))", "a in (-b)", "-a=b", "a/b/c=d", "/a", "a/", "A.b/c", "a..b/c",
		"a=" + strings.Repeat("b", 64), strings.Repeat("a", 64), "a=ü", strings.Repeat("=", 60000),
	} {
		_, err := nightwatch.ParseSelector(text)
		if err == nil {
			t.Errorf("%q: accepted", text)
		} else if len(err.Error()) > 300 {
			t.Errorf("%.40q: an error of %d bytes", text, len(err.Error()))
		}
		if _, err := labels.Parse(text); err == nil {
			t.Errorf("%q: Kubernetes accepts it", text)
		}
	}
}

// Selectors put together at random are accepted and match exactly as in kubectl.
func TestSelectorIsKubernetes(t *testing.T) {
	word := rapid.SampledFrom([]string{"a", "b", "zone", "in", "notin", "x.y/z", "A_1", "", "-", "a.b", "a..b/c", "é", "!a"})
	space := rapid.SampledFrom([]string{"", " ", "  ", "\t"})
	term := rapid.Custom(func(t *rapid.T) string {
		s := func() string { return space.Draw(t, "space") }
		key, value := word.Draw(t, "key"), word.Draw(t, "value")
		switch rapid.SampledFrom([]string{"exists", "absent", "equals", "set", "junk"}).Draw(t, "form") {
		case "exists":
			return s() + key + s()
		case "absent":
			return s() + "!" + s() + key + s()
		case "equals":
			return s() + key + s() + rapid.SampledFrom([]string{"=", "==", "!="}).Draw(t, "operator") + s() + value + s()
		case "set":
			values := rapid.SliceOfN(word, 0, 3).Draw(t, "values")
			return s() + key + " " + s() + rapid.SampledFrom([]string{"in", "notin"}).Draw(t, "operator") + s() + "(" + s() + strings.Join(values, s()+","+s()) + s() + ")" + s()
		default:
			return rapid.StringMatching(`[ab!=(), ]{0,6}`).Draw(t, "junk")
		}
	})
	keys := []string{"a", "b", "zone", "in", "notin", "x.y/z", "A_1"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(term, 1, 3).Draw(t, "terms"), ",")
		set := rapid.MapOf(rapid.SampledFrom(keys), rapid.SampledFrom([]string{"a", "b", "", "in", "A_1"})).Draw(t, "labels")
		ours, err := nightwatch.ParseSelector(text)
		theirs, theirErr := labels.Parse(text)
		if (err == nil) != (theirErr == nil) {
			t.Fatalf("%q: ours says %v, Kubernetes %v", text, err, theirErr)
		}
		if err == nil && ours.Matches(set) != theirs.Matches(labels.Set(set)) {
			t.Fatalf("%q of %v: ours says %v, Kubernetes %v", text, set, ours.Matches(set), theirs.Matches(labels.Set(set)))
		}
	})
}

// Labels are accepted exactly if Kubernetes accepts them.
func TestCheckLabelsIsKubernetes(t *testing.T) {
	keys := []string{
		"a", "A", "1", "a-b_c.d", "a/b", "x.y/z", "x-1.y/Z_", "", "/", "/a", "a/", "a/b/c", "-a", "a-", ".a", "a.", "_a", "a b", "é", "a\n", "X/a",
		"a_b/c", "a..b/c", ".a/c", "a./c", "a.-b/c", "a-.b/c",
		strings.Repeat("a", 63), strings.Repeat("a", 64),
		strings.Repeat("a", 253) + "/b", strings.Repeat("a", 254) + "/b", strings.Repeat("a.", 126) + "a/b", strings.Repeat("a.", 127) + "a/b",
	}
	values := []string{"", "a", "A-b_c.d", "-a", "a-", "a b", "a/b", "é", "a\n", strings.Repeat("a", 63), strings.Repeat("a", 64)}
	for _, key := range keys {
		checkLabel(t, key, "a", len(validation.IsQualifiedName(key)) == 0)
	}
	for _, value := range values {
		checkLabel(t, "a", value, len(validation.IsValidLabelValue(value)) == 0)
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[aA1./_-]{0,8}`).Draw(t, "key")
		value := rapid.StringMatching(`[aA1./_-]{0,5}`).Draw(t, "value")
		checkLabel(t, key, value, len(validation.IsQualifiedName(key))+len(validation.IsValidLabelValue(value)) == 0)
	})
}

func checkLabel(t interface{ Errorf(string, ...any) }, key, value string, want bool) {
	faults := nightwatch.CheckLabels("labels", map[string]string{key: value})
	if (len(faults) == 0) != want {
		t.Errorf("%q: %q: got %v, Kubernetes accepts: %v", key, value, faults, want)
	}
}

func TestCheckLabelsNamesEach(t *testing.T) {
	faults := nightwatch.CheckLabels("labels", map[string]string{"b": "-", "-": "a", "ok": "ok", "a": "b c"})
	fields := make([]string, len(faults))
	for i, fault := range faults {
		fields[i] = fault.Field
	}
	if want := []string{"labels.-", "labels.a", "labels.b"}; !slices.Equal(fields, want) {
		t.Errorf("got %v, want %v", fields, want)
	}
}
