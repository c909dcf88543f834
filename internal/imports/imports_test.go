// Package imports holds the test that walks this module's import graph.
package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nightwatch-go/nightwatch"

// rule says what packages of this module may import besides the standard library.
type rule struct {
	// from matches packages, as path.Match does, by their path below the module; "." is the root.
	from string
	// to are the packages of this module that they may import.
	to []string
	// only, if set, are the modules and packages of others that they may import; else nothing is said about those.
	only []string
	// main says that programs may stand here, which nothing imports.
	main bool
}

// rules are the arrows between packages. The first that matches a package holds. An arrow that is not here is drawn on
// purpose, by a change of this table. Tests are free: they bring real parts together.
var rules = []rule{
	// Values: anybody can import them for the price of a YAML parser.
	{from: "schedule", only: []string{"github.com/robfig/cron/v3"}},
	{from: ".", to: []string{"schedule"}, only: []string{"go.yaml.in/yaml/v3"}},
	{from: "ledger", to: []string{".", "schedule"}, only: []string{}},

	// What a peer is made of. Election knows no tasks, registry only how a node announces itself.
	{from: "store", to: []string{".", "ledger"}},
	{from: "election"},
	{from: "registry", to: []string{"."}},
	{from: "scheduler", to: []string{".", "schedule", "ledger", "store"}},
	{from: "jobrunner", to: []string{".", "store"}},
	{from: "jobrunner/*", to: []string{".", "jobrunner"}},

	// The peer wired together, and what shows it.
	{from: "node", to: []string{".", "schedule", "store", "election", "registry", "scheduler", "jobrunner", "jobrunner/handler", "jobrunner/runlog"}},
	{from: "console", to: []string{".", "schedule", "ledger", "store", "registry", "jobrunner", "node"}},

	{from: "bench", to: []string{".", "store", "jobrunner", "node"}},

	// Programs.
	{from: "cmd/*", main: true, to: []string{
		".", "schedule", "ledger", "store", "jobrunner", "jobrunner/kubernetes", "jobrunner/process", "jobrunner/httpcall", "jobrunner/runlog", "node", "console", "bench",
	}},
	{from: "examples/*", main: true, to: []string{".", "jobrunner", "jobrunner/handler", "node", "store"}},

	// For tests.
	{from: "internal/reference", to: []string{"."}},
	{from: "internal/*", to: []string{"internal/toolmod"}},
	{from: "test/*", main: true, to: []string{"internal/etcdctl", "internal/etcdtest", "internal/kubetest"}},
	// The checker knows the public keys and values by itself.
	{from: "test/robustness/checker", to: []string{"schedule"}, only: []string{}},
	{from: "test/robustness/cluster", to: []string{".", "election", "store", "internal/etcdtest", "internal/failpoint", "internal/kubetest", "test/robustness/checker"}},
	{from: "test/robustness/suite", to: []string{".", "store", "internal/etcdtest", "internal/kubetest", "test/robustness/checker", "test/robustness/cluster"}},
	{from: "test/robustness/cmd", main: true, to: []string{
		"internal/kubetest", "test/robustness/checker", "test/robustness/cluster", "test/robustness/suite",
	}},
	{from: "test/robustness/platform", main: true, to: []string{"jobrunner", "jobrunner/handler", "node", "test/robustness/checker"}},
}

// fence keeps a dependency that is dear out of programs that do not want it.
type fence struct {
	// around is a package and all below it.
	around string
	// inside are the packages of this module that may reach it, by whatever way.
	inside []string
	why    string
}

var fences = []fence{
	{
		around: "k8s.io/client-go",
		inside: []string{"jobrunner/kubernetes", "cmd/*", "internal/kubetest", "test/*", "test/*/*"},
		why:    "who runs no Jobs does not pay for Kubernetes' client",
	},
	{
		around: "k8s.io/api",
		inside: []string{"jobrunner/kubernetes", "cmd/*", "internal/kubetest", "test/*", "test/*/*"},
		why:    "who runs no Jobs does not pay for Kubernetes' types",
	},
	{
		around: "go.etcd.io/etcd/server/v3",
		inside: []string{"cmd/*", "internal/etcdtest", "test/*", "test/*/*"},
		why:    "an embedder has an etcd and needs none in its binary",
	},
	{
		around: module + "/internal/etcdtest",
		inside: []string{"internal/etcdtest", "test/*", "test/*/*"},
		why:    "it is for tests",
	},
	{
		around: module + "/internal/kubetest",
		inside: []string{"internal/kubetest", "test/*", "test/*/*"},
		why:    "it is for tests",
	},
	{
		around: "github.com/spf13/cobra",
		inside: []string{"cmd/*"},
		why:    "flags belong to programs",
	},
	{
		around: module + "/console",
		inside: []string{"console", "cmd/*"},
		why:    "a node has no pages of its own",
	},
	{
		around: module + "/cmd",
		inside: []string{"cmd/*"},
		why:    "nothing points back at a program",
	},
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string // all that it reaches
}

func (p listed) ours() bool { return within(p.ImportPath, module) }

// short is the path below the module.
func (p listed) short() string { return short(p.ImportPath) }

