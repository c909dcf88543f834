package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/handler"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// Base is embedded, so that its fields are params as well.
type Base struct {
	Region string `json:"region"`
}

type resize struct {
	Base
	File   string            `json:"file"`
	Width  int               `json:"width"`
	Small  int8              `json:"small"`
	Ratio  float64           `json:"ratio"`
	Keep   bool              `json:"keep"`
	Sizes  []int             `json:"sizes"`
	Tags   map[string]string `json:"tags"`
	At     time.Time         `json:"at"`
	Limits *struct {
		Memory string `json:"memory"`
		Pages  int    `json:"pages"`
	} `json:"limits"`
	Plain  string
	Hidden string `json:"-"`
	secret string //nolint:unused // a param of this name must not find it
}

type letter struct {
	A string `json:"a"`
}

func raw(pairs ...string) map[string]json.RawMessage {
	params := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		params[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return params
}

func TestTypedParams(t *testing.T) {
	for _, tt := range []struct {
		name   string
		params map[string]json.RawMessage
		want   resize
	}{
		{name: "none"},
		{name: "null is none", params: raw("width", "null", "limits", "null")},
		{name: "some", params: raw("file", `"cat.jpg"`, "width", "7"), want: resize{File: "cat.jpg", Width: 7}},
		{name: "embedded", params: raw("region", `"eu"`), want: resize{Base: Base{Region: "eu"}}},
		{name: "no tag", params: raw("Plain", `"x"`), want: resize{Plain: "x"}},
		{name: "lists and objects", params: raw("sizes", "[1,2]", "tags", `{"a":"b"}`), want: resize{Sizes: []int{1, 2}, Tags: map[string]string{"a": "b"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got *resize
			fn := handler.Typed(func(_ context.Context, _ jobrunner.Run, params resize) error { got = &params; return nil })
			if err := fn(t.Context(), jobrunner.Run{Params: tt.params}); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("%+v: want %+v", *got, tt.want)
			}
		})
	}
}

func TestTypedParamsOfOtherKinds(t *testing.T) {
	run := jobrunner.Run{Params: raw("a", `"x"`)}
	check := func(name string, fn handler.Func) {
		if err := fn(t.Context(), run); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("map", handler.Typed(func(_ context.Context, _ jobrunner.Run, p map[string]string) error {
		if p["a"] != "x" {
			return fmt.Errorf("%v", p)
		}
		return nil
	}))
	check("pointer", handler.Typed(func(_ context.Context, _ jobrunner.Run, p *letter) error {
		if p == nil || p.A != "x" {
			return fmt.Errorf("%v", p)
		}
		return nil
	}))
	check("one that decodes itself", handler.Typed(func(_ context.Context, _ jobrunner.Run, p json.RawMessage) error {
		if string(p) != `{"a":"x"}` {
			return fmt.Errorf("%s", p)
		}
		return nil
	}))
	run.Params = nil
	check("pointer, no params", handler.Typed(func(_ context.Context, _ jobrunner.Run, p *resize) error {
		if p == nil {
			return errors.New("nil")
		}
		return nil
	}))
	if handler.Typed[resize](nil) != nil {
		t.Error("a function out of nothing")
	}
}

func TestTypedRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		params map[string]json.RawMessage
		want   string
	}{
		{name: "string for a number", params: raw("width", `"big"`), want: `params.width: "big": want a whole number (int)`},
		{name: "number for a string", params: raw("file", `7`), want: `params.file: 7: want a string`},
		{name: "fraction", params: raw("width", `1.5`), want: `params.width: 1.5: want a whole number (int)`},
		{name: "too large", params: raw("small", `300`), want: `params.small: 300: want a whole number (int8)`},
		{name: "string for a truth", params: raw("keep", `"yes"`), want: `params.keep: "yes": want true or false`},
		{name: "string for a ratio", params: raw("ratio", `"1"`), want: `params.ratio: "1": want a number`},
		{name: "no list", params: raw("sizes", `{}`), want: `params.sizes: {}: want a list`},
		{name: "in a list", params: raw("sizes", `[1,"2"]`), want: `params.sizes: [1,"2"]: want a whole number (int)`},
		{name: "no object", params: raw("limits", `[]`), want: `params.limits: []: want an object`},
		{name: "in an object", params: raw("limits", `{"pages":"x"}`), want: `params.limits.pages: {"pages":"x"}: want a whole number (int)`},
		{name: "unknown in an object", params: raw("limits", `{"cpu":1}`), want: `params.limits: {"cpu":1}: unknown field "cpu"`},
		{name: "no time", params: raw("file", `"a"`, "at", `"noon"`), want: `params.at: "noon": parsing time`},
		{name: "unknown", params: raw("height", `1`), want: `params.height: unknown: the handler takes region, file, width`},
		{name: "case", params: raw("Width", `1`), want: `params.Width: unknown; did you mean "width"?`},
		{name: "case of one that is there", params: raw("width", `1`, "WIDTH", `2`), want: `params.WIDTH: unknown; did you mean "width"?`},
		{name: "left out of JSON", params: raw("Hidden", `"x"`), want: `params.Hidden: unknown`},
		{name: "not exported", params: raw("secret", `"x"`), want: `params.secret: unknown`},
		{name: "name of an embedded type", params: raw("Base", `{}`), want: `params.Base: unknown`},
		{name: "two", params: raw("width", `"a"`, "file", `1`), want: `params.file: 1: want a string; params.width: "a": want a whole number (int)`},
		{name: "long", params: raw("width", `"`+strings.Repeat("a", 1000)+`"`), want: strings.Repeat("a", 59) + "…: want a whole number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := task("work")
			w.Params = tt.params
			called := false
			r := handle(t, handler.Typed(func(context.Context, jobrunner.Run, resize) error { called = true; return nil }))
			a, _ := runnertest.Attempt(t, w)
			out := r.Run(t.Context(), a)
			if out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, tt.want) {
				t.Errorf("%+v: want Failed, StartRefused, %q", out, tt.want)
			}
			if called || !out.Hint.Permanent() {
				t.Errorf("called: %v, hint %v: want neither a call nor another attempt", called, out.Hint)
			}
		})
	}
	t.Run("in a map", func(t *testing.T) {
		fn := handler.Typed(func(context.Context, jobrunner.Run, map[string]string) error { return nil })
		if err := fn(t.Context(), jobrunner.Run{Params: raw("a", `"x"`, "b", `1`)}); err == nil || err.Error() != "params.b: 1: want a string" {
			t.Error(err)
		}
	})
	t.Run("no params wanted", func(t *testing.T) {
		fn := handler.Typed(func(context.Context, jobrunner.Run, struct{}) error { return nil })
		if err := fn(t.Context(), jobrunner.Run{Params: raw("a", `1`)}); err == nil || err.Error() != "params.a: unknown: the handler takes no params" {
			t.Error(err)
		}
	})
}

