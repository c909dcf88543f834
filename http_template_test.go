package nightwatch_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
)

func values() nightwatch.HTTPValues {
	return nightwatch.HTTPValues{
		Namespace: "default", Task: "hello", Run: "20261120T141500Z", Attempt: 2,
		NominalTime: time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC), Fence: 345,
		Params: map[string]json.RawMessage{
			"city": json.RawMessage(`"Zürich \"1\"\n"`), "n": json.RawMessage(`9007199254740993`), "ratio": json.RawMessage(`1.50`),
			"a-b": json.RawMessage(`["x",2]`), "deep": json.RawMessage(`{"er":{"est":"<end>"}}`), "none": json.RawMessage(`null`),
			"yes": json.RawMessage(`true`), "path": json.RawMessage(`"../?a=b&c#d%"`), "long": json.RawMessage(`"` + strings.Repeat("x", 60000) + `"`),
		},
		Shard: 3, Shards: 8, ShardParam: json.RawMessage(`{"region":"eu"}`),
	}
}

func TestHTTPTemplates(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want string
	}{
		{name: "no template", text: "{ {.Run}} }}", want: "{ {.Run}} }}"},
		{name: "every field", text: "{{.Namespace}}/{{.Task}}/{{.Run}}/{{.Attempt}}/{{.NominalTime}}/{{.Fence}}", want: "default/hello/20261120T141500Z/2/2026-11-20T14:15:00Z/345"},
		{name: "a shard", text: "{{.Shard}} of {{.Shards}}: {{.ShardParam.region}} {{json .ShardParam}}", want: `3 of 8: eu {"region":"eu"}`},
		{name: "a string as it is", text: "{{.Params.city}}", want: "Zürich \"1\"\n"},
		{name: "a string as JSON", text: `{"city":{{json .Params.city}}}`, want: `{"city":"Zürich \"1\"\n"}`},
		{name: "numbers as they are written", text: "{{.Params.n}} {{.Params.ratio}} {{json .Params.n}}", want: "9007199254740993 1.50 9007199254740993"},
		{name: "a list", text: `{{index .Params "a-b"}} {{index .Params "a-b" 1}}`, want: `["x",2] 2`},
		{name: "an object", text: `{{.Params.deep}} {{.Params.deep.er.est}}`, want: `{"er":{"est":"<end>"}} <end>`},
		{name: "all that is known", text: `{{with .Params}}{{.yes}}{{$.Attempt}}{{end}}`, want: `true2`},
		{name: "null as JSON", text: `{{json .Params.none}}`, want: `null`},
		{name: "what may be absent", text: `{{with index .Params "absent"}}{{.}}{{else}}none{{end}}`, want: `none`},
		{name: "conditions", text: `{{if and (gt .Attempt 1) (eq .Params.n 9007199254740993)}}again{{end}}`, want: `again`},
		{name: "a day", text: `{{.NominalTime.Format "2006-01-02"}}`, want: `2026-11-20`},
		{name: "the day before there", text: `{{((.NominalTime.Add "-24h").In "Asia/Tokyo").Format "Jan 2 15:04"}}`, want: `Nov 19 23:15`},
		{name: "seconds", text: `{{.NominalTime.Unix}} {{json .NominalTime}}`, want: `1795184100 "2026-11-20T14:15:00Z"`},
		{name: "a variable", text: `{{$c := .Params.yes}}{{if $c}}{{$c}}{{end}}`, want: `true`},
		{name: "braces", text: `{{"{{"}} {{- /* no space */}} x`, want: `{{ x`},
		{name: "nothing but a comment", text: `{{/* nothing */}}`, want: ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made, err := (&nightwatch.HTTPSpec{URL: "http://a", Body: tt.text}).Render(values(), nil)
			if err != nil || made.Body != tt.want {
				t.Errorf("%s: %+v, %v: want %q", tt.text, made, err, tt.want)
			}
		})
	}
}

