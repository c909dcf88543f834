package scheduler

import (
	"bytes"
	"slices"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// written is a value that this node's own transaction puts. When the watch tells of the very same bytes there is no need to
// read them.
type written struct {
	key    string
	value  []byte
	run    *runView           // of a record,
	status *nightwatch.Status // or of a status
}

// own is what this node wrote, if that is what an event tells of. It is told once: who asks may keep it.
func (t *taskView) own(e store.Event) *written {
	for i := range t.wrote {
		if w := t.wrote[i]; w.key == e.Key && bytes.Equal(w.value, e.Value) {
			if t.wrote = slices.Delete(t.wrote, i, i+1); len(t.wrote) == 0 {
				t.wrote = nil
			}
			return &w
		}
	}
	return nil
}
