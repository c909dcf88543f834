package nightwatch_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// A secret is a text's place in a value, and nowhere else; what was a string stays one.
func TestTextOrFile(t *testing.T) {
	for _, value := range []string{
		`{"process":{"shell":"a","env":{"A":"","B":"{\"fromFile\":\"b\"}","C":{"fromFile":"c"}}}}`,
		`{"http":{"url":"http://a","headers":{"A":"b","B":{"fromFile":"B_.b-1"},"C":{"fromFile":".netrc"}}}}`,
	} {
		task, err := nightwatch.ParseTask("default/a", []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := nightwatch.Encode(task)
		if err != nil || string(encoded) != value {
			t.Errorf("%s, %v: want %s", encoded, err, value)
		}
		var stored nightwatch.Task
		if err := json.Unmarshal(encoded, &stored); err != nil {
			t.Error(err)
		}
		if again, err := nightwatch.Encode(stored); err != nil || string(again) != value {
			t.Errorf("stored as %s, %v", again, err)
		}
	}
	task := nightwatch.Task{Process: &nightwatch.ProcessSpec{Shell: "a", Env: map[string]nightwatch.TextOrFile{
		"A": nightwatch.Text("a"), "B": nightwatch.FromFile("b"),
	}}}
	if encoded, err := nightwatch.Encode(task); err != nil || string(encoded) != `{"process":{"shell":"a","env":{"A":"a","B":{"fromFile":"b"}}}}` {
		t.Errorf("%s, %v", encoded, err)
	}
	if _, err := nightwatch.ParseTask("default/a", []byte("process:\n  shell: a\n  env: {A: {fromFile: a}}\n")); err != nil {
		t.Error(err)
	}
}

func TestTextOrFileRefusals(t *testing.T) {
	long := strings.Repeat("x", 254)
	for value, want := range map[string]string{
		`7`:                                  `7: want a string, in quotes, or {fromFile: NAME}`,
		`null`:                               `null: want a string, in quotes, or {fromFile: NAME}`,
		`["a"]`:                              `["a"]: want a string, in quotes, or {fromFile: NAME}`,
		`{}`:                                 `.fromFile: "": want the plain name of a file`,
		`{"fromFile":""}`:                    `.fromFile: "": want the plain name of a file`,
		`{"fromFile":null}`:                  `.fromFile: "": want the plain name of a file`,
		`{"fromFile":7}`:                     `.fromFile: 7: want a string`,
		`{"fromfile":"a"}`:                   `.fromfile: unknown field; did you mean "fromFile"?`,
		`{"fromFile":"a","key":"b"}`:         `.key: unknown field`,
		`{"fromFile":"a","fromFile":"b"}`:    `.fromFile: duplicate field`,
		`{"fromFile":"/etc/passwd"}`:         `.fromFile: "/etc/passwd": want the plain name of a file`,
		`{"fromFile":"a/b"}`:                 `.fromFile: "a/b": want the plain name of a file`,
		`{"fromFile":"a\\b"}`:                `want the plain name of a file`,
		`{"fromFile":"."}`:                   `.fromFile: ".": want the plain name of a file`,
		`{"fromFile":".."}`:                  `.fromFile: "..": want the plain name of a file`,
		`{"fromFile":"..data"}`:              `.fromFile: "..data": want the plain name of a file`,
		`{"fromFile":"a\u0000"}`:             `want the plain name of a file`,
		`{"fromFile":"é"}`:                   `want the plain name of a file`,
		`{"fromFile":"` + long + `"}`:        `want the plain name of a file`,
		`{"secretKeyRef":{"name":"a"}}`:      `.secretKeyRef: unknown field`,
		`{"fromFile":{"name":"a"}}`:          `want a string`,
		`"{{.Params.a}}","B":{"fromFile":1}`: `B.fromFile: 1: want a string`,
	} {
		for field, task := range map[string]string{
			"process.env.":  `{"process":{"shell":"a","env":{"A":` + value + `}}}`,
			"http.headers.": `{"http":{"url":"http://a","headers":{"A":` + value + `}}}`,
		} {
			var invalid nightwatch.InvalidError
			_, err := nightwatch.ParseTask("default/a", []byte(task))
			if !errors.As(err, &invalid) || !strings.HasPrefix(invalid[0].Field, field) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s%s: %v: want %s", field, value, err, want)
			}
		}
	}
	for _, value := range []string{
		`{"process":{"shell":{"fromFile":"a"}}}`, `{"process":{"shell":"a","stdin":{"fromFile":"a"}}}`, `{"http":{"url":{"fromFile":"a"}}}`,
		`{"handler":{"name":"a"},"params":{"p":1},"labels":{"a":{"fromFile":"a"}}}`,
	} {
		if _, err := nightwatch.ParseTask("default/a", []byte(value)); err == nil {
			t.Errorf("%s was accepted", value)
		}
	}
}
