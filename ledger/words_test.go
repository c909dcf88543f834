package ledger_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

// reasonWords are the values of all Reason constants of the root package, as its source has them.
func reasonWords(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			value, ok := spec.Values[i].(*ast.BasicLit)
			if !ok || !strings.HasPrefix(name.Name, "Reason") {
				t.Fatalf("%s: want Reason constants with literal values only", name.Name)
			}
			word, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
		return false
	})
	return words
}

func TestEveryReasonHasASentence(t *testing.T) {
	words := reasonWords(t)
	if len(words) < 30 {
		t.Fatalf("only %d reasons found: %q", len(words), words)
	}
	for _, phase := range []nightwatch.Phase{nightwatch.PhasePending, nightwatch.PhaseCanceled} {
		for _, word := range words {
			a := accountOf(t, every5, "10:05", "10:06")
			run := runAt("10:05", phase)
			run.Reason = word
			a.Runs = []nightwatch.Run{run}
			answer := ledger.Why(a, at("10:05"))
			_, sentence, explained := strings.Cut(answer.Headline, " ("+word+"): ")
			if !explained || len(sentence) < 15 || answer.Reason != word {
				t.Errorf("%s %s: %q says nothing of what it means", phase, word, answer.Headline)
			}
		}
	}
}

// A word of a newer version is shown as it is.
func TestUnknownReason(t *testing.T) {
	a := accountOf(t, every5, "10:05", "10:06")
	run := runAt("10:05", failed)
	run.Reason, run.Message = "Novel", "something new"
	a.Runs = []nightwatch.Run{run}
	if got := ledger.Why(a, at("10:05")).Headline; !strings.HasSuffix(got, "failed (Novel); something new.") {
		t.Errorf("got %q", got)
	}
}
