package process

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	defaultShell  = "/bin/sh"
	defaultPython = "python3"
	// markerName is the variable by which a process is known to be of an attempt, whatever its parent.
	markerName  = "NIGHTWATCH_GUARD"
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// command is what an attempt executes, or why it may not.
func (r *Runner) command(a *jobrunner.Attempt) (*startRequest, error) {
	p := a.Task.Process
	if p == nil {
		return nil, errors.New("the task has no process to run")
	}
	if allowed := r.cfg.AllowNamespaces; len(allowed) > 0 && !slices.Contains(allowed, a.Run.Namespace) {
		return nil, fmt.Errorf("namespace %q may not run processes on this node, which allows %q", a.Run.Namespace, allowed)
	}
	args := p.Command
	switch {
	case p.Shell != "":
		args = []string{r.cfg.Shell, "-c", p.Shell}
	case p.Python != "":
		args = []string{r.cfg.Python, "-c", p.Python}
	case len(args) == 0:
		return nil, errors.New("the task has no command to run")
	}
	as, who, err := r.identity(p)
	if err != nil {
		return nil, err
	}
	base := inherited(r.cfg.Environ)
	if p.User != "" {
		who.environ(base)
	}
	values, err := r.variables(a, p.Env)
	if err != nil {
		return nil, err
	}
	env := environment(base, values, a.Run.Environment())
	path, err := lookUp(args[0], p.Dir, env["PATH"])
	if err != nil {
		return nil, err
	}
	if allowed := r.cfg.AllowCommands; len(allowed) > 0 && !slices.Contains(allowed, path) {
		return nil, fmt.Errorf("%s may not be run on this node, which allows %q", path, allowed)
	}
	start := &startRequest{
		Path: path, Args: args, Env: list(env), Dir: p.Dir, Stdin: []byte(p.Stdin), Grace: r.cfg.Grace, As: as,
		Secrets: a.Mask().Secrets(),
	}
	if p.Umask != "" {
		mask, err := nightwatch.ParseUmask(p.Umask)
		if err != nil {
			return nil, fmt.Errorf("process.umask: %w", err)
		}
		start.Umask = &mask
	}
	start.Limits, err = limitsOf(p.Limits)
	return start, err
}

// variables are those of the task, their secrets read.
func (r *Runner) variables(a *jobrunner.Attempt, env map[string]nightwatch.TextOrFile) (map[string]string, error) {
	values := make(map[string]string, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text := env[name].Text
		if file := env[name].FromFile; file != "" {
			var err error
			if text, err = a.Secret(file); err != nil {
				return nil, fmt.Errorf("process.env.%s: %w", name, err)
			}
		}
		values[name] = text
	}
	return values, nil
}

// inherited is what processes get of the node's own environment: a list of what is known to be harmless, since
// nobody can list what is not (the node's configuration, its credentials for etcd and for clouds).
func inherited(environ []string) map[string]string {
	env := map[string]string{"PATH": defaultPath}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch name {
		case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR":
		default:
			if !strings.HasPrefix(name, "LC_") {
				continue
			}
		}
		env[name] = value
	}
	return env
}

func isMarker(entry string) bool { return strings.HasPrefix(entry, markerName+"=") }

// environment lays the task's variables and then the attempt's own over base.
func environment(base, task map[string]string, own []string) map[string]string {
	env := maps.Clone(base)
	maps.Copy(env, task)
	for _, entry := range own {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

func list(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}

// lookUp finds a program as execvp(3) does, but for relative directories in path, which are passed over. A name with a
// slash that is not absolute is taken from dir.
func lookUp(name, dir, path string) (string, error) {
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	if strings.Contains(name, "/") {
		abs, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("find %q: %w", name, err)
		}
		return abs, nil
	}
	var denied error
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		file := filepath.Join(folder, name)
		info, err := os.Stat(file)
		switch {
		case err != nil || info.IsDir():
		case info.Mode()&0o111 == 0:
			denied = &fs.PathError{Op: "exec", Path: file, Err: fs.ErrPermission}
		default:
			return file, nil
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("exec %q: executable file not found in PATH %q", name, path)
}
