package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/runlog"
)

// keeping is where a node keeps what its runs write, and how much of it.
type keeping struct{ dir, attempt, total, age string }

// inMemory, for a directory, keeps nothing on disk.
const inMemory = "none"

func (k *keeping) flags(flags *pflag.FlagSet) {
	flags.StringVar(&k.dir, "log-dir", "", `directory in which what runs write is kept; "none": in memory, while they run (default: logs in $STATE_DIRECTORY, or in $XDG_STATE_HOME/nightwatch/nodes/NAME)`)
	flags.StringVar(&k.attempt, "log-attempt-size", "10Mi", "how much is kept of what one attempt of a run writes, the newest")
	flags.StringVar(&k.total, "log-total-size", "1Gi", "how much --log-dir may hold before the oldest logs are removed")
	flags.StringVar(&k.age, "log-age", "7d", "how long the log of a run is kept")
}

// build makes the logs of a node. A default directory that cannot be written to is done without.
func (k *keeping) build(node string, logger hclog.Logger) (*runlog.Logs, error) {
	attempt, err := size("log-attempt-size", k.attempt)
	if err != nil {
		return nil, err
	}
	total, err := size("log-total-size", k.total)
	if err != nil {
		return nil, err
	}
	age, err := nightwatch.ParseDuration(k.age)
	if err != nil {
		return nil, usage("--log-age: %q: want a duration such as 12h or 7d", k.age)
	}
	cfg := runlog.Config{Dir: k.dir, AttemptBytes: attempt, TotalBytes: total, Age: time.Duration(age), Logger: logger}
	switch {
	case k.dir == inMemory:
		return inMemoryLogs(logger)
	case k.dir != "":
		if cfg.Dir, err = filepath.Abs(k.dir); err == nil {
			err = writable(cfg.Dir)
		}
		if err != nil {
			return nil, fmt.Errorf("--log-dir: %w", err)
		}
	default:
		if cfg.Dir, err = stateDir(filepath.Join("nodes", node)); err == nil {
			cfg.Dir = filepath.Join(cfg.Dir, "logs")
			err = writable(cfg.Dir)
		}
		if err != nil {
			logger.Warn("what runs write is kept in memory only, while they run: --log-dir says where else", "error", err)
			return inMemoryLogs(logger)
		}
	}
	return newLogs(cfg)
}

func inMemoryLogs(logger hclog.Logger) (*runlog.Logs, error) {
	return newLogs(runlog.Config{Logger: logger})
}

func newLogs(cfg runlog.Config) (*runlog.Logs, error) {
	logs, err := runlog.New(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return logs, nil
}

// size is the value of a flag in bytes.
func size(flag, value string) (int64, error) {
	bytes, err := nightwatch.ParseMemory(value)
	if err != nil {
		return 0, usage("--%s: %q: want a number of bytes such as 512Ki, 10Mi or 1Gi", flag, value)
	}
	if bytes < runlog.MinAttemptBytes {
		return 0, usage("--%s: %q: want at least 64Ki", flag, value)
	}
	return bytes, nil
}

// stateDir is what systemd gave to this service as its StateDirectory, or the user's folder for the state of name.
func stateDir(name string) (string, error) {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // also what the XDG specification asks for
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no home directory: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "nightwatch", name), nil
}

// writable makes a directory, for its owner only, and finds out whether files can be made in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
