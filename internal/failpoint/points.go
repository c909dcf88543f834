package failpoint

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Points are the crash points of one process, at the address that it was told to listen on. It can be copied.
type Points struct{ Address string }

// Environment is what the process is to be started with beside its own environment.
func (p Points) Environment() []string { return []string{"GOFAIL_HTTP=" + p.Address} }

// forever is longer than any test.
const forever = "sleep(86400000)"

// Hold has whoever comes to the point from now on stay there.
func (p Points) Hold(ctx context.Context, point string) error { return p.set(ctx, point, forever) }

// HoldAfter lets as many pass as it says, and holds the next.
func (p Points) HoldAfter(ctx context.Context, point string, passes int) error {
	if passes == 0 {
		return p.Hold(ctx, point)
	}
	return p.set(ctx, point, fmt.Sprintf("%d*off->%s", passes, forever))
}

// Delay has the next who comes to the point wait there for d, and all others pass. The wait is by the monotonic clock,
// which goes on while the process is stopped.
func (p Points) Delay(ctx context.Context, point string, d time.Duration) error {
	return p.set(ctx, point, fmt.Sprintf("1*sleep(%d)", d.Milliseconds()))
}

// Return gives the point a value, which it has until Clear.
func (p Points) Return(ctx context.Context, point string, value int) error {
	return p.set(ctx, point, fmt.Sprintf("return(%d)", value))
}

// Reached is how many have come to the point since it was last told what to do there. Of those who are held it counts the
// first: the others wait behind it.
func (p Points) Reached(ctx context.Context, point string) (int, error) {
	count, err := p.call(ctx, http.MethodGet, point+"/count", "")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(count)
}

// Clear lets those pass who come from now on. Who waits, waits on.
func (p Points) Clear(ctx context.Context, point string) error {
	_, err := p.call(ctx, http.MethodDelete, point, "")
	return err
}

func (p Points) set(ctx context.Context, point, terms string) error {
	_, err := p.call(ctx, http.MethodPut, point, terms)
	return err
}

// callTimeout is generous: a machine under test may be busy.
const callTimeout = 20 * time.Second

func (p Points) call(ctx context.Context, method, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.Address+"/"+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("crash point %s: %w", path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("crash point %s: %w", path, err)
	}
	if response.StatusCode/100 != 2 {
		return "", fmt.Errorf("crash point %s: %s: %s", path, response.Status, strings.TrimSpace(string(answer)))
	}
	return strings.TrimSpace(string(answer)), nil
}
