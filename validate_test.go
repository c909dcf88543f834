package nightwatch_test

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestWhatRunsRefusals(t *testing.T) {
	checkTasks(t, []refused{
		{name: "nothing", value: `{}`, field: "", reason: "nothing to run: want one of image, kubernetes, process, http, handler"},
		{name: "an empty image", value: `{"image":""}`, field: "", reason: "nothing to run"},
		{name: "a command alone", value: `{"command":["ls"]}`, field: "command", reason: "goes with image; for a process on a node write process.command"},
		{name: "args alone", value: `{"args":["ls"]}`, field: "command", reason: "goes with image"},
		{name: "two", value: `{"image":"a","process":{"command":["b"]}}`, field: "process", reason: "also image is set: want one of"},
		{name: "two others", value: `{"http":{"url":"http://a"},"handler":{"name":"b"}}`, field: "handler", reason: "also http is set"},
		{name: "image twice", value: `{"image":"a","kubernetes":{"image":"a"}}`, field: "kubernetes", reason: "also image is set"},
		{name: "a command beside kubernetes", value: `{"kubernetes":{"image":"a"},"command":["b"]}`, field: "command", reason: "write them under kubernetes"},
		{name: "args beside a process", value: `{"process":{"command":["a"]},"args":["b"]}`, field: "command", reason: "write them under process"},

		{name: "image of spaces", value: `{"image":" "}`, field: "image", reason: "missing"},
		{name: "image with a space", value: `{"image":"a b"}`, field: "image", reason: `"a b": an image has no white space`},
		{name: "image with a NUL", value: `{"image":"a\u0000"}`, field: "image", reason: "no white space"},
		{name: "command with a NUL", value: `{"image":"a","command":["b","\u0000"]}`, field: "command[1]", reason: "has a NUL byte"},
		{name: "args with a NUL", value: `{"image":"a","args":["\u0000"]}`, field: "args[0]", reason: "has a NUL byte"},
		{name: "kubernetes without image", value: `{"kubernetes":{}}`, field: "kubernetes.image", reason: "missing"},
		{name: "kubernetes image with a line", value: `{"kubernetes":{"image":"a\n"}}`, field: "kubernetes.image", reason: "no white space"},
		{name: "kubernetes command with a NUL", value: `{"kubernetes":{"image":"a","command":["\u0000"]}}`, field: "kubernetes.command[0]", reason: "has a NUL byte"},
		{name: "variable's name", value: `{"kubernetes":{"image":"a","env":{"1A":"b"}}}`, field: "kubernetes.env", reason: `"1A": not a variable's name`},
		{name: "variable of ours", value: `{"kubernetes":{"image":"a","env":{"NIGHTWATCH_RUN":"b"}}}`, field: "kubernetes.env.NIGHTWATCH_RUN", reason: "set by the system"},
		{name: "variable with a NUL", value: `{"kubernetes":{"image":"a","env":{"A":"\u0000"}}}`, field: "kubernetes.env.A", reason: "has a NUL byte"},
		{name: "cluster", value: `{"kubernetes":{"image":"a","cluster":"a b"}}`, field: "kubernetes.cluster", reason: `"a b": want letters, digits`},
		{name: "cluster and selector", value: `{"kubernetes":{"image":"a","cluster":"a","clusterSelector":"b"}}`, field: "kubernetes.clusterSelector", reason: "also kubernetes.cluster is set: want one of them"},
		{name: "cluster selector", value: `{"kubernetes":{"image":"a","clusterSelector":"b=c d"}}`, field: "kubernetes.clusterSelector", reason: `"b=c d": "c d" is not a label value`},
		{name: "service account", value: `{"kubernetes":{"image":"a","serviceAccountName":"a_b"}}`, field: "kubernetes.serviceAccountName", reason: `"a_b": not a name`},
		{name: "service account in capitals", value: `{"kubernetes":{"image":"a","serviceAccountName":"A"}}`, field: "kubernetes.serviceAccountName", reason: "not a name"},
		{name: "long service account", value: `{"kubernetes":{"image":"a","serviceAccountName":"` + strings.Repeat("a ", 50) + `"}}`, field: "kubernetes.serviceAccountName", reason: "not a name"},

		{name: "empty process", value: `{"process":{}}`, field: "process", reason: "want exactly one of command, shell, python"},
		{name: "two processes", value: `{"process":{"shell":"a","python":"b"}}`, field: "process", reason: "want exactly one of"},
		{name: "no program", value: `{"process":{"command":["","a"]}}`, field: "process.command[0]", reason: "empty: want a program"},
		{name: "process command with a NUL", value: `{"process":{"command":["a","b\u0000"]}}`, field: "process.command[1]", reason: "has a NUL byte"},
		{name: "shell with a NUL", value: `{"process":{"shell":"\u0000"}}`, field: "process.shell", reason: "has a NUL byte"},
		{name: "python with a NUL", value: `{"process":{"python":"\u0000"}}`, field: "process.python", reason: "has a NUL byte"},
		{name: "relative directory", value: `{"process":{"shell":"a","dir":"tmp"}}`, field: "process.dir", reason: `"tmp": want an absolute path`},
		{name: "directory with a NUL", value: `{"process":{"shell":"a","dir":"/\u0000"}}`, field: "process.dir", reason: "has a NUL byte"},
		{name: "process variable", value: `{"process":{"shell":"a","env":{"A=B":"c"}}}`, field: "process.env", reason: "not a variable's name"},
		{name: "user of two words", value: `{"process":{"shell":"a","user":"a b"}}`, field: "process.user", reason: `"a b": want the name or the number of a user`},
		{name: "negative user", value: `{"process":{"shell":"a","user":"-1"}}`, field: "process.user", reason: "want the name or the number"},
		{name: "user as a number", value: `{"process":{"shell":"a","user":1000}}`, field: "process.user", reason: "1000: want a string"},
		{name: "user and group in one", value: `{"process":{"shell":"a","user":"a:b"}}`, field: "process.user", reason: `"a:b"`},
		{name: "user with a NUL", value: `{"process":{"shell":"a","user":"\u0000"}}`, field: "process.user", reason: "want the name"},
		{name: "long user", value: `{"process":{"shell":"a","user":"` + strings.Repeat("a", 257) + `"}}`, field: "process.user", reason: "want the name"},
		{name: "group with a line", value: `{"process":{"shell":"a","group":"a\n"}}`, field: "process.group", reason: "want the name or the number of a group"},
		{name: "umask", value: `{"process":{"shell":"a","umask":"0800"}}`, field: "process.umask", reason: `"0800": want three octal digits, such as "0027"`},
		{name: "umask of two digits", value: `{"process":{"shell":"a","umask":"27"}}`, field: "process.umask", reason: "want three octal digits"},
		{name: "memory", value: `{"process":{"shell":"a","limits":{"memory":"512MB"}}}`, field: "process.limits.memory", reason: `"512MB": want a whole number of bytes with k, M, G`},
		{name: "memory as a number", value: `{"process":{"shell":"a","limits":{"memory":1}}}`, field: "process.limits.memory", reason: "1: want a string"},
		{name: "too little memory", value: `{"process":{"shell":"a","limits":{"memory":"512"}}}`, field: "process.limits.memory", reason: `"512": want 1Mi to 1024Ti`},
		{name: "cpu", value: `{"process":{"shell":"a","limits":{"cpu":"half"}}}`, field: "process.limits.cpu", reason: `"half": want a number of processors`},
		{name: "no cpu", value: `{"process":{"shell":"a","limits":{"cpu":"0"}}}`, field: "process.limits.cpu", reason: `"0": want 0.01 to 1000`},
		{name: "pids", value: `{"process":{"shell":"a","limits":{"pids":-1}}}`, field: "process.limits.pids", reason: "-1: want 1 to 4194304"},
		{name: "many pids", value: `{"process":{"shell":"a","limits":{"pids":4194305}}}`, field: "process.limits.pids", reason: "want 1 to 4194304"},
		{name: "another limit", value: `{"process":{"shell":"a","limits":{"disk":"1Gi"}}}`, field: "process.limits.disk", reason: "unknown field"},

		{name: "no URL", value: `{"http":{}}`, field: "http.url", reason: "missing"},
		{name: "no scheme", value: `{"http":{"url":"a.example/b"}}`, field: "http.url", reason: "want http:// or https://"},
		{name: "other scheme", value: `{"http":{"url":"file:///etc/passwd"}}`, field: "http.url", reason: "want http:// or https://"},
		{name: "no host", value: `{"http":{"url":"http:///a"}}`, field: "http.url", reason: "has no host"},
		{name: "no host but a port", value: `{"http":{"url":"http://:80/a"}}`, field: "http.url", reason: "has no host"},
		{name: "password", value: `{"http":{"url":"http://me:secret@a/"}}`, field: "http.url", reason: "carries a password"},
		{name: "not a URL", value: `{"http":{"url":"http://a:b"}}`, field: "http.url", reason: "not a URL"},
		{name: "control character", value: `{"http":{"url":"http://a/\n"}}`, field: "http.url", reason: "not a URL"},
		{name: "method", value: `{"http":{"url":"http://a","method":"GET it"}}`, field: "http.method", reason: "not a method"},
		{name: "method in lower case", value: `{"http":{"url":"http://a","method":"get"}}`, field: "http.method", reason: `"get": not a method`},
		{name: "header's name", value: `{"http":{"url":"http://a","headers":{"A:":"b"}}}`, field: "http.headers", reason: `"A:": not a header name`},
		{name: "header's name not ASCII", value: `{"http":{"url":"http://a","headers":{"É":"b"}}}`, field: "http.headers", reason: "not a header name"},
		{name: "header without a name", value: `{"http":{"url":"http://a","headers":{"":"b"}}}`, field: "http.headers", reason: "not a header name"},
		{name: "header with a line", value: `{"http":{"url":"http://a","headers":{"A":"b\r\nC: d"}}}`, field: "http.headers.A", reason: "has a line break"},
		{name: "header with a control character", value: `{"http":{"url":"http://a","headers":{"A":"b\u0001"}}}`, field: "http.headers.A", reason: "control character"},
		{name: "status", value: `{"http":{"url":"http://a","success":["200","2xx"]}}`, field: "http.success[1]", reason: `"2xx": want a status code or a range such as 200-299`},
		{name: "empty range", value: `{"http":{"url":"http://a","success":["299-200"]}}`, field: "http.success[0]", reason: "the range is empty"},

		{name: "template that is not one", value: `{"http":{"url":"http://a","body":"{{.Run"}}`, field: "http.body", reason: "line 1: unclosed action"},
		{name: "template of a header", value: `{"http":{"url":"http://a","headers":{"A":"{{.Rnu}}"}}}`, field: "http.headers.A", reason: ".Rnu: want .Namespace, .Task, .Run, .Attempt, .NominalTime, .Fence, .Params, .Shard, .Shards, .ShardParam or .Upstream"},
		{name: "template with another dot", value: `{"http":{"url":"http://a","body":"{{with .Params.a}}{{$.Rnu}}{{.any}}{{end}}"}}`, field: "http.body", reason: ".Rnu: want .Namespace"},
		{name: "function that there is not", value: `{"http":{"url":"http://a","body":"{{upper .Run}}"}}`, field: "http.body", reason: `function "upper" not defined`},
		{name: "function that is not allowed", value: `{"http":{"url":"http://a","body":"{{if true}}{{else}}{{(printf \"%99999d\" 1)}}{{end}}"}}`, field: "http.body", reason: "printf: want one of the functions and, eq,"},
		{name: "function of ours", value: `{"http":{"url":"http://a","body":"{{write .Run}}"}}`, field: "http.body", reason: "write: want one of the functions"},
		{name: "template with a loop", value: `{"http":{"url":"http://a","body":"{{range 1000000000}}{{end}}"}}`, field: "http.body", reason: "range: want if or with, and json for lists"},
		{name: "template with templates", value: `{"http":{"url":"http://a","body":"{{define \"a\"}}{{template \"a\"}}{{end}}x"}}`, field: "http.body", reason: "define: a template here is one text"},
		{name: "template with itself", value: `{"http":{"url":"http://a","body":"{{template \"\" .}}"}}`, field: "http.body", reason: "template: want if or with"},
		{name: "template with a block", value: `{"http":{"url":"http://a","body":"{{block \"a\" .}}b{{end}}"}}`, field: "http.body", reason: "define: a template here is one text"},
		{name: "templated host", value: `{"http":{"url":"http://{{.Params.host}}/a"}}`, field: "http.url", reason: "only what follows the host may be templated"},
		{name: "templated end of a host", value: `{"http":{"url":"http://a{{.Params.host}}/a"}}`, field: "http.url", reason: "only what follows the host may be templated"},
		{name: "templated port", value: `{"http":{"url":"http://a:{{.Params.port}}/a"}}`, field: "http.url", reason: "only what follows the host may be templated"},
		{name: "templated scheme", value: `{"http":{"url":"{{.Params.scheme}}://a/"}}`, field: "http.url", reason: "only what follows the host may be templated"},
		{name: "templated URL of another scheme", value: `{"http":{"url":"file:///etc/{{.Params.file}}"}}`, field: "http.url", reason: "want http:// or https://"},
		{name: "templated URL with a password", value: `{"http":{"url":"http://me:secret@a/{{.Run}}"}}`, field: "http.url", reason: "carries a password"},
		{name: "templated URL with half an escape", value: `{"http":{"url":"http://a/%{{.Run}}"}}`, field: "http.url", reason: "not a URL"},
		{name: "templated URL with a way up", value: `{"http":{"url":"http://a/../{{.Run}}"}}`, field: "http.url", reason: "a piece of the path is"},
		{name: "templated header's name", value: `{"http":{"url":"http://a","headers":{"{{.Run}}":"b"}}}`, field: "http.headers", reason: "not a header name"},
		{name: "templated method", value: `{"http":{"url":"http://a","method":"{{.Run}}"}}`, field: "http.method", reason: "not a method"},
		{name: "server's name", value: `{"http":{"url":"https://a","tls":{"serverName":"b c"}}}`, field: "http.tls.serverName", reason: `"b c": want a host name`},
		{name: "server's name without TLS", value: `{"http":{"url":"http://a","tls":{"serverName":"b"}}}`, field: "http.tls.serverName", reason: "goes with an https:// url"},
		{name: "server not to be known", value: `{"http":{"url":"https://a","tls":{"insecureSkipVerify":true}}}`, field: "http.tls.insecureSkipVerify", reason: "unknown field"},
		{name: "poll without an end", value: `{"http":{"url":"http://a","poll":{}}}`, field: "http.poll", reason: "goes with timeout or runTimeout"},
		{name: "callback without an end", value: `{"http":{"url":"http://a","callback":{}}}`, field: "http.callback", reason: "goes with timeout or runTimeout"},
		{name: "callback and poll", value: `{"http":{"url":"http://a","callback":{},"poll":{}},"timeout":"1h"}`, field: "http.callback", reason: "also poll is set"},
		{name: "callback that is a word", value: `{"http":{"url":"http://a","callback":true},"timeout":"1h"}`, field: "http.callback", reason: "true: want an object"},
		{name: "callback with more", value: `{"http":{"url":"http://a","callback":{"url":"http://b"}},"timeout":"1h"}`, field: "http.callback.url", reason: "unknown field"},
		{name: "poll too often", value: `{"http":{"url":"http://a","poll":{"interval":"999ms"}},"timeout":"1h"}`, field: "http.poll.interval", reason: "999ms: want 1s to 1h"},
		{name: "poll too seldom", value: `{"http":{"url":"http://a","poll":{"interval":"61m"}},"timeout":"1d"}`, field: "http.poll.interval", reason: "1h1m: want 1s to 1h"},

		{name: "no handler", value: `{"handler":{}}`, field: "handler.name", reason: "missing"},
		{name: "param's name", value: `{"image":"a","params":{"a b":1}}`, field: "params", reason: `"a b": want letters, digits`},
	})
}