// TestHTTPTemplateFaults are those that no look at the task alone can find.
func TestHTTPTemplateFaults(t *testing.T) {
	double := strings.Repeat(`{{$a = json $a}}`, 40)
	layouts := `{{$a := "1"}}` + strings.Repeat(`{{$a = .NominalTime.Format $a}}`, 40)
	for _, tt := range []struct {
		name   string
		spec   nightwatch.HTTPSpec
		field  string
		reason string
	}{
		{name: "param that is not there", spec: nightwatch.HTTPSpec{Body: "{{.Params.town}}"}, field: "http.body", reason: `line 1: <.Params.town>: map has no entry for key "town"`},
		{name: "deep param that is not there", spec: nightwatch.HTTPSpec{Body: "\n{{.Params.deep.town}}"}, field: "http.body", reason: `line 2: <.Params.deep.town>: map has no entry`},
		{name: "param that is null", spec: nightwatch.HTTPSpec{Body: "{{.Params.none}}"}, field: "http.body", reason: "there is no value"},
		{name: "index that finds nothing", spec: nightwatch.HTTPSpec{Body: `{{index .Params "town"}}`}, field: "http.body", reason: "there is no value"},
		{name: "list that is shorter", spec: nightwatch.HTTPSpec{Body: `{{index .Params "a-b" 2}}`}, field: "http.body", reason: "out of range"},
		{name: "zone", spec: nightwatch.HTTPSpec{Body: `{{.NominalTime.In "Mars"}}`}, field: "http.body", reason: `"Mars": no such time zone`},
		{name: "machine's zone", spec: nightwatch.HTTPSpec{Body: `{{.NominalTime.In "Local"}}`}, field: "http.body", reason: "no such time zone"},
		{name: "duration", spec: nightwatch.HTTPSpec{Body: `{{.NominalTime.Add "1d"}}`}, field: "http.body", reason: `"1d": want a duration`},
		{name: "method that there is not", spec: nightwatch.HTTPSpec{Body: `{{.NominalTime.AppendFormat}}`}, field: "http.body", reason: "can't evaluate field AppendFormat"},
		{name: "text that is too long", spec: nightwatch.HTTPSpec{Body: strings.Repeat("{{.Params.long}}", 5)}, field: "http.body", reason: "makes a text of more than 262144 bytes"},
		{name: "text that doubles", spec: nightwatch.HTTPSpec{Body: `{{$a := .Params.city}}` + double}, field: "http.body", reason: "makes too much text"},
		{name: "much text that is thrown away", spec: nightwatch.HTTPSpec{Body: strings.Repeat("{{$a := json .Params.long}}", 20)}, field: "http.body", reason: "makes too much text"},
		{name: "long escapes", spec: nightwatch.HTTPSpec{URL: "http://a/" + strings.Repeat("{{.Params.long}}", 12)}, field: "http.url", reason: "makes"},
		{name: "time that doubles", spec: nightwatch.HTTPSpec{Body: layouts}, field: "http.body", reason: "want at most 128"},
		{name: "header with a line", spec: nightwatch.HTTPSpec{Headers: map[string]nightwatch.TextOrFile{"A": {Text: "{{.Params.city}}"}}}, field: "http.headers.A", reason: "has a line break"},
		{name: "way up", spec: nightwatch.HTTPSpec{URL: `http://a/{{"."}}{{"."}}/b`}, field: "http.url", reason: `a piece of the path is "." or ".."`},
		{name: "template that was accepted by another version", spec: nightwatch.HTTPSpec{Body: "{{range .Params}}{{end}}"}, field: "http.body", reason: "range: want"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made, err := tt.spec.Render(values(), nil)
			var fault nightwatch.FieldError
			if !errors.As(err, &fault) || fault.Field != tt.field || !strings.Contains(fault.Reason, tt.reason) || len(fault.Reason) > 400 {
				t.Errorf("%v, %v: want %s: %s", made, err, tt.field, tt.reason)
			}
		})
	}
}

