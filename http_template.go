package nightwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// HTTPValues is what the URL, the header values and the body of an http task may name, in actions of text/template:
// {{.Run}}, {{.Params.city}}, {{.NominalTime.Format "2006-01-02"}}.
type HTTPValues struct {
	Namespace, Task, Run string
	Attempt              int
	NominalTime          time.Time
	Fence                int64
	Params               map[string]json.RawMessage
	Upstream             []UpstreamRun
	// Shard is the number of the shard, from 0, of Shards; ShardParam is its param. All are zero for a run that is not
	// split.
	Shard, Shards int
	ShardParam    json.RawMessage
}

// A template is written by whoever may write the task, and is executed on a node. Whatever it says, it is walked once:
// nothing in it repeats, calls itself, or makes a text longer without being counted.
const (
	// maxRendered is how many bytes the text that a template makes may have.
	maxRendered = 256 << 10
	// maxWork is how many bytes the functions of all templates of a request may make on the way to it.
	maxWork = 4 * maxRendered
	// maxLayout is how many bytes a layout for a time may have.
	maxLayout = 128
)

// Functions that templates may call. Those of text/template that are not here can double a text, or print what is absent.
var templateFunctions = []string{"and", "eq", "ge", "gt", "index", "json", "le", "len", "lt", "ne", "not", "or"}

// writeFunction stands last in every action that writes something. No task may call it.
const writeFunction = "write"

var templateFields = []string{"Namespace", "Task", "Run", "Attempt", "NominalTime", "Fence", "Params", "Shard", "Shards", "ShardParam", "Upstream"}

// httpTemplate is a text whose actions are to be replaced.
type httpTemplate struct {
	template *template.Template
	// lead is the text before the first action; shape is all the text, with an "x" for every action.
	lead, shape string
}

// templated tells whether a text of an http task is a template; if not, it is sent as it is.
func templated(text string) bool { return strings.Contains(text, "{{") }

// parseHTTPTemplate reads a template and refuses what it may not say.
func parseHTTPTemplate(text string) (*httpTemplate, error) {
	made, err := template.New("").Option("missingkey=error").Funcs(new(rendering).functions(nil)).Parse(text)
	if err != nil {
		return nil, plainly(err)
	}
	t := &httpTemplate{template: made}
	if len(made.Templates()) > 1 {
		return nil, errors.New("define: a template here is one text")
	}
	if made.Tree == nil {
		return t, nil
	}
	var shape strings.Builder
	if err := prepare(made.Root, true, &shape); err != nil {
		return nil, err
	}
	t.shape = shape.String()
	if nodes := made.Root.Nodes; len(nodes) > 0 {
		if first, ok := nodes[0].(*parse.TextNode); ok {
			t.lead = string(first.Text)
		}
	}
	return t, nil
}

// prepare refuses what would not end soon or would not mean anything, and has every action written by writeFunction.
// top says that the dot is what the template is executed with.
func prepare(node parse.Node, top bool, shape *strings.Builder) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		return prepareAll(n.Nodes, top, shape)
	case *parse.TextNode:
		shape.Write(n.Text)
	case *parse.ActionNode:
		if err := prepare(n.Pipe, top, shape); err != nil {
			return err
		}
		if len(n.Pipe.Decl) == 0 {
			write := parse.NewIdentifier(writeFunction).SetPos(n.Pos)
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{write}})
			shape.WriteString("x")
		}
	case *parse.IfNode:
		return prepareAll([]parse.Node{n.Pipe, n.List, n.ElseList}, top, shape)
	case *parse.WithNode:
		if err := prepare(n.List, false, shape); err != nil {
			return err
		}
		return prepareAll([]parse.Node{n.Pipe, n.ElseList}, top, shape)
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			if err := prepareAll(cmd.Args, top, shape); err != nil {
				return err
			}
		}
	case *parse.ChainNode:
		return prepare(n.Node, top, shape)
	case *parse.FieldNode:
		if top {
			return checkField(n.Ident[0])
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			return checkField(n.Ident[1])
		}
	case *parse.IdentifierNode:
		if !slices.Contains(templateFunctions, n.Ident) {
			return fmt.Errorf("%s: want one of the functions %s", clip(n.Ident), strings.Join(templateFunctions, ", "))
		}
	case *parse.DotNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode, *parse.NilNode:
	default: // range, template, block: execution would no longer be bounded by the text
		word, _, _ := strings.Cut(strings.TrimLeft(n.String(), "{- "), " ")
		return fmt.Errorf("%s: want if or with, and json for lists and objects", clip(word))
	}
	return nil
}

func prepareAll(nodes []parse.Node, top bool, shape *strings.Builder) error {
	for _, node := range nodes {
		if err := prepare(node, top, shape); err != nil {
			return err
		}
	}
	return nil
}

func checkField(name string) error {
	if slices.Contains(templateFields, name) {
		return nil
	}
	return fmt.Errorf(".%s: want .%s", clip(name), orList(strings.Split(strings.Join(templateFields, " ."), " ")))
}

// Where text/template found the fault: of its own words only the line says something to the author of a task.
var templatePlace = regexp.MustCompile(`^template: :(\d+)(?::\d+)?: (?:executing "" at )?`)

func plainly(err error) error {
	var wrong template.ExecError
	if errors.As(err, &wrong) {
		err = wrong.Err
	}
	return errors.New(clipTo(templatePlace.ReplaceAllString(err.Error(), "line $1: "), 200))
}
