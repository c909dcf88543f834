package tasks

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestExamplesAreAccepted(t *testing.T) {
	files, err := filepath.Glob("*.[jy]*")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := nightwatch.ParseTaskFile(value, "default"); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
