package kubernetes

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// passing is an error that a repetition may cure, whatever it looks like.
type passing struct{ error }

func (e passing) Unwrap() error { return e.error }

// unheeded is err with which a request is repeated though it was refused for good.
func unheeded(err error) error {
	if final(err) {
		return passing{err}
	}
	return err
}

// final tells whether the API server has refused a request in a way that no repetition cures. AlreadyExists is such an
// answer, Conflict is not.
func final(err error) bool {
	var status apierrors.APIStatus
	if err == nil || errors.As(err, new(passing)) || !errors.As(err, &status) {
		return false
	}
	if apierrors.IsAlreadyExists(err) {
		return true
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, // a token that is about to be renewed
		http.StatusRequestTimeout, http.StatusConflict, http.StatusGone, http.StatusTooManyRequests:
		return false
	case http.StatusForbidden:
		// What admission says in the first moments of an API server.
		return !strings.Contains(err.Error(), "not yet ready to handle request")
	default:
		return code >= 400 && code < 500
	}
}

// unauthorized tells whether the API server has refused because of who asks. In its first moments it knows no roles yet
// and refuses everybody.
func unauthorized(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot ")
}

// answered tells whether err says for certain that the request was not carried out and will not be.
func answered(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		if apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed calling webhook") {
			return true // admission comes before anything is written
		}
		code := status.Status().Code
		return code >= 400 && code < 500 && code != http.StatusRequestTimeout
	}
	return utilnet.IsConnectionRefused(err)
}

// backoff paces repetitions: 100 ms at first, doubling to 5 s, each shortened at random by up to a half. Its zero value
// is ready.
type backoff struct {
	next  time.Duration
	tries int
}

const (
	backoffFirst = 100 * time.Millisecond
	backoffLast  = 5 * time.Second
)

// after is how long to wait after err: at least as long as the API server asks for, up to maxRetryAfter.
func (b *backoff) after(err error) time.Duration {
	b.tries++
	b.next = min(max(2*b.next, backoffFirst), backoffLast)
	d := b.next - rand.N(b.next/2)
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		d = max(d, min(time.Duration(seconds)*time.Second, maxRetryAfter))
	}
	return d
}

// jittered is d, more or less by up to a fifth.
func jittered(d time.Duration) time.Duration {
	return d - d/5 + rand.N(max(2*d/5, 1))
}
