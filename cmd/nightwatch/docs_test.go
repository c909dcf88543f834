package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestDocumentedCommands checks that the commands in documents are there, with the flags that they are shown with.
func TestDocumentedCommands(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range append(documents, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks(string(text)) {
			if b.kind != "sh" && b.kind != "console" {
				continue
			}
			for _, line := range commandLines(b.text) {
				if args := nightwatchArgs(line); args != nil {
					checked++
					checkCommand(t, args)
				}
			}
		}
		for _, code := range inlineCommand.FindAllStringSubmatch(string(text), -1) {
			checked++
			checkCommand(t, shellWords(code[1]))
		}
	}
	if checked < 20 {
		t.Errorf("%d commands were found", checked)
	}
}

var inlineCommand = regexp.MustCompile("`nightwatch ([^`|…]+)`")

// block is a fenced block of a document, or a table.
type block struct {
	kind string
	text string
	line int // the first of text, from 1
}

const tableBlock = "table"

func blocks(text string) []block {
	var found []block
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		last := len(found) - 1
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !fenced:
			found, fenced = append(found, block{kind: kind, line: i + 2}), true
		case fence:
			fenced = false
		case fenced:
			found[last].text += line + "\n"
		case strings.HasPrefix(line, "|"):
			if last < 0 || found[last].kind != tableBlock || found[last].line+strings.Count(found[last].text, "\n") != i+1 {
				found = append(found, block{kind: tableBlock, line: i + 1})
				last++
			}
			found[last].text += line + "\n"
		}
	}
	return found
}

func tables(of []block) (n int) {
	for _, b := range of {
		if b.kind == tableBlock {
			n++
		}
	}
	return n
}

// commandLines are the commands of a block: in a console those behind "$ ". A command may go on after a "\\" at the end
// of a line.
func commandLines(text string) []string {
	var lines []string
	console := strings.Contains("\n"+text, "\n$ ")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		command, prompted := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if command != "" && prompted == console {
			lines = append(lines, command)
		}
	}
	return lines
}

// shellWords splits a command up to a comment or a pipe; words in single quotes are one.
func shellWords(line string) []string {
	var words []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		if word == "|" || word == "&" || strings.HasPrefix(word, "#") {
			break
		}
		words = append(words, strings.Trim(word, "'"))
	}
	return words
}

// nightwatchArgs are the arguments of a command line that runs nightwatch, from source or installed; else nil.
func nightwatchArgs(line string) []string {
	if _, after, piped := strings.Cut(line, " | "); piped {
		line = after
	}
	for _, program := range []string{"nightwatch ", "go run ./cmd/nightwatch "} {
		if args, ok := strings.CutPrefix(line, program); ok {
			return shellWords(args)
		}
	}
	return nil
}

// checkCommand checks that there is such a command, with such flags, without running it.
func checkCommand(t *testing.T, args []string) {
	t.Helper()
	command, rest, err := newRoot().Find(args)
	if err == nil && !command.Runnable() {
		err = usage("no such command")
	}
	if err == nil {
		err = command.ParseFlags(rest)
	}
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		err = command.ValidateArgs(command.Flags().Args())
	}
	if err != nil {
		t.Errorf("nightwatch %s: %v", strings.Join(args, " "), err)
	}
}