func TestWhenRefusals(t *testing.T) {
	checkTasks(t, []refused{
		{name: "minute", value: `{"image":"a","schedule":"61 * * * *"}`, field: "schedule", reason: `"61 * * * *": minute 61 is over 59`},
		{name: "empty", value: `{"image":"a","schedule":""}`, field: "schedule", reason: "is empty"},
		{name: "one of a list", value: `{"image":"a","schedule":["@daily","* * *"]}`, field: "schedule[1]", reason: "has 3 fields"},
		{name: "31 February", value: `{"image":"a","schedule":"0 0 31 2 *"}`, field: "schedule", reason: "can never match"},
		{name: "zone inside", value: `{"image":"a","schedule":"TZ=UTC"}`, field: "schedule", reason: "want a cron expression"},
		{name: "zone", value: `{"image":"a","schedule":"@daily","timeZone":"Mars/Olympus"}`, field: "timeZone", reason: "no such time zone"},
		{name: "machine's zone", value: `{"image":"a","schedule":"@daily","timeZone":"Local"}`, field: "timeZone", reason: "differs from one machine to the next"},
		{name: "@every of less than nothing", value: `{"image":"a","schedule":"@every -1h"}`, field: "schedule", reason: "-1h"},
		{name: "every too short", value: `{"image":"a","every":"1ms"}`, field: "every", reason: "1ms"},
		{name: "every of nothing", value: `{"image":"a","every":"0s"}`, field: "every", reason: "want a duration over zero"},
		{name: "both", value: `{"image":"a","every":"30s","schedule":"@daily"}`, field: "every", reason: "also schedule is set: want one of schedule, every, afterFinish, at"},
		{name: "offset alone", value: `{"image":"a","offset":"5s"}`, field: "offset", reason: "goes with every"},
		{name: "offset of a schedule", value: `{"image":"a","schedule":"@daily","offset":"5s"}`, field: "offset", reason: "goes with every"},
		{name: "offset too long", value: `{"image":"a","every":"30s","offset":"30s"}`, field: "offset", reason: "30s"},
		{name: "zone alone", value: `{"image":"a","timeZone":"UTC"}`, field: "timeZone", reason: "goes with schedule, every, afterFinish or at"},
		{name: "catchUp alone", value: `{"image":"a","catchUp":{"mode":"all"}}`, field: "catchUp", reason: "goes with schedule, every or at"},
		{name: "catchUp mode", value: `{"image":"a","every":"30s","catchUp":{"mode":"last"}}`, field: "catchUp.mode", reason: `"last": want none, latest or all`},
		{name: "catchUp max", value: `{"image":"a","every":"30s","catchUp":{"max":1001}}`, field: "catchUp.max", reason: "want 1 to 1000"},
		{name: "catchUp max below", value: `{"image":"a","every":"30s","catchUp":{"max":-1}}`, field: "catchUp.max", reason: "-1: want a whole number, 1 or more"},
		{name: "no catch-up by max", value: `{"image":"a","every":"30s","catchUp":{"max":0}}`, field: "catchUp.max", reason: "0: want a whole number, 1 or more"},
		{name: "max runs of nothing", value: `{"image":"a","every":"1h","maxRuns":0}`, field: "maxRuns", reason: "0: want a whole number, 1 or more"},
		{name: "catchUp window", value: `{"image":"a","every":"30s","catchUp":{"window":"-1h"}}`, field: "catchUp.window", reason: "want a duration over zero"},
		{name: "overlap", value: `{"image":"a","every":"30s","overlap":"queue"}`, field: "overlap", reason: `"queue": want skip, queue-one, queue-all, replace or allow`},
		{name: "overlap of submissions", value: `{"image":"a","overlap":"skip"}`, field: "overlap", reason: `"skip": a task without times of its own wants queue-one`},
		{name: "overlap after finish", value: `{"image":"a","afterFinish":"1m","overlap":"queue-one"}`, field: "overlap", reason: "no occurrence comes while a run is live"},
		{name: "two of when", value: `{"image":"a","afterFinish":"1m","at":"2026-12-01T09:00:00Z"}`, field: "at", reason: "also afterFinish is set: want one of schedule, every, afterFinish, at"},
		{name: "instants with jitter", value: `{"image":"a","at":"2026-12-01T09:00:00Z","jitter":"1s"}`, field: "jitter", reason: "goes with schedule or every"},
		{name: "an interval with daylight saving", value: `{"image":"a","every":"1h","daylightSaving":"skip"}`, field: "daylightSaving", reason: "goes with schedule"},
		{name: "daylight saving", value: `{"image":"a","schedule":"@daily","daylightSaving":"never"}`, field: "daylightSaving", reason: `"never"`},
		{name: "day match", value: `{"image":"a","schedule":"@daily","dayMatch":"xor"}`, field: "dayMatch", reason: `"xor"`},
		{name: "starts at alone", value: `{"image":"a","startsAt":"2026-12-01T09:00:00Z"}`, field: "startsAt", reason: "goes with schedule, every or afterFinish"},
		{name: "starts at", value: `{"image":"a","every":"1h","startsAt":"tomorrow"}`, field: "startsAt", reason: `"tomorrow"`},
		{name: "ends before it starts", value: `{"image":"a","every":"1h","startsAt":"2026-12-01T09:00:00Z","endsAt":"2026-12-01T09:00:00Z"}`, field: "endsAt", reason: "2026-12-01T09:00:00Z"},
		{name: "an instant", value: `{"image":"a","at":["2026-12-01T09:00:00Z","2026-13-01"]}`, field: "at[1]", reason: `"2026-13-01"`},
		{name: "no instants", value: `{"image":"a","at":[]}`, field: "at", reason: "an empty list"},
		{name: "max runs", value: `{"image":"a","every":"1h","maxRuns":-1}`, field: "maxRuns", reason: "-1: want a whole number, 1 or more"},
		{name: "start within", value: `{"image":"a","every":"1h","startWithin":60}`, field: "startWithin", reason: "want a duration in quotes"},
		{name: "calendars alone", value: `{"image":"a","calendars":{"exclude":["a"]}}`, field: "calendars", reason: "goes with schedule, every or at"},
		{name: "a calendar's name", value: `{"image":"a","schedule":"@daily","calendars":{"exclude":["a","B"]}}`, field: "calendars.exclude[1]", reason: `"B": want the name of a calendar`},
		{name: "on excluded", value: `{"image":"a","schedule":"@daily","calendars":{"exclude":["a"],"onExcluded":"next"}}`, field: "calendars.onExcluded", reason: `"next": want skip, next-included or previous-included`},
		{name: "on excluded of an interval", value: `{"image":"a","every":"1h","calendars":{"exclude":["a"],"onExcluded":"next-included"}}`, field: "calendars.onExcluded", reason: "goes with schedule or at"},
		{name: "on excluded without calendars", value: `{"image":"a","schedule":"@daily","calendars":{"onExcluded":"skip"}}`, field: "calendars.onExcluded", reason: "goes with include or exclude"},
	})
}

