package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// devData is the data directory of a dev, locked for as long as it runs. The kernel ends the lock with the process.
type devData struct {
	dir  string
	lock *flock.Flock
}

// holder is who holds a data directory, for the message to whoever wants it too.
type holder struct {
	PID  int    `json:"pid"`
	HTTP string `json:"http,omitempty"`
	Etcd string `json:"etcd,omitempty"`
}

// openDevData makes the directory, for its owner only, and locks it. The error says who holds it.
func openDevData(dir string) (*devData, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	d := &devData{dir: dir, lock: flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))}
	locked, err := d.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("--data-dir: lock %s: %w", d.lock.Path(), err)
	}
	if !locked {
		return nil, fmt.Errorf("%s is held by another nightwatch dev%s; stop that one, or choose another directory with --data-dir", dir, d.heldBy())
	}
	d.write(holder{PID: os.Getpid()})
	return d, nil
}

func (d *devData) etcdDir() string { return filepath.Join(d.dir, "etcd") }

func (d *devData) logDir() string { return filepath.Join(d.dir, "logs") }

func (d *devData) holderFile() string { return filepath.Join(d.dir, "holder.json") }

// announce adds the addresses to what others are told.
func (d *devData) announce(http, etcd string) {
	d.write(holder{PID: os.Getpid(), HTTP: http, Etcd: etcd})
}

// write is best effort: the lock holds without it.
func (d *devData) write(h holder) {
	data, err := json.Marshal(h)
	if err != nil {
		return
	}
	next := d.holderFile() + ".new"
	if os.WriteFile(next, append(data, '\n'), 0o600) == nil {
		_ = os.Rename(next, d.holderFile())
	}
}

// heldBy is " (pid …, etcd …, http …)" as far as it is known.
func (d *devData) heldBy() string {
	var h holder
	data, err := os.ReadFile(d.holderFile())
	if err != nil || json.Unmarshal(data, &h) != nil || h.PID == 0 {
		return ""
	}
	parts := []string{fmt.Sprintf("pid %d", h.PID)}
	if h.Etcd != "" {
		parts = append(parts, "etcd "+h.Etcd)
	}
	if h.HTTP != "" {
		parts = append(parts, "http "+h.HTTP)
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func (d *devData) close() {
	_ = os.Remove(d.holderFile())
	_ = d.lock.Close()
}
