package jobrunner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/nightwatch-go/nightwatch"
)

// maxSecret is how many bytes a secret has at most.
const maxSecret = 16 << 10

// Secrets are what {fromFile: NAME} in a task stands for on a node. Read is called for every attempt anew, and is safe for
// concurrent use. Its errors are shown to the task's author, and do not hold what they are about.
type Secrets interface {
	// Read gives the secret of a name to a task of a namespace: text of 4 bytes to 16 KiB.
	Read(namespace, name string) (string, error)
}

// SecretsIn are the files of a directory. Where that has a directory of the name of a task's namespace, it is the files
// of that one alone which the task is given. Links are followed as long as they stay inside, which is how Kubernetes
// mounts secrets. One line break at the end of a file is not part of the secret.
func SecretsIn(dir string) Secrets { return secretsDir(dir) }

type secretsDir string

func (dir secretsDir) Read(namespace, name string) (string, error) {
	// The name has been checked, but a task that was stored may be of another version's making.
	if err := nightwatch.CheckSecretName(name); err != nil {
		return "", err
	}
	text, err := dir.read(namespace, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.New("this node has no such secret")
	case errors.Is(err, fs.ErrPermission):
		return "", errors.New("this node may not read it")
	}
	return text, err
}

func (dir secretsDir) read(namespace, name string) (string, error) {
	root, err := os.OpenRoot(string(dir))
	if err != nil {
		return "", hidden(err)
	}
	defer func() { _ = root.Close() }()
	if info, err := root.Stat(namespace); err == nil && info.IsDir() {
		name = path.Join(namespace, name)
	}
	// Not blocking, so that a pipe nobody writes to does not hold the attempt up.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", hidden(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", hidden(err)
	case !info.Mode().IsRegular():
		return "", errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(file, maxSecret+2))
	if err != nil {
		return "", hidden(err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// hidden is an error without the path that it happened to: where a node keeps its secrets is for its operator to know.
func hidden(err error) error {
	var where *fs.PathError
	if errors.As(err, &where) {
		return where.Err
	}
	return err
}

// checkSecret refuses what cannot be used, or not be kept from being seen.
func checkSecret(text string) error {
	switch {
	case len(text) < minSecret:
		return fmt.Errorf("%d bytes: want at least %d, as what is shorter cannot be kept out of logs", len(text), minSecret)
	case len(text) > maxSecret:
		return fmt.Errorf("want at most %d bytes", maxSecret)
	case !utf8.ValidString(text):
		return errors.New("not text in UTF-8")
	case strings.ContainsRune(text, 0):
		return errors.New("has a NUL byte")
	}
	return nil
}

// Secret reads a secret for the attempt. From then on it is masked in the attempt's log and output, in its messages and
// in what it says of itself. It is called before there is any of these, on Run's goroutine. The error names the
// secret.
func (a *Attempt) Secret(name string) (string, error) {
	text, err := "", errors.New("this node has no secrets")
	if a.Secrets != nil {
		if text, err = a.Secrets.Read(a.Run.Namespace, name); err == nil {
			err = checkSecret(text)
		}
	}
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", name, err)
	}
	if a.Run.feedback != nil {
		a.Run.feedback.hide(text)
	}
	return text, nil
}

// Mask takes out the secrets that the attempt has read. A runner uses it itself where it cuts or drops output, of which
// else a part of a secret may be left; all else goes through it anyway.
func (a *Attempt) Mask() *Mask {
	if a.Run.feedback == nil {
		return nil
	}
	return a.Run.feedback.mask.Load()
}

// hide adds a secret to those that are masked.
func (f *Feedback) hide(secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.mask.Load().Secrets(); !slices.Contains(known, secret) {
		f.mask.Store(NewMask(append(slices.Clone(known), secret)))
	}
}

// cleaned is an outcome without secrets.
func (f *Feedback) cleaned(outcome Outcome) Outcome {
	mask := f.mask.Load()
	outcome.Message, outcome.Output = mask.Text(outcome.Message), mask.Text(outcome.Output)
	return outcome
}

// cleanResult is a result without secrets: one of which nothing is left that is JSON becomes a word.
func (f *Feedback) cleanResult(data []byte) []byte {
	clean := []byte(f.mask.Load().Text(string(data)))
	if !json.Valid(clean) {
		return []byte(`"` + masked + `"`)
	}
	return clean
}
