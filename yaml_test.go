package nightwatch_test

import (
	"strings"
	"testing"
)

func TestYAMLAndJSONGiveTheSameTask(t *testing.T) {
	tests := []struct {
		name, yaml, json string
	}{
		{
			name: "seed",
			yaml: "image: alpine\ncommand: [sleep]\nargs: ['60']\n",
			json: `{"image":"alpine","command":["sleep"],"args":["60"]}`,
		},
		{
			name: "with a document's marks, comments and CRLF",
			yaml: "--- # a task\r\nimage: alpine # small\r\n...\r\n",
			json: `{"image":"alpine"}`,
		},
		{
			name: "with a byte order mark",
			yaml: "\ufeffimage: alpine",
			json: `{"image":"alpine"}`,
		},
		{
			name: "schedule",
			yaml: "image: a\nschedule:\n- '*/5 * * * *'\n- '@daily'\ntimeZone: Asia/Shanghai\ncatchUp: {mode: all, window: 2h, max: 5}\nsuspend: true\npriority: -5\n",
			json: `{"image":"a","schedule":["*/5 * * * *","@daily"],"timeZone":"Asia/Shanghai","catchUp":{"mode":"all","window":"2h","max":5},"suspend":true,"priority":-5}`,
		},
		{
			name: "block scalars",
			yaml: "process:\n  shell: |\n    echo a\n    echo \"b\"\n  stdin: >-\n    one\n    line\n",
			json: `{"process":{"shell":"echo a\necho \"b\"\n","stdin":"one line"}}`,
		},
		{
			name: "null is absent",
			yaml: "image: a\nowner: ~\ndescription:\nlabels: null\n",
			json: `{"image":"a"}`,
		},
		{
			name: "params keep their types and what was written",
			yaml: "image: a\nparams: {on: on, yes: no, t: 2026-01-01, ts: 2026-12-01T09:00:00+08:00, o: 0177, x: 0x1F, u: 1_000, f: .5, e: 1e3, d: 12:30:45, big: 12345678901234567890123, nan: .nan, n: ~, T: True, F: FALSE, s: '5', tag: !!str 5, plus: +5}",
			json: `{"image":"a","params":{"on":"on","yes":"no","t":"2026-01-01","ts":"2026-12-01T09:00:00+08:00","o":"0177","x":"0x1F","u":"1_000","f":".5","e":1e3,"d":"12:30:45","big":12345678901234567890123,"nan":".nan","n":null,"T":true,"F":false,"s":"5","tag":"5","plus":"+5"}}`,
		},
		{
			name: "octal-looking and boolean-looking strings",
			yaml: "process:\n  command: [chmod, 0755, on, 2026-01-01]\n",
			json: `{"process":{"command":["chmod","0755","on","2026-01-01"]}}`,
		},
		{
			name: "white space in JSON params",
			yaml: "image: a\nparams: {list: [1, {a: b}]}",
			json: `{"image":"a","params":{"list": [1, {"a" : "b"} ]}}`,
		},
		{
			name: "an anchor that nothing refers to",
			yaml: "image: &image a",
			json: `{"image":"a"}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, want := canonical(t, parse(t, test.yaml)), canonical(t, parse(t, test.json)); got != want {
				t.Errorf("YAML %s\nJSON %s", got, want)
			}
		})
	}
}

func TestYAMLRefusals(t *testing.T) {
	checkTasks(t, []refused{
		{name: "comments only", value: "# nothing here", field: "", reason: "value is empty"},
		{name: "marks only", value: "---\n", field: "", reason: "want an object"},
		{name: "plain text", value: "hello world", field: "", reason: `"hello world": want an object`},
		{name: "syntax", value: "image: a\n  b: c", field: "", reason: "not valid YAML: line 2: mapping values are not allowed"},
		{name: "tab", value: "process:\n\tshell: a", field: "", reason: "not valid YAML: line 2"},
		{name: "two documents", value: "image: a\n---\nimage: b\n", field: "", reason: "more than one YAML document"},
		{name: "two documents, one empty", value: "image: a\n---\n", field: "", reason: "more than one YAML document"},
		{name: "alias", value: "image: &x a\nowner: *x", field: "", reason: "line 2: aliases are not supported"},
		{name: "alias to nothing", value: "image: *" + strings.Repeat("x", 60000), field: "", reason: "unknown anchor 'xxx"},
		{name: "alias as name", value: "image: &x owner\n*x : b", field: "", reason: "line 2: want a plain field name"},
		{name: "merge", value: "image: a\n<<: {owner: b}", field: "", reason: "line 2: want a plain field name"},
		{name: "merge of an alias", value: "labels: &x {a: b}\nannotations:\n  <<: *x", field: "", reason: "line 3: want a plain field name"},
		{name: "alias to itself", value: "params: &x {a: *x}", field: "", reason: "aliases are not supported"},
		{name: "bomb", value: "params:\n  a: &a [x,x]\n  b: &b [*a,*a]\n  c: [*b,*b]", field: "", reason: "aliases are not supported"},
		{name: "list as name", value: "? [a, b]\n: c", field: "", reason: "want a plain field name"},
		{name: "unknown", value: "image: a\nonn: b", field: "onn", reason: "unknown field"},
		{name: "on is a name", value: "image: a\non: b", field: "on", reason: "unknown field"},
		{name: "number as name", value: "image: a\n017: b", field: "017", reason: "unknown field"},
		{name: "case", value: "image: a\nTimeout: 1s", field: "Timeout", reason: `did you mean "timeout"?`},
		{name: "duplicate", value: "image: a\nowner: b\nimage: c", field: "image", reason: "duplicate field"},
		{name: "number for a duration", value: "image: a\ntimeout: 90", field: "timeout", reason: `want a duration in quotes`},
		{name: "number for a string", value: "image: a\nargs: [60]", field: "args[0]", reason: "60: want a string, in quotes"},
		{name: "boolean for a string", value: "process:\n  shell: true", field: "process.shell", reason: "true: want a string"},
		{name: "word for a boolean", value: "image: a\nsuspend: on", field: "suspend", reason: `"on": want true or false`},
		{name: "a boolean's tag on something else", value: "image: a\nsuspend: !!bool 'true,\"owner\":\"b\"'", field: "suspend", reason: "want true or false"},
		{name: "65 deep", value: "image: a\nparams:\n  p: " + strings.Repeat("[", 63) + strings.Repeat("]", 63), field: "", reason: "line 3: nested over 64 deep"},
		{name: "deeper than the parser goes", value: "a: " + strings.Repeat("{a: ", 15000), field: "", reason: "exceeded max depth"},
	})
	parse(t, "image: a\nparams:\n  p: "+strings.Repeat("[", 62)+"1"+strings.Repeat("]", 62))
}
