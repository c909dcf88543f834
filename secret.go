package nightwatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// TextOrFile is a text, or the name of a secret: a file that holds the text on whatever node needs it, and that nobody
// else ever sees. In JSON it is "text" or {"fromFile": "NAME"}.
type TextOrFile struct {
	Text string
	// FromFile is empty when Text counts.
	FromFile string
}

// Text is a text that stands where a secret may.
func Text(text string) TextOrFile { return TextOrFile{Text: text} }

// FromFile is the secret of a name.
func FromFile(name string) TextOrFile { return TextOrFile{FromFile: name} }

// fromFile is how a secret is written.
type fromFile struct {
	FromFile string `json:"fromFile"`
}

// MarshalJSON writes the one or the other.
func (t TextOrFile) MarshalJSON() ([]byte, error) {
	if t.FromFile != "" {
		return json.Marshal(fromFile{t.FromFile})
	}
	return json.Marshal(t.Text)
}

// UnmarshalJSON reads the one or the other.
func (t *TextOrFile) UnmarshalJSON(data []byte) error {
	*t = TextOrFile{}
	if !bytes.HasPrefix(data, []byte("{")) {
		return json.Unmarshal(data, &t.Text)
	}
	var file fromFile
	err := json.Unmarshal(data, &file)
	t.FromFile = file.FromFile
	return err
}

// decodeTextOrFile reads what a user wrote.
func decodeTextOrFile(at string, data []byte, dst *TextOrFile) []FieldError {
	if !bytes.HasPrefix(data, []byte("{")) {
		if string(data) == "null" || json.Unmarshal(data, &dst.Text) != nil {
			return []FieldError{{at, fmt.Sprintf("%s: want a string, in quotes, or {fromFile: NAME}", clip(string(data)))}}
		}
		return nil
	}
	var file fromFile
	if faults := decodeObject(at, data, reflect.ValueOf(&file).Elem()); len(faults) > 0 {
		return faults
	}
	if err := CheckSecretName(file.FromFile); err != nil {
		return []FieldError{{at + ".fromFile", err.Error()}}
	}
	dst.FromFile = file.FromFile
	return nil
}

var secretName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)

// CheckSecretName refuses what is not the plain name of a file.
func CheckSecretName(name string) error {
	if !secretName.MatchString(name) || name == "." || strings.HasPrefix(name, "..") {
		return fmt.Errorf("%q: want the plain name of a file: letters, digits, '.', '_' and '-', not \"..\" first, at most 253", clip(name))
	}
	return nil
}
