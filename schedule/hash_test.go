package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

// TestHash fixes what H stands for: these values were computed apart from this program, and must never change.
func TestHash(t *testing.T) {
	for _, tc := range []struct{ key, expr, want string }{
		{"default/backup", "H H H H H", "5 9 17 4 5"},
		{"default/backup", "H 5 9 * * *", "16 5 9 * * *"},
		{"default/backup", "h 9 * * *", "5 9 * * *"},
		{"default/backup", "0 H 3 * * * *", "5 3 * * *"},
		{"default/backup", "H/15 * * * *", "5-50/15 * * * *"},
		{"default/backup", "H(0-29)/10 * * * *", "5-25/10 * * * *"},
		{"default/backup", "0 H(9-17) * * *", "0 15 * * *"},
		{"default/backup", "0 0 H/7 * *", "0 0 3-24/7 * *"},
		{"default/backup", "0 3 * * H(1-5)", "0 3 * * 4"},
		{"default/backup", "0 3 * * H(mon-fri)", "0 3 * * 4"},
		{"default/backup", "0 3 * * H(1-7)", "0 3 * * 6"},
		{"default/backup", "H,30 3 * * *", "5,30 3 * * *"},
		{"default/backup", "0 3 H,L * *", "0 3 17,L * *"},
		{"default/backup", "0 3 * * thu", "0 3 * * 4"},
		{"default/report", "H H H H H", "17 18 18 11 1"},
		{"default/report", "H/15 H(9-17) * * *", "2-47/15 9 * * *"},
		{"团队/夜间", "0 3 * * H(1-7)", "0 3 * * 0"},
		{"团队/夜间", "H H H H H", "16 22 23 7 6"},
	} {
		s, err := Parse(Spec{Expressions: []string{tc.expr}, Key: tc.key})
		if err != nil {
			t.Errorf("%s of %s: %v", tc.expr, tc.key, err)
			continue
		}
		if s.String() != tc.want {
			t.Errorf("%s of %s is %s, want %s", tc.expr, tc.key, s, tc.want)
		}
	}
}

// TestHashStaysInBounds: whatever the key, H(a-b) is a value from a to b and H(a-b)/n a run of them.
func TestHashStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := fields[rapid.IntRange(0, 5).Draw(t, "field")]
		low := rapid.IntRange(f.min, f.max).Draw(t, "low")
		high := rapid.IntRange(low, f.max).Draw(t, "high")
		step := rapid.IntRange(1, min(f.limit, high-low+1)).Draw(t, "step")
		key := rapid.StringN(1, -1, -1).Draw(t, "key")
		bounds := "H(" + rangeText(low, high) + ")"
		if low == high {
			return
		}
		for _, item := range []string{bounds, bounds + "/" + rangeText(step, step)} {
			text, err := f.resolveHash(item, key)
			if err != nil {
				t.Fatal(err)
			}
			s, _, err := f.stride(text)
			if err != nil || s.low < low || s.low > high || s.high > high || s.low-low >= max(step, high-low+1) {
				t.Fatalf("%s of %q is %s, %v", item, key, text, err)
			}
		}
	})
}
