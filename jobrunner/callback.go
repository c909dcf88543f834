package jobrunner

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// CallbackPath is where a node takes callbacks, below its address: POST CallbackPath + token.
const CallbackPath = "/api/v1/callbacks/"

// maxOver is how many callbacks are remembered that nobody waits for any more.
const maxOver = 1000

// Callbacks are the attempts on a node that wait to be told from outside how they ended, each by a token of its own, and
// the http.Handler that tells them. A token cannot be guessed, is for one attempt, and counts once.
//
//   - 200: the attempt has been told. Whoever says the same again is answered the same.
//   - 400: the body is not a nightwatch.Completion; the answer says why, and the token can still be used.
//   - 404: there is no such token on this node, any more.
//   - 410: the attempt was told something else, or is over.
//
// A 200 means that the node knows. Should it die before the record does, the attempt is lost like any other, and delivery
// says what follows.
//
// It is safe for concurrent use.
type Callbacks struct {
	base string

	mu sync.Mutex
	// By the token's hash: how long a look-up takes says nothing about a token.
	calls map[[sha256.Size]byte]*Callback
	over  [][sha256.Size]byte // the oldest first
}

// NewCallbacks takes the URL at which others reach the node, or nothing: then no attempt can wait for a callback.
func NewCallbacks(base string) (*Callbacks, error) {
	if base != "" {
		target, err := url.Parse(base)
		if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || target.User != nil || target.RawQuery != "" || target.Fragment != "" {
			return nil, fmt.Errorf("%q: want http:// or https:// and a host", base)
		}
	}
	return &Callbacks{base: strings.TrimSuffix(base, "/"), calls: map[[sha256.Size]byte]*Callback{}}, nil
}

// Callback is one attempt's wait to be told.
type Callback struct {
	// URL takes the POST of a nightwatch.Completion. It ends in Token.
	URL, Token string

	of       *Callbacks
	key      [sha256.Size]byte
	deadline func() time.Time
	told     chan struct{} // closed when said is there
	said     *nightwatch.Completion
	sum      [sha256.Size]byte // of the body that said it
	over     bool
}

// ErrNoCallbacks says that nobody outside could call this node.
var ErrNoCallbacks = errors.New("this node has no address at which it could be called back")

// OpenCallback begins the wait of an attempt; whoever opens it closes it. Its URL may be handed to whatever does the work.
func (a *Attempt) OpenCallback() (*Callback, error) {
	all := a.Callbacks
	if all == nil || all.base == "" {
		return nil, ErrNoCallbacks
	}
	token := rand.Text()
	c := &Callback{
		URL: all.base + CallbackPath + token, Token: token, of: all, key: sha256.Sum256([]byte(token)), deadline: a.Deadline,
		told: make(chan struct{}),
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.calls[c.key] = c
	return c, nil
}

// Told is closed when the attempt has been told how it ended.
func (c *Callback) Told() <-chan struct{} { return c.told }

// Completion is what the attempt was told; nil before.
func (c *Callback) Completion() *nightwatch.Completion {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.said
}

// Close ends the wait: what is said from now on is not heard. It is idempotent.
func (c *Callback) Close() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	c.of.over = append(c.of.over, c.key)
	if len(c.of.over) > maxOver {
		delete(c.of.calls, c.of.over[0])
		c.of.over = c.of.over[1:]
	}
}

// ServeHTTP takes a callback. The token is the last piece of the path, wherever it is mounted.
func (cs *Callbacks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, format string, args ...any) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, format+"\n", args...)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(http.StatusMethodNotAllowed, "want POST")
		return
	}
	token := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	cs.mu.Lock()
	c := cs.calls[sha256.Sum256([]byte(token))]
	cs.mu.Unlock()
	if c == nil { // nothing of a stranger's request is read
		answer(http.StatusNotFound, "no attempt on this node waits for this token")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, nightwatch.MaxCompletion))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		answer(http.StatusRequestEntityTooLarge, "want at most %d bytes", nightwatch.MaxCompletion)
		return
	}
	if err != nil {
		answer(http.StatusBadRequest, "read the body: %v", err)
		return
	}
	switch told, err := c.tell(body); {
	case err != nil:
		answer(http.StatusBadRequest, "%v", err)
	case !told:
		answer(http.StatusGone, "the attempt is over, or was told otherwise")
	default:
		answer(http.StatusOK, "ok")
	}
}

// tell has the attempt know what a body says, unless it knows that already. told is false when it does not listen to
// that; an error is about the body.
func (c *Callback) tell(body []byte) (told bool, err error) {
	sum := sha256.Sum256(body)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	switch {
	case c.said != nil:
		return c.sum == sum, nil
	case c.over || !time.Now().Before(c.deadline()):
		return false, nil
	}
	said, err := nightwatch.ParseCompletion(body)
	if err != nil {
		return false, err
	}
	c.said, c.sum = said, sum
	close(c.told)
	return true, nil
}
