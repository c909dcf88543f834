package nightwatch_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// What the scheduler and the nodes read and write for every run, at the sizes that a small recurring task has.

func BenchmarkParseTask(b *testing.B) {
	for name, value := range map[string]string{
		"handler":    `{"handler":{"name":"resize"},"every":"10s","offset":"1s"}`,
		"process":    `{"process":{"command":["/usr/bin/report","--daily"]},"schedule":"*/5 * * * *","timeZone":"Europe/Berlin","retry":{"attempts":3,"backoff":"10s"}}`,
		"kubernetes": `{"image":"busybox","command":["sleep"],"args":["60"],"schedule":"0 3 * * *","timeout":"10m","labels":{"team":"data"}}`,
		"yaml":       "image: busybox\ncommand: [sleep]\nargs: [\"60\"]\nschedule: 0 3 * * *\ntimeout: 10m\nlabels: {team: data}\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nightwatch.ParseTask("default/hello", []byte(value)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchRun() nightwatch.Run {
	at := time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)
	return nightwatch.Run{
		ID: "20261120T141500Z", Task: "default/hello", TaskUID: 12, TaskRevision: 12, Phase: nightwatch.PhaseSucceeded, NominalTime: at,
		CreateTime: at.Add(time.Millisecond), StartTime: at.Add(3 * time.Millisecond), EndTime: at.Add(9 * time.Millisecond),
		Attempt: 1, Node: "node-1", Session: "694d8f2a1b3c4d5e", Runner: "process", Term: 300, Fence: 345, Output: "hello\n",
	}
}

func benchStatus() nightwatch.Status {
	last := benchRun()
	return nightwatch.Status{
		Phase: nightwatch.PhaseScheduled, Accepted: true, ObservedRevision: 12, AcceptedRevision: 12, UID: 12, Cursor: last.NominalTime,
		Next:    []time.Time{last.NominalTime.Add(time.Minute), last.NominalTime.Add(2 * time.Minute)},
		LastRun: &last, CreateTime: last.CreateTime, UpdateTime: last.EndTime,
	}
}

func BenchmarkEncode(b *testing.B) {
	run, status := benchRun(), benchStatus()
	for name, value := range map[string]any{"run": &run, "status": &status} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data, err := nightwatch.Encode(value)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(data)))
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	run, status := benchRun(), benchStatus()
	for name, value := range map[string]any{"run": &run, "status": &status} {
		b.Run(name, func(b *testing.B) {
			data, err := nightwatch.Encode(value)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if name == "run" {
					err = json.Unmarshal(data, new(nightwatch.Run))
				} else {
					err = json.Unmarshal(data, new(nightwatch.Status))
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
