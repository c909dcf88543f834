package failpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/toolmod"
)

// mark begins the line of a crash point.
const mark = "// gofail:"

// Build compiles packages of this module, which are programs, with their crash points switched on, into the folder bin:
// each under the last element of its path. It needs the sources of the module, and on an error leaves nothing but what
// the go tool has written to bin.
func Build(ctx context.Context, bin string, packages ...string) error {
	pin, err := toolmod.Dir("gofail")
	if err != nil {
		return err
	}
	root := filepath.Dir(filepath.Dir(pin))
	work, err := os.MkdirTemp("", "nightwatch-failpoint-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	marked, err := markedFiles(ctx, root, packages)
	if err != nil {
		return fmt.Errorf("find crash points: %w", err)
	}
	overlay, err := enable(ctx, pin, root, work, marked)
	if err != nil {
		return fmt.Errorf("switch crash points on: %w", err)
	}
	modfile, err := requireRuntime(ctx, pin, root, work)
	if err != nil {
		return fmt.Errorf("require gofail's runtime: %w", err)
	}
	// No other flags: all but the translated packages is what an ordinary build has in the cache.
	args := append([]string{"build", "-overlay", overlay, "-modfile", modfile, "-o", bin + string(filepath.Separator)}, packages...)
	_, err = goTool(ctx, root, args...)
	return err
}

// markedFiles are the files with crash points that the packages are built from, as paths below root.
func markedFiles(ctx context.Context, root string, packages []string) ([]string, error) {
	const format = `{{if .Module}}{{if .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`
	out, err := goTool(ctx, root, append([]string{"list", "-deps", "-f", format}, packages...)...)
	if err != nil {
		return nil, err
	}
	var marked []string
	for _, file := range strings.Fields(out) {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(source, []byte(mark)) {
			continue
		}
		below, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		marked = append(marked, below)
	}
	if len(marked) == 0 {
		return nil, errors.New("there are none in " + strings.Join(packages, ", "))
	}
	return marked, nil
}

// enable has gofail translate copies of the files, and says in the file that it returns what stands in for what.
func enable(ctx context.Context, pin, root, work string, files []string) (overlay string, err error) {
	replace := map[string]string{}
	var copies []string
	for _, file := range files {
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		translated := filepath.Join(work, file) // gofail takes the folder's name for the package's
		if err := os.MkdirAll(filepath.Dir(translated), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(translated, source, 0o600); err != nil {
			return "", err
		}
		copies = append(copies, translated)
		replace[filepath.Join(root, file)] = translated
		bindings := strings.TrimSuffix(file, ".go") + ".fail.go"
		replace[filepath.Join(root, bindings)] = filepath.Join(work, bindings)
	}
	if _, err := goTool(ctx, pin, append([]string{"tool", "gofail", "enable"}, copies...)...); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(work, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// requireRuntime writes a go.mod that adds to the module's own what the translated files import.
func requireRuntime(ctx context.Context, pin, root, work string) (modfile string, err error) {
	required, err := goTool(ctx, pin, "list", "-m", "-f", "{{.Path}}@{{.Version}}", "go.etcd.io/gofail")
	if err != nil {
		return "", err
	}
	modfile = filepath.Join(work, "go.mod")
	if err := join(modfile, filepath.Join(root, "go.mod")); err != nil {
		return "", err
	}
	if err := join(filepath.Join(work, "go.sum"), filepath.Join(root, "go.sum"), filepath.Join(pin, "go.sum")); err != nil {
		return "", err
	}
	_, err = goTool(ctx, work, "mod", "edit", "-require", strings.TrimSpace(required), modfile)
	return modfile, err
}

// join writes the contents of files one after the other.
func join(target string, files ...string) error {
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all = append(all, content...)
	}
	return os.WriteFile(target, all, 0o600)
}

// goTool runs the go tool in dir and returns what it writes to its standard output.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
	// It removes its work folder when it is interrupted.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", args[0], err, out.String(), fault.String())
	}
	return out.String(), nil
}