func TestHowRefusals(t *testing.T) {
	checkTasks(t, []refused{
		{name: "another name", value: `{"image":"a","name":"other"}`, field: "name", reason: `"other": the key says "hello"`},
		{name: "another namespace", value: `{"image":"a","namespace":"other"}`, field: "namespace", reason: `"other": the key says "default"`},
		{name: "label's key", value: `{"image":"a","labels":{"a b":"c"}}`, field: "labels.a b", reason: "not a label key"},
		{name: "label's value", value: `{"image":"a","labels":{"a":"b c"}}`, field: "labels.a", reason: `"b c" is not a label value`},
		{name: "timeout", value: `{"image":"a","timeout":"0s"}`, field: "timeout", reason: "want a duration over zero"},
		{name: "long timeout", value: `{"image":"a","timeout":"3651d"}`, field: "timeout", reason: "is over ten years"},
		{name: "delivery", value: `{"image":"a","delivery":"exactly-once"}`, field: "delivery", reason: "want at-least-once or at-most-once"},
		{name: "runsOn", value: `{"image":"a","runsOn":"zone in a"}`, field: "runsOn", reason: `"zone in a": want terms such as`},
		{name: "slots", value: `{"image":"a","slots":1001}`, field: "slots", reason: "1001: want 1 to 1000"},
		{name: "no slots", value: `{"image":"a","slots":0}`, field: "slots", reason: "0: want a whole number, 1 or more"},
		{name: "priority", value: `{"image":"a","priority":1001}`, field: "priority", reason: "want -1000 to 1000"},
		{name: "priority below", value: `{"image":"a","priority":-1001}`, field: "priority", reason: "want -1000 to 1000"},
		{name: "history", value: `{"image":"a","history":{"skipped":1001}}`, field: "history.skipped", reason: "want 0 to 1000"},
		{name: "history below", value: `{"image":"a","history":{"succeeded":-1}}`, field: "history.succeeded", reason: "want 0 to 1000"},
	})
}

