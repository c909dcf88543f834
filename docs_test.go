package nightwatch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every test that docs/robustness.md names is there.
func TestRobustnessNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("docs/robustness.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]+): (Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Fatalf("%d tests are named", len(named))
	}
	for _, name := range named {
		files, err := filepath.Glob(name[1] + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(files, func(file string) bool {
			source, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(source), "func "+name[2]+"(")
		})
		if !found {
			t.Errorf("there is no %s in %s", name[2], name[1])
		}
	}
}
