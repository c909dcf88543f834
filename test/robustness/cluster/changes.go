package cluster

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// changes are a file of what was seen: those of hours are more than memory holds. Whoever writes holds the cluster's lock.
type changes struct {
	t       testing.TB
	file    *os.File
	buffer  *bufio.Writer
	encoder *json.Encoder
}

// newChanges makes the file. Nothing is written any more when the test's cleanup is over.
func newChanges(t testing.TB, path string) *changes {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	c := &changes{t: t, file: file, buffer: bufio.NewWriterSize(file, 1<<20)}
	c.encoder = json.NewEncoder(c.buffer)
	return c
}

func (c *changes) write(change checker.Change) {
	if err := c.encoder.Encode(change); err != nil {
		c.t.Errorf("write down a change: %v", err)
	}
}

// flush has all that was written be in the file, whose name it returns.
func (c *changes) flush() string {
	if err := c.buffer.Flush(); err != nil {
		c.t.Errorf("write down changes: %v", err)
	}
	return c.file.Name()
}