func TestAcceptedTasks(t *testing.T) {
	for _, value := range []string{
		`{"image":"registry.example:5000/a/b@sha256:abc"}`,
		`{"name":"hello","namespace":"default","image":"a"}`,
		`{"kubernetes":{"image":"a","command":[],"env":{"A.b-c":"d\n"},"serviceAccountName":"a.b-c"}}`,
		`{"kubernetes":{"image":"a","cluster":"arn:aws:eks:eu-west-1:123456789012:cluster/prod"}}`,
		`{"kubernetes":{"image":"a","clusterSelector":"region in (eu,us), !old"}}`,
		`{"kubernetes":{"image":"a","serviceAccountName":"` + strings.Repeat("a", 100) + `"}}`,
		`{"process":{"command":["a",""],"dir":"/","stdin":"\u0000"}}`,
		`{"process":{"shell":"a","user":"1000","group":"DOMAIN\\users","umask":"0027","limits":{"memory":"512Mi","cpu":"0.5","pids":100}}}`,
		`{"process":{"shell":"a","user":"svc$","limits":{}}}`,
		`{"http":{"url":"https://[::1]:80/a?b=c#d","method":"PATCH","headers":{"X-A":"","B":"a\tb é"},"success":["100-599"]}}`,
		`{"http":{"url":"https://a/{{.Task}}?day={{.NominalTime.Format \"2006-01-02\"}}{{if .Params.all}}&all=1{{end}}","tls":{"serverName":"Billing.internal"},"poll":{"interval":"1s"}},"timeout":"1h"}`,
		`{"http":{"url":"https://a?{{.Params.query}}","headers":{"A":"{{index .Params \"a-b\" 0}}"},"body":"{{/* all */}}{{json .Params}} {{\"{{\"}}"}}`,
		`{"handler":{"name":"resize images"}}`,
		`{"image":"a","every":"10ms","overlap":"allow","catchUp":{"mode":"none"}}`,
		`{"image":"a","schedule":"0 9 L * *","timeZone":"Asia/Shanghai","daylightSaving":"both","dayMatch":"and","jitter":"30s","calendars":{"include":["work"],"exclude":["cn-holidays"],"onExcluded":"previous-included"},"overlap":"replace"}`,
		`{"image":"a","every":"1h","startsAt":"2026-12-01T09:00","endsAt":"2027-12-01T09:00:00+08:00","maxRuns":3,"startWithin":"5m","overlap":"queue-one"}`,
		`{"image":"a","at":["2026-12-01T09:00:00+08:00","2026-12-02T09:00"],"timeZone":"Asia/Shanghai","overlap":"queue-all"}`,
		`{"image":"a","afterFinish":"10m","maxRuns":5}`,
		`{"image":"a","overlap":"replace"}`,
		`{"image":"a","overlap":"queue-all","suspend":true,"delivery":"at-most-once"}`,
		`{"image":"a","priority":-1000,"history":{"succeeded":0,"failed":1000}}`,
		`{"image":"a","runsOn":"","annotations":{"any thing":"goes\n"}}`,
	} {
		parse(t, value)
	}
}

