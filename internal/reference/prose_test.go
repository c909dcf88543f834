package reference

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestProse(t *testing.T) {
	s := &source{constants: map[string]string{"OverlapSkip": "skip", "schedule.Both": "both"}, numbers: map[string]string{"MaxSlots": "100"}}
	known := map[string]string{"At": "at", "Every": "every", "StartsAt": "startsAt", "Retry": "retry", "URL": "url", "HTTP": "http", "Max": "max"}
	tests := []struct {
		name, comment, called      string
		of                         reflect.Type
		meaning, byDefault, values string
		least, most                float64 // 0: none
	}{
		{name: "subject", comment: "At is one instant\nor more.", called: "at", meaning: "one instant or more"},
		{name: "verb", comment: "Retry says what follows.", called: "retry", meaning: "says what follows"},
		{name: "two", comment: "StartsAt and EndsAt bound it.", called: "startsAt", meaning: "`startsAt` and EndsAt bound it"},
		{name: "field in a sentence", comment: "Goes with Every, HTTP, or StartsAt.", meaning: "Goes with `every`, `http`, or `startsAt`"},
		{name: "no field", comment: "Ask anew. At most 3: HTTP, the URL, Retry-After. Every one.", meaning: "Ask anew. At most 3: HTTP, the URL, Retry-After. Every one"},
		{name: "field at the beginning of a sentence", comment: "Counts. StartsAt too.", meaning: "Counts. `startsAt` too"},
		{name: "code", comment: `Such as {a: {b: At}}, tasks/<namespace>/<task>, "zone=a, At".`, meaning: "Such as `{a: {b: At}}`, `tasks/<namespace>/<task>`, `\"zone=a, At\"`"},
		{name: "default", comment: "How long. Default 5m, or Every.", meaning: "How long", byDefault: "5m, or `every`"},
		{name: "default in the middle", comment: "How long. Default 1.5. Bounded.", meaning: "How long. Bounded", byDefault: "1.5"},
		{name: "default in a clause", comment: "Max is a number; default the node's.", called: "max", meaning: "a number", byDefault: "the node's"},
		{name: "values", comment: "OverlapSkip (default) or schedule.Both.", meaning: "`skip` (default) or `both`", byDefault: "`skip`", values: "skip both"},
		{name: "from and to", comment: "Max is from −1000 to 1,000.", of: reflect.TypeFor[int](), meaning: "`max` is from −1000 to 1,000", least: -1000, most: 1000},
		{name: "at most", comment: "A number, at most 64.", of: reflect.TypeFor[*int32](), meaning: "A number, at most 64", most: 64},
		{name: "constant", comment: "A number, at most MaxSlots.", of: reflect.TypeFor[int](), meaning: "A number, at most 100", most: 100},
		{name: "at least", comment: "A number, at least 60.", of: reflect.TypeFor[int64](), meaning: "A number, at least 60", least: 60},
		{name: "or more", comment: "A number, 1 or more.", of: reflect.TypeFor[int](), meaning: "A number, 1 or more", least: 1},
		{name: "no number", comment: "A list, at most 64.", of: reflect.TypeFor[[]string](), meaning: "A list, at most 64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.of == nil {
				test.of = reflect.TypeFor[string]()
			}
			p := s.prose(test.comment, test.called, known, test.of)
			number := func(n *float64) float64 {
				if n == nil {
					return 0
				}
				return *n
			}
			if p.meaning != test.meaning || p.byDefault != test.byDefault || !slices.Equal(p.values, strings.Fields(test.values)) ||
				number(p.least) != test.least || number(p.most) != test.most {
				t.Errorf("got %+v, %v to %v", p, number(p.least), number(p.most))
			}
		})
	}
}

// What the rules are about is there.
func TestRulesAreAboutFields(t *testing.T) {
	r, err := Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	objects, fields := map[string]bool{"": true}, map[string]bool{}
	r.root.all(func(f *field) {
		fields[f.path] = true
		if f.inside != nil {
			objects[f.inside.path] = true
		}
	})
	for path := range rules {
		if !objects[path] {
			t.Errorf("a rule about %q, which is no object", path)
		}
	}
	for path := range forms {
		if !fields[path] {
			t.Errorf("a form of %q, which is no field", path)
		}
	}
	for path := range kubernetesForms {
		of, name, _ := strings.Cut(path, ".")
		if r.kubernetes[of][name] == "" {
			t.Errorf("a form of %q, which is not in the Kubernetes API", path)
		}
	}
	for of := range kubernetesRules {
		if r.kubernetes[of] == nil {
			t.Errorf("a rule about %q, which is not in the Kubernetes API", of)
		}
	}
}
