package checker

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// History is all that was seen of a cluster.
type History struct {
	Operations []Operation
	// Changes are in any order. Of a long history they are in a file.
	Changes []Change
	// ChangesFile names the file of those changes, as lines of JSON in the order of their revisions, that came before
	// Changes. Default none.
	ChangesFile string
	Effects     []Effect
	Jobs        []JobEvent
	Faults      []Fault
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
	Kind   string `json:"kind"`
	Target string `json:"target,omitempty"`
	// Off is by how much a clock was ahead, negative when it was behind, in nanoseconds.
	Off  time.Duration `json:"off,omitempty"`
	From time.Time     `json:"from"`
	To   time.Time     `json:"to,omitzero"`
}

// eachChange calls do with all changes, in the order of their revisions.
func (h *History) eachChange(do func(Change)) error {
	if h.ChangesFile != "" {
		if err := eachLineOf(h.ChangesFile, do); err != nil {
			return err
		}
	}
	for _, c := range h.inOrder() {
		do(c)
	}
	return nil
}

// inOrder are those of the changes that are in memory.
func (h *History) inOrder() []Change {
	changes := slices.Clone(h.Changes)
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.Revision, b.Revision) })
	return changes
}

// logs are those of a history that are kept in memory, by the name of the file.
func (h *History) logs() map[string]logFile {
	return map[string]logFile{
		"operations": lines[Operation]{&h.Operations}, "effects": lines[Effect]{&h.Effects},
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
	err := eachLine(r, func(value T) { all = append(all, value) })
	return all, err
}

func eachLine[T any](r io.Reader, do func(T)) error {
	buffered := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := buffered.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return fmt.Errorf("line %d: %w: %s", n, err, line)
		}
		do(value)
	}
}

func eachLineOf[T any](path string, do func(T)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := eachLine(file, do); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
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
	path := filepath.Join(dir, changesFile)
	if path == h.ChangesFile {
		return nil
	}
	if err := writeFile(path, changesOf{h}); err != nil {
		return fmt.Errorf("write changes: %w", err)
	}
	return nil
}

// changesFile is the name of the changes' own.
const changesFile = "changes.jsonl"

// changesOf are all changes of a history.
type changesOf struct{ *History }

func (h changesOf) write(w io.Writer) error {
	if h.ChangesFile != "" {
		file, err := os.Open(h.ChangesFile)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, file)
		file.Close()
		if err != nil {
			return err
		}
	}
	changes := h.inOrder()
	return lines[Change]{&changes}.write(w)
}

func writeFile(path string, log interface{ write(w io.Writer) error }) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(file)
	err = log.write(buffered)
	return errors.Join(err, buffered.Flush(), file.Close())
}

// Read reads the history in a folder, but for its changes, which stay in their file. A log that is not there is empty.
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
	if path := filepath.Join(dir, changesFile); exists(path) {
		h.ChangesFile = path
	}
	return h, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