func TestParseStatusRange(t *testing.T) {
	tests := []struct {
		text     string
		from, to int
		refused  bool
	}{
		{text: "200", from: 200, to: 200},
		{text: "200-299", from: 200, to: 299},
		{text: "404-404", from: 404, to: 404},
		{text: "299-200", refused: true},
		{text: "", refused: true},
		{text: "99", refused: true},
		{text: "600", refused: true},
		{text: "200-", refused: true},
		{text: "200 - 299", refused: true},
		{text: "200-299-300", refused: true},
	}
	for _, test := range tests {
		from, to, err := nightwatch.ParseStatusRange(test.text)
		if (err != nil) != test.refused || from != test.from || to != test.to {
			t.Errorf("%q: got %d, %d, %v", test.text, from, to, err)
		}
	}
}

func TestParseMemory(t *testing.T) {
	tests := []struct {
		text    string
		bytes   int64
		refused bool
	}{
		{text: "1048576", bytes: 1 << 20},
		{text: "1Mi", bytes: 1 << 20},
		{text: "1024Ki", bytes: 1 << 20},
		{text: "512Mi", bytes: 512 << 20},
		{text: "2G", bytes: 2_000_000_000},
		{text: "1024Ti", bytes: 1 << 50},
		{text: "1048575", refused: true},
		{text: "1M", refused: true},
		{text: "1023Ki", refused: true},
		{text: "1025Ti", refused: true},
		{text: "999999999999999999Ti", refused: true},
		{text: "99999999999999999999", refused: true},
		{text: "0", refused: true},
		{text: "", refused: true},
		{text: "1.5Gi", refused: true},
		{text: "-1Gi", refused: true},
		{text: "1gi", refused: true},
		{text: "1 Gi", refused: true},
	}
	for _, test := range tests {
		bytes, err := nightwatch.ParseMemory(test.text)
		if (err != nil) != test.refused || bytes != test.bytes {
			t.Errorf("%q: got %d, %v", test.text, bytes, err)
		}
	}
}

func TestParseCPU(t *testing.T) {
	tests := []struct {
		text        string
		thousandths int64
		refused     bool
	}{
		{text: "1", thousandths: 1000},
		{text: "0.5", thousandths: 500},
		{text: "0.25", thousandths: 250},
		{text: "1.125", thousandths: 1125},
		{text: "500m", thousandths: 500},
		{text: "0.01", thousandths: 10},
		{text: "10m", thousandths: 10},
		{text: "1000", thousandths: 1_000_000},
		{text: "9m", refused: true},
		{text: "0.009", refused: true},
		{text: "1000.001", refused: true},
		{text: "999999999m", refused: true},
		{text: "", refused: true},
		{text: ".5", refused: true},
		{text: "0.5m", refused: true},
		{text: "0.1234", refused: true},
		{text: "-1", refused: true},
		{text: "1e3", refused: true},
	}
	for _, test := range tests {
		thousandths, err := nightwatch.ParseCPU(test.text)
		if (err != nil) != test.refused || thousandths != test.thousandths {
			t.Errorf("%q: got %d, %v", test.text, thousandths, err)
		}
	}
}
