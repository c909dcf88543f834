package jobrunner

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nightwatch-go/nightwatch"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// maxMessage is how many bytes of a message are kept, the first ones.
const maxMessage = 512

// Clip bounds a message whose length somebody else decides on, such as a server or a handler, and makes it valid UTF-8.
func Clip(message string) string { return clip(message, maxMessage) }

func clip(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// Tail keeps the last nightwatch.MaxOutput bytes written to it. It is not safe for concurrent use.
type Tail struct {
	buf []byte
	cut bool
}

// Write keeps the end of data; it never fails.
func (t *Tail) Write(data []byte) (int, error) {
	n := len(data)
	if over := len(data) - nightwatch.MaxOutput; over > 0 {
		data, t.buf, t.cut = data[over:], t.buf[:0], true
	}
	t.buf = append(t.buf, data...)
	if over := len(t.buf) - nightwatch.MaxOutput; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
		t.cut = true
	}
	return n, nil
}

// String is what was kept, as valid UTF-8: bytes that are not are replaced, and a character cut in two is left out.
func (t *Tail) String() string {
	data := t.buf
	for i := 0; t.cut && i < utf8.UTFMax && len(data) > 0 && !utf8.RuneStart(data[0]); i++ {
		data = data[1:]
	}
	text := strings.ToValidUTF8(string(data), "\uFFFD")
	for len(text) > nightwatch.MaxOutput {
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
	}
	return text
}