// TestRenderLeavesTheTaskAlone: what is rendered is one attempt's, the task is everybody's.
func TestRenderLeavesTheTaskAlone(t *testing.T) {
	spec := nightwatch.HTTPSpec{URL: "http://a/{{.Run}}", Headers: map[string]nightwatch.TextOrFile{"A": {Text: "{{.Run}}"}, "B": {Text: "b"}, "C": {FromFile: "c"}}, Body: "{{.Run}}"}
	before := canonical(t, spec)
	made, err := spec.Render(values(), func(name string) (string, error) { return "{{secret}} " + name, nil })
	if err != nil {
		t.Fatal(err)
	}
	run := values().Run
	want := map[string]nightwatch.TextOrFile{"A": {Text: run}, "B": {Text: "b"}, "C": {Text: "{{secret}} c"}}
	if made.URL != "http://a/"+run || !maps.Equal(made.Headers, want) || made.Body != run {
		t.Errorf("%+v", made)
	}
	if after := canonical(t, spec); after != before {
		t.Errorf("the task became %s", after)
	}
}

// TestDocumentedTemplate renders the example of the documents, which a task can have as it stands.
func TestDocumentedTemplate(t *testing.T) {
	page, err := os.ReadFile("docs/tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### Templates\n")
	_, example, _ := strings.Cut(section, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	task := parse(t, example)
	at := values()
	at.Params = task.Params
	made, err := task.HTTP.Render(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if made.URL != "https://billing.internal/close/2026-11-20?region=eu%2Fwest" || made.Headers["X-Attempt"].Text != "2" || made.Body != `{"region": "eu/west", "run": "20261120T141500Z"}` {
		t.Errorf("%+v", made)
	}
}

// TestParamsStayInTheirPlace: whatever a param says, it is one piece of the path or one value of the query.
func TestParamsStayInTheirPlace(t *testing.T) {
	spec := nightwatch.HTTPSpec{URL: "https://a.example:8443/b/{{.Params.p}}/c?d={{.Params.p}}&e=f"}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "param")
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &text); err != nil { // what JSON cannot carry does not reach a task
			t.Fatal(err)
		}
		made, err := spec.Render(nightwatch.HTTPValues{Params: map[string]json.RawMessage{"p": raw}}, nil)
		if text == "." || text == ".." {
			if err == nil {
				t.Fatalf("%q: want a refusal", made.URL)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		target, err := url.Parse(made.URL)
		if err != nil {
			t.Fatalf("%q: %v", made.URL, err)
		}
		query := target.Query()
		if target.Host != "a.example:8443" || target.Path != "/b/"+text+"/c" || query.Get("d") != text || query.Get("e") != "f" || len(query) != 2 || target.Fragment != "" {
			t.Errorf("%q became %q", text, made.URL)
		}
		if n := strings.Count(target.EscapedPath(), "/"); n != 3 {
			t.Errorf("%q made a path of %d pieces: %q", text, n, made.URL)
		}
	})
}

// FuzzHTTPTemplate: no template harms the node that reads it or executes it.
func FuzzHTTPTemplate(f *testing.F) {
	for _, text := range []string{
		"{{.Run}}", `{{json .Params}}`, `{{with .Params.deep}}{{.er}}{{end}}`, `{{(.NominalTime.Add "1h").Format "1"}}`,
		`{{range 9}}{{end}}`, `{{define "a"}}{{end}}`, `{{if eq 1 2}}{{else if 3}}{{end}}`, `{{$a := .}}{{$a.Run | json}}`, `{{- 1 -}}`, `{{nil}}`, `{{1i}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		made, err := (&nightwatch.HTTPSpec{URL: "http://a/" + text, Headers: map[string]nightwatch.TextOrFile{"A": {Text: text}}, Body: text}).Render(values(), nil)
		if err == nil && len(made.Body) > max(256<<10, len(text)) {
			t.Errorf("%d bytes were made of %q", len(made.Body), text)
		}
	})
}
