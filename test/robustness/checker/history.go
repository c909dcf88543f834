package checker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// History is all that was seen of a cluster.
type History struct {
	Operations []Operation
	Changes    []Change
	Effects    []Effect
	Jobs       []JobEvent
	Faults     []Fault
}

// Operation is what a client asked for: that a key be put or deleted.
type Operation struct {
	// Key is below the prefix.
	Key     string `json:"key"`
	Value   []byte `json:"value,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	// Sent is when it was asked for, Answered when the client was told that it is done: zero if it never was.
	Sent     time.Time `json:"sent"`
	Answered time.Time `json:"answered,omitzero"`
	// Revision is etcd's, of the answer.
	Revision int64 `json:"revision,omitempty"`
}

// Change is one revision of one key.
type Change struct {
	Revision int64 `json:"revision"`
	// Key is below the prefix.
	Key     string `json:"key"`
	Value   []byte `json:"value,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	// Created is the revision that created the key.
	Created int64 `json:"created,omitempty"`
	// Seen is when the watch told of it.
	Seen time.Time `json:"seen"`
}

// What an effect tells of.
const (
	EffectStart = "start"
	EffectBeat  = "beat" // it goes on
	EffectEnd   = "end"  // it has done all that it is there for
	EffectCut   = "cut"  // it has noticed that it is to end
)

// Effect is what a task wrote about itself.
type Effect struct {
	Task    string `json:"task"` // <namespace>/<task>
	Run     string `json:"run"`
	Attempt int    `json:"attempt"`
	Fence   int64  `json:"fence"`
	// Node is empty when the effect does not know.
	Node  string `json:"node,omitempty"`
	Event string `json:"event"`
	// Time is in nanoseconds since 1970: what a shell can write.
	Time int64 `json:"time"`
}

// At is when the effect wrote it.
func (e Effect) At() time.Time { return time.Unix(0, e.Time) }

// What a JobEvent tells of.
const (
	JobCreated  = "created"
	JobFinished = "finished" // Complete or Failed
	JobDeleted  = "deleted"
)

// JobEvent is what became of a Job.
type JobEvent struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Task      string `json:"task"`
	TaskUID   int64  `json:"taskUID"`
	Run       string `json:"run"`
	Attempt   int    `json:"attempt"`
	// Suspended says that it was created to do nothing: it takes a name.
	Suspended bool `json:"suspended,omitempty"`
	// Succeeded says how a Job finished.
	Succeeded bool      `json:"succeeded,omitempty"`
	Event     string    `json:"event"`
	Time      time.Time `json:"time"`
}

// What was done to a node.
const (
	FaultKill      = "kill"
	FaultTerminate = "terminate"
	FaultStop      = "stop" // and later on continued
	FaultClock     = "off"  // its clock is
)

// Fault is what was done to the cluster.
type Fault struct {
	Kind   string    `json:"kind"`
	Target string    `json:"target,omitempty"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero"`
}

// logs are a history's, by the name of the file.
func (h *History) logs() map[string]logFile {
	return map[string]logFile{
		"operations": lines[Operation]{&h.Operations}, "changes": lines[Change]{&h.Changes}, "effects": lines[Effect]{&h.Effects},
		"jobs": lines[JobEvent]{&h.Jobs}, "faults": lines[Fault]{&h.Faults},
	}
}

type logFile interface {
	read(r io.Reader) error
	write(w io.Writer) error
}

type lines[T any] struct{ to *[]T }

func (l lines[T]) read(r io.Reader) error {
	all, err := ReadLines[T](r)
	*l.to = append(*l.to, all...)
	return err
}

func (l lines[T]) write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	for _, line := range *l.to {
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// ReadLines reads JSON values, one a line. A last line that was cut off, as by the death of its writer, is left out.
func ReadLines[T any](r io.Reader) ([]T, error) {
	var all []T
	buffered := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := buffered.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return all, fmt.Errorf("line %d: %w: %s", n, err, line)
		}
		all = append(all, value)
	}
}

// Write writes the history into a folder, which it makes.
func (h *History) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, log := range h.logs() {
		if err := writeFile(filepath.Join(dir, name+".jsonl"), log); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func writeFile(path string, log logFile) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(file)
	err = log.write(buffered)
	return errors.Join(err, buffered.Flush(), file.Close())
}

// Read reads the history in a folder. A log that is not there is empty.
func Read(dir string) (*History, error) {
	h := &History{}
	for name, log := range h.logs() {
		file, err := os.Open(filepath.Join(dir, name+".jsonl"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = log.read(file)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return h, nil
}