// Whatever the params: either the function gets what encoding/json makes of them, or the error names one of them.
func TestTypedNamesWhatItRefuses(t *testing.T) {
	value := rapid.SampledFrom([]string{`1`, `-1.5`, `"x"`, `"2026-11-20T14:15:00Z"`, `true`, `null`, `[]`, `[1]`, `["x"]`, `{}`, `{"pages":1}`, `{"a":"b"}`, `{"a":1}`})
	name := rapid.SampledFrom([]string{"region", "file", "width", "small", "ratio", "keep", "sizes", "tags", "at", "limits", "Plain", "plain", "File", "other"})
	rapid.Check(t, func(rt *rapid.T) {
		params := map[string]json.RawMessage{}
		for key, text := range rapid.MapOf(name, value).Draw(rt, "params") {
			params[key] = json.RawMessage(text)
		}
		var got *resize
		fn := handler.Typed(func(_ context.Context, _ jobrunner.Run, p resize) error { got = &p; return nil })
		err := fn(t.Context(), jobrunner.Run{Params: params})
		if err == nil {
			data, _ := json.Marshal(params)
			var want resize
			if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(*got, want) {
				rt.Errorf("%+v: want %+v, %v", *got, want, err)
			}
			return
		}
		for key := range params {
			if strings.Contains(err.Error(), "params."+key) {
				return
			}
		}
		rt.Errorf("%v names none of %v", err, params)
	})
}

func ExampleTyped() {
	type params struct {
		File  string `json:"file"`
		Width int    `json:"width"`
	}
	resize := handler.Typed(func(_ context.Context, run jobrunner.Run, p params) error {
		run.Progress(0.5, "read "+p.File)
		return run.SetResult(map[string]int{"width": p.Width})
	})

	run := jobrunner.Run{Params: map[string]json.RawMessage{"file": json.RawMessage(`"cat.jpg"`), "width": json.RawMessage(`"big"`)}}
	fmt.Println(resize(context.Background(), run))
	// Output: params.width: "big": want a whole number (int)
}
