package nightwatch

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// headerName is a token of RFC 9110, section 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

var successCodes = regexp.MustCompile(`^([1-5][0-9]{2})(-([1-5][0-9]{2}))?$`)

// ParseStatusRange reads "200" or "200-299".
func ParseStatusRange(text string) (from, to int, err error) {
	m := successCodes.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, fmt.Errorf("%q: want a status code or a range such as 200-299", clip(text))
	}
	from, _ = strconv.Atoi(m[1])
	to = from
	if m[3] != "" {
		to, _ = strconv.Atoi(m[3])
	}
	if to < from {
		return 0, 0, fmt.Errorf("%q: the range is empty", text)
	}
	return from, to, nil
}

// check is given whether the task says how long an attempt may take.
func (h *HTTPSpec) check(f *faults, bounded bool) {
	h.checkURL(f)
	if h.Method != "" {
		if _, err := http.NewRequest(h.Method, "http://localhost", nil); err != nil || h.Method != strings.ToUpper(h.Method) {
			f.add("http.method", "%q: not a method", clip(h.Method))
		}
	}
	for name, value := range h.Headers {
		field := "http.headers." + clip(name)
		switch {
		case !headerName.MatchString(name):
			f.add("http.headers", "%q: not a header name", clip(name))
		case hasControl(value.Text):
			f.add(field, controlInHeader)
		default:
			f.checkTemplate(field, value.Text)
		}
	}
	f.checkTemplate("http.body", h.Body)
	for i, text := range h.Success {
		if _, _, err := ParseStatusRange(text); err != nil {
			f.add(fmt.Sprintf("http.success[%d]", i), "%v", err)
		}
	}
	if name := h.TLS.ServerName; name != "" {
		switch {
		case !subdomain.MatchString(strings.ToLower(name)) || len(name) > maxSubdomain:
			f.add("http.tls.serverName", "%q: want a host name such as billing.internal", clip(name))
		case !strings.HasPrefix(strings.ToLower(h.URL), "https:"):
			f.add("http.tls.serverName", "goes with an https:// url")
		}
	}
	h.Poll.check(f, bounded)
	switch {
	case h.Callback == nil:
	case h.Poll != nil:
		f.add("http.callback", "also poll is set: want one of them")
	case !bounded:
		f.add("http.callback", "goes with timeout or runTimeout, which say how long to wait")
	}
}

// How often a server may be asked whether it is done.
const (
	minPollInterval = Duration(time.Second)
	maxPollInterval = Duration(time.Hour)
)

func (p *HTTPPoll) check(f *faults, bounded bool) {
	switch {
	case p == nil:
	case !bounded:
		f.add("http.poll", "goes with timeout or runTimeout, which say how long to ask")
	case p.Interval != 0 && (p.Interval < minPollInterval || p.Interval > maxPollInterval):
		f.add("http.poll.interval", "%s: want %s to %s", p.Interval, minPollInterval, maxPollInterval)
	}
}

// checkURL has a template say nothing about whom to ask: whoever may run the task with params of his own must not send
// its headers elsewhere.
func (h *HTTPSpec) checkURL(f *faults) {
	if h.URL == "" {
		f.add("http.url", "missing")
		return
	}
	text := h.URL
	if templated(text) {
		t, err := parseHTTPTemplate(text)
		if err != nil {
			f.add("http.url", "%v", err)
			return
		}
		_, rest, _ := strings.Cut(t.lead, "://")
		if !strings.ContainsAny(rest, "/?") {
			f.add("http.url", "%q: only what follows the host may be templated", clip(text))
			return
		}
		if text = t.shape; leadsUp(text) {
			f.add("http.url", dotsInURL)
			return
		}
	}
	target, err := url.Parse(text)
	switch {
	case err != nil:
		f.add("http.url", "%q: not a URL", clip(h.URL))
	case target.Scheme != "http" && target.Scheme != "https":
		f.add("http.url", "%q: want http:// or https://", clip(h.URL))
	case target.Hostname() == "":
		f.add("http.url", "%q: has no host", clip(h.URL))
	case target.User != nil:
		f.add("http.url", "carries a password, which everybody who may read the task could see: use a header")
	}
}

const dotsInURL = `a piece of the path is "." or "..", which leads elsewhere`

// leadsUp tells whether a path has pieces that servers take for another path. No escaping takes that from them.
func leadsUp(text string) bool {
	path, _, _ := strings.Cut(text, "?")
	for piece := range strings.SplitSeq(path, "/") {
		if piece == "." || piece == ".." {
			return true
		}
	}
	return false
}

func (f *faults) checkTemplate(field, text string) {
	if !templated(text) {
		return
	}
	if _, err := parseHTTPTemplate(text); err != nil {
		f.add(field, "%v", err)
	}
}

const controlInHeader = "has a line break or another control character"

// hasControl tells whether a header's value has what no header may have.
func hasControl(value string) bool {
	return strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
