package nightwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Retry says what follows an attempt that failed. The loss of a node is not the task's failure and is not counted.
type Retry struct {
	// Attempts is how many there may be in all, the first one too: 1 to 100. Default 1.
	Attempts Count `json:"attempts,omitempty"`
	// Backoff is the wait before the second attempt. Default 10s.
	Backoff Duration `json:"backoff,omitempty"`
	// Factor multiplies the wait from each attempt to the next: 1 to 100. Default 2.
	Factor float64 `json:"factor,omitempty"`
	// MaxBackoff bounds the wait. Default 5m, or Backoff where that is longer.
	MaxBackoff Duration `json:"maxBackoff,omitempty"`
	// Jitter makes each wait a random one between nothing and what it would be.
	Jitter bool `json:"jitter,omitempty"`
	// On are the reason words ("Timeout") and exit codes ("75", "64-78") that are worth another attempt. Default all.
	On RetryOn `json:"on,omitempty"`
}

// RetryOn is a list of reason words and exit codes; a code may be written as a number.
type RetryOn []string

const (
	maxAttempts       = 100
	maxFactor         = 100
	maxRetryOn        = 50
	defaultBackoff    = 10 * time.Second
	defaultFactor     = 2
	defaultMaxBackoff = 5 * time.Minute
)

// Again tells whether another attempt follows one that failed for a reason, with an exit code if there is one, when
// failures attempts have failed by now, this one too.
func (r Retry) Again(failures int, reason string, exitCode *int) bool {
	return failures < int(r.Attempts) && r.Covers(reason, exitCode)
}

// Covers tells whether a failure is of the kind that is worth another attempt.
func (r Retry) Covers(reason string, exitCode *int) bool {
	if len(r.On) == 0 {
		return true
	}
	return slices.ContainsFunc(r.On, func(item string) bool {
		from, to, isCode := parseExitCodes(item)
		if !isCode {
			return item == reason
		}
		return exitCode != nil && from <= *exitCode && *exitCode <= to
	})
}

// Wait is how long the next attempt waits after failures attempts have failed; chance, between 0 and 1, is what a full
// jitter makes of it.
func (r Retry) Wait(failures int, chance float64) time.Duration {
	wait, factor, most := time.Duration(r.Backoff), r.Factor, time.Duration(r.MaxBackoff)
	if wait == 0 {
		wait = defaultBackoff
	}
	if factor == 0 {
		factor = defaultFactor
	}
	if most == 0 {
		most = max(defaultMaxBackoff, wait)
	}
	for range failures - 1 {
		if wait >= most {
			break
		}
		wait = time.Duration(min(float64(wait)*factor, float64(most)))
	}
	wait = min(wait, most)
	if r.Jitter {
		wait = time.Duration(float64(wait) * chance)
	}
	return wait.Truncate(time.Millisecond)
}

// UnmarshalJSON reads a word or a number alone as well as a list of them.
func (o *RetryOn) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		list = []json.RawMessage{data}
	}
	if len(list) == 0 {
		return errors.New("an empty list: leave the field out instead, or set attempts to 1")
	}
	items := make(RetryOn, len(list))
	for i, raw := range list {
		var word string
		var code int
		switch {
		case json.Unmarshal(raw, &word) == nil:
			items[i] = word
		case json.Unmarshal(raw, &code) == nil:
			items[i] = strconv.Itoa(code)
		default:
			return fmt.Errorf("%s: want a reason word such as Timeout, or an exit code such as 75 or \"64-78\"", clip(string(raw)))
		}
	}
	*o = items
	return nil
}

// parseExitCodes reads "75" and "64-78".
func parseExitCodes(text string) (from, to int, ok bool) {
	low, high, ranged := strings.Cut(text, "-")
	from, err := strconv.Atoi(low)
	if err != nil {
		return 0, 0, false
	}
	to = from
	if ranged {
		if to, err = strconv.Atoi(high); err != nil {
			return 0, 0, false
		}
	}
	return from, to, true
}

var reasonWord = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)

// notRetryable are reason words that no attempt follows, or that follow rules of their own.
var notRetryable = []string{ReasonCancelRequested, ReasonNodeLost, ReasonReplaced, ReasonTaskDeleted, ReasonTaskReplaced}

func (r Retry) check(f *faults) {
	if r.Attempts > maxAttempts {
		f.add("retry.attempts", "%d: want 1 to %d", r.Attempts, maxAttempts)
	}
	if r.Factor != 0 && (r.Factor < 1 || r.Factor > maxFactor) {
		f.add("retry.factor", "%v: want 1 to %d", r.Factor, maxFactor)
	}
	if r.MaxBackoff != 0 && r.MaxBackoff < r.Backoff {
		f.add("retry.maxBackoff", "%q: want at least backoff, %s", r.MaxBackoff, r.Backoff)
	}
	if len(r.On) > maxRetryOn {
		f.add("retry.on", "%d items: want at most %d", len(r.On), maxRetryOn)
	}
	for i, item := range r.On {
		field := fmt.Sprintf("retry.on[%d]", i)
		from, to, isCode := parseExitCodes(item)
		switch {
		case isCode && (from < 1 || to > 255 || to < from):
			f.add(field, "%q: want exit codes from 1 to 255, such as 75 or \"64-78\"", clip(item))
		case !isCode && !reasonWord.MatchString(item):
			f.add(field, "%q: want a reason word such as Timeout, or an exit code such as 75 or \"64-78\"", clip(item))
		case slices.Contains(notRetryable, item):
			f.add(field, "%q: is not followed by another attempt", item)
		}
	}
	if r.Attempts <= 1 && (r.Backoff != 0 || r.Factor != 0 || r.MaxBackoff != 0 || r.Jitter || len(r.On) > 0) {
		f.add("retry.attempts", "%d: retry wants 2 or more attempts", r.Attempts)
	}
}

// Permanent marks the error of a handler as one that no further attempt can mend, whatever the task's retry says.
func Permanent(err error) error { return steer(err, permanent) }

// Retryable marks the error of a handler as worth another attempt, as long as there are attempts left, whatever the
// task's retry.on says.
func Retryable(err error) error { return steer(err, retryable) }

// RetryHint is what a handler's error says of another attempt.
type RetryHint int

// Hints.
const (
	NoHint RetryHint = iota
	retryable
	permanent
)

// HintOf is what an error says of another attempt: the outermost mark counts.
func HintOf(err error) RetryHint {
	var marked steered
	if errors.As(err, &marked) {
		return marked.hint
	}
	return NoHint
}

// Permanent tells whether no attempt may follow.
func (h RetryHint) Permanent() bool { return h == permanent }

// Retryable tells whether another attempt follows if any is left.
func (h RetryHint) Retryable() bool { return h == retryable }

type steered struct {
	error
	hint RetryHint
}

func (s steered) Unwrap() error { return s.error }

func steer(err error, hint RetryHint) error {
	if err == nil {
		return nil
	}
	return steered{err, hint}
}
