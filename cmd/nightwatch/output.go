package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// output prints objects for people (table) or programs (json, yaml).
type output struct {
	format string
	html   bool // the command has a page as well
}

const formatHTML = "html"

func (o *output) flags(flags *pflag.FlagSet) {
	flags.StringVarP(&o.format, "output", "o", "table", o.formats())
}

func (o *output) formats() string {
	if o.html {
		return "table, json, yaml or html"
	}
	return "table, json or yaml"
}

func (o *output) check() error {
	switch o.format {
	case "table", "json", "yaml":
		return nil
	case formatHTML:
		if o.html {
			return nil
		}
	}
	return usage("--output: %q: want %s", o.format, o.formats())
}

// print writes value as JSON or YAML, or calls table.
func (o *output) print(out io.Writer, value any, table func(io.Writer)) error {
	switch o.format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case "yaml":
		data, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	}
	tabs := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	table(tabs)
	return tabs.Flush()
}

// row writes cells with tabs between them; empty ones show as "-", so that columns can be counted.
func row(out io.Writer, cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(out, strings.Join(cells, "\t"))
}

// stamp shows a time in UTC to the second, nothing for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
