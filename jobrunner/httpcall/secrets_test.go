package httpcall_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

const canary = "canary-7d1e-bird"

func secret(names ...string) map[string]nightwatch.TextOrFile {
	headers := map[string]nightwatch.TextOrFile{}
	for _, name := range names {
		headers["X-"+name] = nightwatch.FromFile(name)
	}
	return headers
}

// TestSecrets has a server tell everybody what it was told in secret: it knows it, and nobody else.
func TestSecrets(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		key := req.Header.Get("X-Bird")
		if key != canary {
			t.Errorf("the server was told %q", key)
		}
		switch req.URL.Path {
		case "/echo":
			fmt.Fprintf(w, "you are %s\n", key)
		case "/cut":
			fmt.Fprint(w, key+strings.Repeat("x", 2046))
		case "/status":
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, `{"key":%q}`, key)
		case "/redirect":
			http.Redirect(w, req, "/there/"+key, http.StatusFound)
		case "/begun":
			w.Header().Set("Location", "/echo")
			w.WriteHeader(http.StatusAccepted)
		default:
			http.NotFound(w, req)
		}
	})
	for _, tt := range []struct {
		path, message, output string
		reason                string
	}{
		{path: "/echo", output: "you are ***\n"},
		{path: "/cut", output: "**" + strings.Repeat("x", 2046)},
		{path: "/status", reason: nightwatch.ReasonHTTPStatus, message: "status 418", output: `{"key":"***"}`},
		{path: "/begun", output: "you are ***\n"},
	} {
		task := get(server.URL + tt.path)
		task.HTTP.Poll = often
		task.HTTP.Headers = secret("bird")
		a, _ := runnertest.Attempt(t, task)
		a.Secrets = runnertest.Secrets{"bird": canary}
		out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
		if out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || out.Output != tt.output {
			t.Errorf("%s: %+v: want %s %s, output %q", tt.path, out, tt.reason, tt.message, tt.output)
		}
		if text := fmt.Sprintf("%+v %s", out, a.Log); strings.Contains(text, canary) {
			t.Errorf("%s: the secret is in %s", tt.path, text)
		}
	}
	// What a server makes of it in an address goes by the mask of all that an attempt says.
	task := get(server.URL + "/redirect")
	task.HTTP.Headers = secret("bird")
	a, _ := runnertest.Attempt(t, task)
	a.Secrets = runnertest.Secrets{"bird": canary}
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); !strings.HasSuffix(a.Mask().Text(out.Message), "/there/***") {
		t.Errorf("%+v", out)
	}
}

// TestSecretsThatAreCut: what a server makes long is cut after the secrets in it have been taken out.
func TestSecretsThatAreCut(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Echo", strings.Repeat("x", 504)+req.Header.Get("X-Bird"))
		http.Redirect(w, req, "/"+strings.Repeat("y", 502-len(req.Host)-len("http://"))+req.Header.Get("X-Bird"), http.StatusFound)
	})
	task := get(server.URL)
	task.HTTP.Headers = secret("bird")
	a, _ := runnertest.Attempt(t, task)
	a.Secrets = runnertest.Secrets{"bird": canary}
	out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
	if text := a.Mask().Text(fmt.Sprintf("%+v %s", out, a.Log)); strings.Contains(text, canary[:6]) || !strings.Contains(text, "xxx***") {
		t.Errorf("part of the secret is in %s", text)
	}
}

// TestSecretsThatCannotBeSent end the attempt before anything is sent.
func TestSecretsThatCannotBeSent(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	for name, want := range map[string]string{
		"lines": "http.headers.X-lines: has a line break or another control character",
		"fish":  `http.headers.X-fish: secret "fish": there is no such secret`,
		"short": `http.headers.X-short: secret "short": 2 bytes: want at least 4`,
	} {
		task := get(server.URL)
		task.HTTP.Headers = secret(name)
		a, _ := runnertest.Attempt(t, task)
		a.Secrets = runnertest.Secrets{"lines": "canary\r\nX-Other: bird", "short": "ab"}
		out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
		if out.Reason != nightwatch.ReasonStartRefused || !strings.HasPrefix(out.Message, want) {
			t.Errorf("%+v: want StartRefused, %s", out, want)
		}
	}
}

// TestSecretsStayWithTheirServer: a redirect elsewhere takes no secret along.
func TestSecretsStayWithTheirServer(t *testing.T) {
	var got http.Header
	other := serve(t, func(_ http.ResponseWriter, req *http.Request) { got = req.Header })
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL, http.StatusTemporaryRedirect)
	})
	task := get(server.URL)
	task.HTTP.Headers = secret("bird")
	a, _ := runnertest.Attempt(t, task)
	a.Secrets = runnertest.Secrets{"bird": canary}
	out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
	if out.Phase != nightwatch.PhaseSucceeded || strings.Contains(fmt.Sprint(got), canary) || got.Get("Nightwatch-Run") == "" {
		t.Errorf("%+v: the other server was told %v", out, got)
	}
}
