package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"
)

func TestProcessFlags(t *testing.T) {
	for _, tt := range []struct{ flag, value, fault string }{
		{flag: "--process-allow-namespaces", value: "ops,reports"},
		{flag: "--process-allow-users", value: "nightwatch,1000"},
		{flag: "--process-allow-users", value: `""`, fault: "want the name or the number of a user"},
		{flag: "--process-allow-commands", value: "/usr/bin/env,/bin/sh"},
		{flag: "--process-allow-commands", value: "/usr/bin/env,sh", fault: `--process-allow-commands: "sh": want an absolute path`},
		{flag: "--process-python", value: "/usr/bin/python3"},
		{flag: "--process-python", value: "python3", fault: `--process-python: "python3": want an absolute path`},
		{flag: "--process-shell", value: "/bin/bash"},
		{flag: "--process-shell", value: "./sh", fault: `--process-shell: "./sh": want an absolute path`},
	} {
		t.Run(tt.flag+"="+tt.value, func(t *testing.T) {
			var p programs
			flags := pflag.NewFlagSet("node", pflag.ContinueOnError)
			p.flags(flags)
			if err := flags.Parse([]string{tt.flag + "=" + tt.value}); err != nil {
				t.Fatal(err)
			}
			runner, err := p.build(hclog.NewNullLogger())
			var wrong usageError
			switch {
			case tt.fault == "" && (err != nil || runner == nil):
				t.Errorf("%v, %v: want a runner", runner, err)
			case tt.fault != "" && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("%v: want a usage error, %q", err, tt.fault)
			}
		})
	}
}
