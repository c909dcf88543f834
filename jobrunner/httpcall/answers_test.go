package httpcall_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// speak is a server that reads a request and then writes what it likes, until the other side has gone.
func speak(t *testing.T, write func(io.Writer) error) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		if write(conn) == nil {
			_, _ = io.Copy(io.Discard, conn) // until the attempt ends
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Error("the connection outlasted the attempt")
		}
	})
	return "http://" + listener.Addr().String()
}

func says(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// endless writes the same again and again, until nobody reads it.
func endless(head, again string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, head)
		for err == nil {
			_, err = io.WriteString(w, again)
		}
		return err
	}
}

// TestStrangeAnswers has servers that say things that servers do not say, or not often.
func TestStrangeAnswers(t *testing.T) {
	megabyte := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name    string
		says    func(io.Writer) error
		method  string
		timeout time.Duration
		phase   nightwatch.Phase
		reason  string
		message string
		output  string
	}{
		{name: "early hints", says: says("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"), phase: nightwatch.PhaseSucceeded, output: "fine"},
		{name: "hints without an end", says: endless("", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError},
		{name: "another protocol", says: says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "status 101"},
		{name: "a header without an end", says: endless("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("b", 1000)+"\r\n"), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "header"},
		{name: "a header that never ends", says: says("HTTP/1.1 200 OK\r\nX-A: b"), timeout: 300 * time.Millisecond, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonTimeout},
		{name: "a body without an end", says: endless("HTTP/1.1 200 OK\r\n\r\n", megabyte), phase: nightwatch.PhaseSucceeded, output: megabyte[:nightwatch.MaxOutput]},
		{name: "a failure without an end", says: endless("HTTP/1.1 500 Oops\r\n\r\n", megabyte), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 500 Oops", output: megabyte[:nightwatch.MaxOutput]},
		{name: "a body that never ends", says: says("HTTP/1.1 200 OK\r\n\r\npart"), timeout: 300 * time.Millisecond, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonTimeout},
		{name: "chunks that are none", says: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "read the answer (status 200)"},
		{name: "a long status", says: says("HTTP/1.1 500 " + strings.Repeat("é", 5000) + "\r\nContent-Length: 0\r\n\r\n"), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPStatus, message: "status 500 é"},
		{name: "no HTTP", says: says("SSH-2.0-OpenSSH_9.9\r\n"), phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonHTTPError, message: "malformed HTTP"},
		{name: "a status of one's own", says: says("HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n"), phase: nightwatch.PhaseSucceeded},
		{name: "no content", says: says("HTTP/1.1 204 No Content\r\n\r\n"), phase: nightwatch.PhaseSucceeded},
		{name: "HEAD", method: "HEAD", says: says("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), phase: nightwatch.PhaseSucceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			task := &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: speak(t, tt.says), Method: tt.method}, Timeout: nightwatch.Duration(tt.timeout)}
			a, _ := runnertest.Attempt(t, task)
			out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
			if out.Phase != tt.phase || out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || out.Output != tt.output {
				t.Errorf("outcome %+v: want %s %s, message %q, output %q", out, tt.phase, tt.reason, tt.message, tt.output)
			}
			if len(out.Message) > 600 {
				t.Errorf("message of %d bytes", len(out.Message))
			}
		})
	}
}

// TestCompressedAnswers are not unpacked: what they would become has no bound.
func TestCompressedAnswers(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 100 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	server := serve(t, func(w http.ResponseWriter, req *http.Request) {
		if encoding := req.Header.Get("Accept-Encoding"); encoding != "" {
			t.Errorf("asked for %q", encoding)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out := run(t, get(server.URL))
	runtime.ReadMemStats(&after)
	if out.Phase != nightwatch.PhaseSucceeded || len(out.Output) > nightwatch.MaxOutput {
		t.Errorf("%+v", out)
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 20<<20 {
		t.Errorf("%d bytes were made of %d", made, bomb.Len())
	}
}

// TestExchangesAreLogged: the log says what was asked and answered on the way, redirects and polls one by one.
func TestExchangesAreLogged(t *testing.T) {
	server := play(t, reply{status: 307, location: "/there?signature=secret"}, reply{status: 202, location: "/status", body: "begun\n"},
		reply{hangUp: true}, reply{status: 200, body: "done\n"})
	task := &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: server.URL + "/?token=secret", Method: "POST", Poll: often}}
	a, _ := runnertest.Attempt(t, task)
	out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a)
	if out.Phase != nightwatch.PhaseSucceeded || out.Output != "done\n" {
		t.Errorf("%+v", out)
	}
	want := strings.ReplaceAll(`nightwatch: > POST URL/
nightwatch: < HTTP/1.1 307 Temporary Redirect
nightwatch: < Content-Length: 0
nightwatch: < Location: /there
nightwatch: > POST URL/there
nightwatch: < HTTP/1.1 202 Accepted
nightwatch: < Content-Length: 6
nightwatch: < Content-Type: text/plain; charset=utf-8
nightwatch: < Location: /status
begun
nightwatch: > GET URL/status
nightwatch: < EOF
nightwatch: > GET URL/status
nightwatch: < HTTP/1.1 200 OK
nightwatch: < Content-Length: 5
nightwatch: < Content-Type: text/plain; charset=utf-8
done
`, "URL", server.URL)
	got := regexp.MustCompile("(?m)^nightwatch: < Date: .*\n").ReplaceAllString(fmt.Sprint(a.Log), "")
	if got != want {
		t.Errorf("the log has\n%s\nwant\n%s", got, want)
	}
}

// TestHeadersThatLetSomebodyIn come with an answer, and do not go into the log.
func TestHeadersThatLetSomebodyIn(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{
			"Set-Cookie": "session=canary", "X-Auth-Token": "canary", "X-Api-Key": "canary", "Www-Authenticate": "Digest nonce=canary",
			"Location": "https://user:canary@example.com/x?sig=canary#canary", "Link": "<https://example.com/y?sig=canary>; rel=next", "X-Plain": "seen",
		} {
			w.Header().Set(name, value)
		}
		for i := range 100 {
			w.Header().Add("X-Many", fmt.Sprint(i))
		}
	})
	task := get(strings.Replace(server.URL, "http://", "http://user:canary@", 1) + "/?token=canary#canary")
	task.HTTP.Headers = texts(map[string]string{"Authorization": "Bearer canary", "X-Mine": "canary"})
	a, _ := runnertest.Attempt(t, task)
	if out := httpcall.New(httpcall.Config{Allow: loopback}).Run(t.Context(), a); out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v", out)
	}
	log := fmt.Sprint(a.Log)
	for _, part := range []string{"< X-Api-Key: ***\n", "< Location: https://user:xxxxx@example.com/x\n", "< Link: <https://example.com/y\n", "< Set-Cookie: ***\n"} {
		if !strings.Contains(log, part) {
			t.Errorf("the log has\n%s\nwant %q in it", log, part)
		}
	}
	if strings.Contains(log, "canary") {
		t.Errorf("the log has\n%s", log)
	}
	if n := strings.Count(log, "\n"); n > 60 {
		t.Errorf("%d lines", n)
	}
}
