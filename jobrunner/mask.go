package jobrunner

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

const (
	// masked stands where a secret stood.
	masked = "***"
	// minSecret is how many bytes a secret has at least: a shorter one stands in any text.
	minSecret = 4
	// minForm is how many bytes a part or another form of a secret has that is masked by itself.
	minForm = 8
)

// Mask takes secrets out of texts: each as it is, each line of one that has several, and what it is as a string of JSON,
// in a URL and in base64. What else a program may make of a secret (its hash, its letters in reverse, another encoding of
// it together with something else) it does not know. nil takes nothing out. A Mask never changes.
type Mask struct {
	secrets []string
	// forms are what to take out, by their first byte, the longest first.
	forms [256][]string
}

// NewMask is the mask of secrets, which have at least four bytes each; of no secrets it is nil.
func NewMask(secrets []string) *Mask {
	if len(secrets) == 0 {
		return nil
	}
	m := &Mask{secrets: secrets}
	for _, secret := range secrets {
		m.add(secret, minSecret)
		for line := range strings.Lines(secret) {
			m.add(strings.TrimSpace(line), minForm)
		}
		for _, form := range encoded(secret) {
			m.add(form, minForm)
		}
	}
	for _, forms := range m.forms {
		slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	}
	return m
}

func (m *Mask) add(form string, atLeast int) {
	if len(form) < atLeast {
		return
	}
	forms := &m.forms[form[0]]
	if !slices.Contains(*forms, form) {
		*forms = append(*forms, form)
	}
}

// encoded are other forms of a secret: of base64 that of the secret alone, with a line break, and what stays the same
// whatever else follows.
func encoded(secret string) (forms []string) {
	forms = append(forms, url.QueryEscape(secret), url.PathEscape(secret))
	for _, text := range []string{secret, secret + "\n", secret[:len(secret)/3*3]} {
		forms = append(forms, base64.RawStdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, nightwatch.Encode} {
		if quoted, err := encode(secret); err == nil {
			forms = append(forms, string(quoted[1:len(quoted)-1]))
		}
	}
	return forms
}

// Secrets are what it takes out.
func (m *Mask) Secrets() []string {
	if m == nil {
		return nil
	}
	return m.secrets
}

// Text is a text without the secrets.
func (m *Mask) Text(text string) string {
	if m == nil {
		return text
	}
	clean, _ := m.clean([]byte(text), true)
	return string(clean)
}

// clean is data without the secrets, up to where one may begin of which more is to come: rest. At the end of a text
// there is no more.
func (m *Mask) clean(data []byte, end bool) (clean, rest []byte) {
	from, at := 0, 0
	for at < len(data) {
		if len(m.forms[data[at]]) == 0 {
			at++
			continue
		}
		found, more := m.find(data[at:])
		if more && !end {
			break
		}
		if found == 0 {
			at++
			continue
		}
		clean = append(append(clean, data[from:at]...), masked...)
		at += found
		from = at
	}
	return append(clean, data[from:at]...), data[at:]
}

// find is the length of the secret that data begins with, the longest, and whether data is the beginning of a longer one.
func (m *Mask) find(data []byte) (length int, more bool) {
	for _, form := range m.forms[data[0]] {
		switch {
		case len(form) > len(data):
			more = more || form[:len(data)] == string(data)
		case form == string(data[:len(form)]):
			return len(form), more
		}
	}
	return 0, more
}

// Writer writes to w what is written to it, without the secrets. It holds back what may be the beginning of one, until
// Close, which does not close w. It is for one goroutine at a time.
func (m *Mask) Writer(w io.Writer) io.WriteCloser { return &maskWriter{mask: m, to: w} }

type maskWriter struct {
	mask *Mask
	to   io.Writer
	held []byte
}

func (w *maskWriter) Write(data []byte) (int, error) {
	if w.mask == nil {
		return w.to.Write(data)
	}
	all := data
	if len(w.held) > 0 {
		all = slices.Concat(w.held, data)
	}
	clean, rest := w.mask.clean(all, false)
	w.held = bytes.Clone(rest)
	if len(clean) > 0 {
		if _, err := w.to.Write(clean); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

func (w *maskWriter) Close() error {
	if len(w.held) == 0 {
		return nil
	}
	clean, _ := w.mask.clean(w.held, true)
	w.held = nil
	_, err := w.to.Write(clean)
	return err
}
