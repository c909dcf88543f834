package tasks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

func TestExamplesAreAccepted(t *testing.T) {
	calendars := acceptedCalendars(t)
	files, err := filepath.Glob("*.[jy]*")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, task, err := nightwatch.ParseTaskFile(value, "default")
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, name := range task.Calendars.Names() {
			if calendars[name] == nil {
				t.Errorf("%s: there is no example of calendar %q", file, name)
			}
		}
	}
}

// acceptedCalendars are the examples of calendars by their names, those of their files.
func acceptedCalendars(t *testing.T) map[string]*schedule.Calendar {
	t.Helper()
	files, err := filepath.Glob("../calendars/*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d calendars, %v", len(files), err)
	}
	calendars := map[string]*schedule.Calendar{}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		calendar, err := nightwatch.ParseCalendar(name, value)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		calendars[name] = calendar.Compiled()
	}
	return calendars
}
