package node

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"
)

// TestExcuseIsLoudOnce: an etcd that is away for a day is one line, not one for each try.
func TestExcuseIsLoudOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n := &Node{log: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: &out})}
		for _, text := range []string{"no answer", "no answer", "no answer", "refused", "refused"} {
			if err := n.excuse(t.Context(), errors.New(text)); err != nil {
				t.Error(err)
			}
		}
		n.begin(nil, nil) // a life in between
		if err := n.excuse(t.Context(), errors.New("refused")); err != nil {
			t.Error(err)
		}
		if got := strings.Count(out.String(), "\n"); got != 3 {
			t.Errorf("%d lines, want 3: one for each change\n%s", got, &out)
		}
	})
}
