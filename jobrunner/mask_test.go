package jobrunner

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMaskText(t *testing.T) {
	const secret = `p"ss wörd/<&>`
	quoted, _ := json.Marshal(map[string]string{"password": secret})
	key := "-----BEGIN KEY-----\r\nMIIEvQIBADANBg\r\nshort\r\nkqhkiG9w0BAQEF\r\n-----END KEY-----"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing of it", "all is well", "all is well"},
		{"as it is", "password " + secret + "!", "password ***!"},
		{"twice", secret + secret, "******"},
		{"as JSON", string(quoted), `{"password":"***"}`},
		{"as JSON for people", `"p\"ss wörd/<&>"`, `"***"`},
		{"in a query", "?p=" + url.QueryEscape(secret) + "&q", "?p=***&q"},
		{"in a path", "/" + url.PathEscape(secret) + "/x", "/***/x"},
		{"in base64", base64.StdEncoding.EncodeToString([]byte(secret)), "***="},
		{"in base64 with a line break", base64.StdEncoding.EncodeToString([]byte(secret + "\n")), "***"},
		{"in base64 with more", base64.StdEncoding.EncodeToString([]byte(secret + ":more")), "***6bW9yZQ=="},
		{"line of a key", "key: MIIEvQIBADANBg, kqhkiG9w0BAQEF", "key: ***, ***"},
		{"line that is too short to tell", "a short one", "a short one"},
		{"half of it", `p"ss wö`, `p"ss wö`},
		{"longest first", "tokentoken2 token1", "******2 ***1"},
		{"longer one", "token-and-more", "***"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMask([]string{secret, "token", "token-and-more", key})
			if got := m.Text(tt.text); got != tt.want {
				t.Errorf("%q: want %q", got, tt.want)
			}
		})
	}
	if none := NewMask(nil); none.Text("abc") != "abc" || none.Secrets() != nil {
		t.Error("no mask changes what it is given")
	}
}

// However a text is cut into writes, what comes out is the text without the secrets, and nothing of it is missing.
func TestMaskWriter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringMatching(`[ab]{4,8}`)
		secrets := rapid.SliceOfNDistinct(letters, 1, 3, rapid.ID[string]).Draw(t, "secrets")
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.StringMatching(`[abc\n]{0,5}`), rapid.SampledFrom(secrets)), 0, 20).Draw(t, "text"), "")
		m := NewMask(secrets)
		var out bytes.Buffer
		w := m.Writer(&out)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, min(9, len(rest))).Draw(t, "write")
			if wrote, err := w.Write([]byte(rest[:n])); wrote != n || err != nil {
				t.Fatal(wrote, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), m.Text(text); got != want {
			t.Fatalf("%q became %q: want %q", text, got, want)
		}
		for _, secret := range secrets {
			if strings.Contains(out.String(), secret) {
				t.Fatalf("%q is in %q", secret, out.String())
			}
		}
		if got, want := strings.Count(out.String(), "c"), strings.Count(text, "c"); got != want {
			t.Fatalf("%q became %q", text, out.String())
		}
	})
}

// What cannot be the beginning of a secret is not held back.
func TestMaskWriterHoldsNothingBack(t *testing.T) {
	var out bytes.Buffer
	w := NewMask([]string{"password"}).Writer(&out)
	for _, step := range []struct{ write, want string }{{"Password? ", "Password? "}, {"pass", "Password? "}, {" the salt", "Password? pass the salt"}} {
		fmt.Fprint(w, step.write)
		if out.String() != step.want {
			t.Errorf("%q came out: want %q", out.String(), step.want)
		}
	}
	broken := NewMask([]string{"password"}).Writer(fullDisk{})
	if _, err := broken.Write([]byte("hello")); err == nil {
		t.Error("an error is lost")
	}
	_, _ = broken.Write([]byte("pass"))
	if err := broken.Close(); err == nil {
		t.Error("an error is lost at the end")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

// A program that does its worst is slow, and the mask with it, but not for ever.
func BenchmarkMask(b *testing.B) {
	for name, secret := range map[string]string{"usual": "correct horse battery staple", "worst": strings.Repeat("a", maxSecret-1) + "b"} {
		b.Run(name, func(b *testing.B) {
			line := bytes.Repeat([]byte("a"), 32<<10)
			w := NewMask([]string{secret}).Writer(nowhere{})
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				_, _ = w.Write(line)
			}
		})
	}
}

type nowhere struct{}

func (nowhere) Write(data []byte) (int, error) { return len(data), nil }
