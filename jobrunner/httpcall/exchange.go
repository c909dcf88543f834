package httpcall

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxHeaderLines is how many lines of an answer's header go into the log.
const maxHeaderLines = 50

// asked writes into the attempt's log what is sent: nothing of queries, headers and bodies, which are the task's own and
// may be secret.
func (c *call) asked(req *http.Request) {
	c.attempt.Note("> %s %s", req.Method, c.clip(shown(req.URL)))
}

// heard writes into the log what came back: status and headers. The body follows as output.
func (c *call) heard(resp *http.Response, err error) {
	if err != nil {
		c.attempt.Note("< %s", c.clip(err.Error()))
		return
	}
	c.attempt.Note("< %s %s", resp.Proto, c.clip(resp.Status))
	lines := 0
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			if lines++; lines > maxHeaderLines {
				c.attempt.Note("< …")
				return
			}
			c.attempt.Note("< %s: %s", name, c.clip(headerShown(name, value)))
		}
	}
}

// hidden are names, or parts of names, of headers whose values let somebody in.
var hidden = []string{"Cookie", "Auth", "Token", "Secret", "Key", "Signature", "Password", "Credential"}

// headerShown is the value of an answer's header as the log has it.
func headerShown(name, value string) string {
	if slices.ContainsFunc(hidden, func(part string) bool { return strings.Contains(strings.ToLower(name), strings.ToLower(part)) }) {
		return "***"
	}
	switch name {
	case "Location", "Content-Location", "Refresh", "Link":
		target, err := url.Parse(value)
		if err != nil || name == "Refresh" || name == "Link" {
			before, _, _ := strings.Cut(value, "?")
			return before
		}
		return shown(target)
	}
	return value
}
