package scheduler

import (
	"fmt"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// BenchmarkChoose is the choice of a node for one run, of a few and of a thousand, when all fit and when one does.
func BenchmarkChoose(b *testing.B) {
	for _, count := range []int{3, 100, 1000} {
		nodes := map[string]*nodeView{}
		for i := range count {
			name := fmt.Sprint("n", i)
			zone := "a"
			if i == 0 {
				zone = "b"
			}
			nodes[name] = &nodeView{node: nightwatch.Node{
				Name: name, Session: name, Capacity: 64, Runners: []string{"process"}, Labels: map[string]string{"zone": zone},
			}}
		}
		load := func(session, _ string) int { return len(session) }
		for _, row := range []struct{ name, task string }{
			{"any", `{"process":{"command":["true"]}}`},
			{"one", `{"process":{"command":["true"]},"runsOn":"zone=b"}`},
		} {
			task, err := nightwatch.ParseTask("default/hello", []byte(row.task))
			if err != nil {
				b.Fatal(err)
			}
			run := &nightwatch.Run{ID: "r", Task: "default/hello", Attempt: 1, Runner: task.Runner()}
			b.Run(fmt.Sprintf("%s of %d", row.name, count), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if best, reason, message := choose(nodes, load, nil, task, run); best == nil {
						b.Fatal(reason, message)
					}
				}
			})
		}
	}
}
