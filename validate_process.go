package nightwatch

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

func (p *ProcessSpec) check(f *faults) {
	given := 0
	for _, set := range []bool{len(p.Command) > 0, p.Shell != "", p.Python != ""} {
		if set {
			given++
		}
	}
	if given != 1 {
		f.add("process", "want exactly one of command, shell, python")
	}
	if len(p.Command) > 0 && p.Command[0] == "" {
		f.add("process.command[0]", "empty: want a program")
	}
	for i, arg := range p.Command {
		f.noNUL(fmt.Sprintf("process.command[%d]", i), arg)
	}
	f.noNUL("process.shell", p.Shell)
	f.noNUL("process.python", p.Python)
	f.noNUL("process.dir", p.Dir)
	if p.Dir != "" && !path.IsAbs(p.Dir) {
		f.add("process.dir", "%q: want an absolute path", clip(p.Dir))
	}
	f.checkEnv("process.env", p.Env)
	f.checkAccount("process.user", "user", p.User)
	f.checkAccount("process.group", "group", p.Group)
	if p.Umask != "" {
		if _, err := ParseUmask(p.Umask); err != nil {
			f.add("process.umask", "%v", err)
		}
	}
	p.Limits.check(f)
}

// maxAccountName is more than any system's names have.
const maxAccountName = 256

// checkAccount says of a user or group only what holds on every node: which there are is each node's own affair.
func (f *faults) checkAccount(field, kind, name string) {
	bad := func(c rune) bool { return c == ':' || c == '/' || unicode.IsSpace(c) || unicode.IsControl(c) }
	if strings.HasPrefix(name, "-") || len(name) > maxAccountName || strings.ContainsFunc(name, bad) {
		f.add(field, "%q: want the name or the number of a %s", clip(name), kind)
	}
}

func (l ProcessLimits) check(f *faults) {
	if l.Memory != "" {
		if _, err := ParseMemory(l.Memory); err != nil {
			f.add("process.limits.memory", "%v", err)
		}
	}
	if l.CPU != "" {
		if _, err := ParseCPU(l.CPU); err != nil {
			f.add("process.limits.cpu", "%v", err)
		}
	}
	if l.Pids < 0 || l.Pids > maxPids {
		f.add("process.limits.pids", "%d: want 1 to %d", l.Pids, maxPids)
	}
}

const (
	// maxPids is the most that Linux has of them (PID_MAX_LIMIT).
	maxPids = 1 << 22
	// Less memory, or less of a processor, than this runs nothing; more than that nobody has.
	minMemory, maxMemory = 1 << 20, 1 << 50
	minCPU, maxCPU       = 10, 1_000_000
)

var umask = regexp.MustCompile(`^0?[0-7]{3}$`)

// ParseUmask reads a file mode creation mask in octal, such as "0027".
func ParseUmask(text string) (int, error) {
	if !umask.MatchString(text) {
		return 0, fmt.Errorf("%q: want three octal digits, such as \"0027\"", clip(text))
	}
	mask, err := strconv.ParseInt(text, 8, 32)
	return int(mask), err
}

var (
	memory = regexp.MustCompile(`^([0-9]{1,18})([kMGT]|[KMGT]i)?$`)
	units  = map[string]int64{
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
)

// ParseMemory reads a number of bytes with the suffixes that Kubernetes has for it: "512Mi", "1G", "1048576".
func ParseMemory(text string) (bytes int64, err error) {
	m := memory.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q: want a whole number of bytes with k, M, G, T, Ki, Mi, Gi or Ti, such as \"512Mi\"", clip(text))
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if unit := units[m[2]]; err != nil || n < (minMemory+unit-1)/unit || n > maxMemory/unit {
		return 0, fmt.Errorf("%q: want 1Mi to 1024Ti", clip(text))
	}
	return n * units[m[2]], nil
}

var (
	thousandthsOfCPU = regexp.MustCompile(`^([0-9]{1,9})m$`)
	decimalCPU       = regexp.MustCompile(`^[0-9]{1,6}(\.[0-9]{1,3})?$`)
)

// ParseCPU reads a number of processors as Kubernetes does, "0.5" or "500m", and returns thousandths of one.
func ParseCPU(text string) (thousandths int64, err error) {
	if m := thousandthsOfCPU.FindStringSubmatch(text); m != nil {
		thousandths, err = strconv.ParseInt(m[1], 10, 64)
	} else if decimalCPU.MatchString(text) {
		whole, part, _ := strings.Cut(text, ".")
		thousandths, err = strconv.ParseInt(whole+(part + "000")[:3], 10, 64)
	} else {
		return 0, fmt.Errorf("%q: want a number of processors with at most three decimals, such as \"0.5\" or \"500m\"", clip(text))
	}
	if err != nil || thousandths < minCPU || thousandths > maxCPU {
		return 0, fmt.Errorf("%q: want 0.01 to 1000", clip(text))
	}
	return thousandths, nil
}