func short(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// within says whether a package is one, or below it.
func within(importPath, parent string) bool {
	return importPath == parent || strings.HasPrefix(importPath, parent+"/")
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// load asks the go command for every package of the module and all that they reach, tests left out.
func load(t *testing.T) map[string]listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports,Deps", module+"/...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := map[string]listed{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

func TestImports(t *testing.T) {
	packages := load(t)
	ours := 0
	used := make([]bool, len(rules))
	for _, p := range packages {
		if !p.ours() {
			continue
		}
		ours++
		i := slices.IndexFunc(rules, func(r rule) bool { return matches([]string{r.from}, p.short()) })
		if i < 0 {
			t.Errorf("%s: no rule says what it may import", p.short())
			continue
		}
		used[i] = true
		for _, breach := range rules[i].breaches(p, packages) {
			t.Error(breach)
		}
		for _, f := range fences {
			if reached, far := f.breach(p); far {
				t.Errorf("%s -> %s: %s (by way of %s)", p.short(), f.around, f.why, strings.Join(way(packages, p.ImportPath, reached), " -> "))
			}
		}
	}
	if ours < 15 {
		t.Errorf("go list found %d packages of %s", ours, module)
	}
	for i, r := range rules {
		if !used[i] {
			t.Errorf("rule for %s: there is no such package", r.from)
		}
	}
}

// breaches are the arrows out of a package that the rule does not have.
func (r rule) breaches(p listed, packages map[string]listed) []string {
	var found []string
	for _, imported := range p.Imports {
		to, known := packages[imported]
		if !known || to.Standard || to.ImportPath == p.ImportPath {
			continue // "C", "unsafe" and what the standard library vendors
		}
		switch {
		case to.ours() && to.Name == "main":
			found = append(found, p.short()+" -> "+to.short()+": nothing imports a program")
		case to.ours() && !matches(r.to, to.short()):
			found = append(found, p.short()+" -> "+to.short()+": want an arrow only to "+strings.Join(append([]string{"the standard library"}, r.to...), ", "))
		case !to.ours() && r.only != nil && !slices.ContainsFunc(r.only, func(allowed string) bool { return within(imported, allowed) }):
			found = append(found, p.short()+" -> "+imported+": want none but "+strings.Join(r.only, ", "))
		}
	}
	if p.Name == "main" && !r.main {
		found = append(found, p.short()+": a program where none belongs")
	}
	return found
}

// breach is what a package reaches through the fence.
func (f fence) breach(p listed) (reached string, far bool) {
	if matches(f.inside, p.short()) {
		return "", false
	}
	for _, dep := range append([]string{p.ImportPath}, p.Deps...) {
		if within(dep, f.around) {
			return dep, true
		}
	}
	return "", false
}

// way is a shortest chain of imports from one package to another.
func way(packages map[string]listed, from, to string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			break
		}
		for _, next := range packages[queue[0]].Imports {
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	var chain []string
	for at := to; at != ""; at = before[at] {
		chain = append(chain, short(at))
	}
	slices.Reverse(chain)
	return chain
}

// The checks find what they are for.
func TestBreaches(t *testing.T) {
	p := func(name, path string, imports ...string) listed {
		return listed{Name: name, ImportPath: path, Imports: imports}
	}
	packages := map[string]listed{}
	for _, known := range []listed{
		p("schedule", module+"/schedule"), p("store", module+"/store"), p("node", module+"/node"), p("main", module+"/cmd/nightwatch"),
		p("hclog", "github.com/hashicorp/go-hclog"), p("cron", "github.com/robfig/cron/v3"), {ImportPath: "time", Standard: true},
	} {
		packages[known.ImportPath] = known
	}
	tests := []struct {
		name string
		rule rule
		of   listed
		want []string
	}{
		{name: "standard library", rule: rule{from: "a", only: []string{}}, of: p("a", module+"/a", "time", "unsafe")},
		{name: "an arrow that is there", rule: rule{from: "a", to: []string{"store"}}, of: p("a", module+"/a", module+"/store")},
		{
			name: "an arrow that is not", rule: rule{from: "store", to: []string{"schedule"}}, of: p("store", module+"/store", module+"/schedule", module+"/node"),
			want: []string{"store -> node: want an arrow only to the standard library, schedule"},
		},
		{
			name: "a dependency that is not", rule: rule{from: "schedule", only: []string{"github.com/robfig/cron/v3"}},
			of:   p("schedule", module+"/schedule", "github.com/robfig/cron/v3", "github.com/hashicorp/go-hclog"),
			want: []string{"schedule -> github.com/hashicorp/go-hclog: want none but github.com/robfig/cron/v3"},
		},
		{
			name: "a program", rule: rule{from: "a", to: []string{"cmd/nightwatch"}}, of: p("a", module+"/a", module+"/cmd/nightwatch"),
			want: []string{"a -> cmd/nightwatch: nothing imports a program"},
		},
		{name: "a program in a library's place", rule: rule{from: "a"}, of: p("main", module+"/a"), want: []string{"a: a program where none belongs"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.rule.breaches(test.of, packages); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFenceBreach(t *testing.T) {
	f := fence{around: "k8s.io/client-go", inside: []string{"jobrunner/kubernetes", "cmd/*"}}
	tests := []struct {
		name string
		of   listed
		want bool
	}{
		{name: "inside", of: listed{ImportPath: module + "/jobrunner/kubernetes", Deps: []string{"k8s.io/client-go/rest"}}},
		{name: "inside by pattern", of: listed{ImportPath: module + "/cmd/nightwatch", Deps: []string{"k8s.io/client-go"}}},
		{name: "outside", of: listed{ImportPath: module + "/node", Deps: []string{"time", "k8s.io/client-go/rest"}}, want: true},
		{name: "another that begins alike", of: listed{ImportPath: module + "/node", Deps: []string{"k8s.io/client-gone"}}},
		{name: "far from it", of: listed{ImportPath: module + "/node", Deps: []string{"time"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, got := f.breach(test.of); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
