package process

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	hybrid = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	unified   = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	container = "1403 1402 0:26 /docker/abc /sys/fs/cgroup ro - cgroup cgroup rw,memory\n"
)

func TestFindHomes(t *testing.T) {
	for _, tt := range []struct {
		name, mountinfo, cgroup string
		v2                      string
		v1                      map[string]string
	}{
		{name: "nothing"},
		{name: "unified", mountinfo: unified, cgroup: "0::/system.slice/nightwatch.service\n", v2: "/sys/fs/cgroup/system.slice/nightwatch.service"},
		{name: "root of a name space", mountinfo: unified, cgroup: "0::/\n", v2: "/sys/fs/cgroup"},
		{name: "outside of the name space", mountinfo: unified, cgroup: "0::/../other\n", v2: ""},
		{name: "a colon in a name", mountinfo: unified, cgroup: "0::/a:b\n", v2: "/sys/fs/cgroup/a:b"},
		{name: "not mounted", mountinfo: container, cgroup: "0::/\n3:pids:/\n"},
		{name: "hybrid", mountinfo: hybrid, cgroup: "4:memory:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/d\n", v2: "/sys/fs/cgroup/unified/d",
			v1: map[string]string{
				"memory": "/sys/fs/cgroup/memory/a", "cpu": "/sys/fs/cgroup/cpu,cpuacct/b", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/b",
				"name=systemd": "/sys/fs/cgroup/systemd/c",
			}},
		{name: "a part of the hierarchy", mountinfo: container, cgroup: "4:memory:/docker/abc/d\n", v1: map[string]string{"memory": "/sys/fs/cgroup/d"}},
		{name: "another part of it", mountinfo: container, cgroup: "4:memory:/docker/abcd\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := findHomes(tt.mountinfo, tt.cgroup)
			if got.v2 != tt.v2 || !maps.Equal(got.v1, tt.v1) {
				t.Errorf("%+v: want %q, %q", got, tt.v2, tt.v1)
			}
		})
	}
}

// controls makes a directory that has these controls.
func controls(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[file.Name()] = string(data)
	}
	return got
}

// TestLimitValues is about what is written where. Whether the kernel takes it is for TestLimits, where it can.
func TestLimitValues(t *testing.T) {
	l := limits{Memory: 512 << 20, CPU: 1500, Pids: 100}
	v2 := map[string]string{
		"cpu.max": "150000 100000", "memory.max": "536870912", "memory.oom.group": "1", "memory.swap.max": "0", "pids.max": "100",
	}
	dir := controls(t, slices.Collect(maps.Keys(v2))...)
	if err := limitV2(dir, l); err != nil || !maps.Equal(contents(t, dir), v2) {
		t.Errorf("version 2: %v, %q: want %q", err, contents(t, dir), v2)
	}
	v1 := map[string]string{
		"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000", "memory.limit_in_bytes": "536870912", "pids.max": "101",
	}
	dir = controls(t, slices.Collect(maps.Keys(v1))...)
	for _, controller := range controllers {
		if err := limitV1(dir, controller, l); err != nil {
			t.Errorf("version 1: %v", err)
		}
	}
	if got := contents(t, dir); !maps.Equal(got, v1) {
		t.Errorf("version 1: %q: want %q", got, v1)
	}
	// A limit that cannot be written is no limit.
	for _, without := range []string{"cpu.max", "memory.max", "pids.max"} {
		names := slices.DeleteFunc(slices.Collect(maps.Keys(v2)), func(name string) bool { return name == without })
		if err := limitV2(controls(t, names...), l); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), without) {
			t.Errorf("without %s: %v", without, err)
		}
	}
}

// TestHandDown is about groups that others have to do with; those that this machine lends itself to are in TestLimits.
func TestHandDown(t *testing.T) {
	fill := func(dir, name, value string) {
		t.Helper()
		if err := write(dir, name, value); err != nil {
			t.Fatal(err)
		}
	}
	base := func() string {
		return controls(t, "cgroup.controllers", "cgroup.subtree_control", "cgroup.procs", "cgroup.type")
	}
	wanted := []string{"cpu", "memory"}

	none := base()
	fill(none, "cgroup.controllers", "io hugetlb")
	if got, why := handDown(none, none, wanted); got != nil || !strings.Contains(why, "no controllers in "+none) {
		t.Errorf("no controllers: %q, %q", got, why)
	}

	crowded := base()
	fill(crowded, "cgroup.controllers", "cpu memory pids")
	fill(crowded, "cgroup.procs", "1")
	if err := moveOut(crowded); err == nil || !strings.Contains(err.Error(), "process 1 is in "+crowded+" beside the node") {
		t.Errorf("beside another process: %v", err)
	}
	if left := contents(t, crowded)["cgroup.subtree_control"]; left != "" {
		t.Errorf("%q was written into another's group", left)
	}

	// What is handed down already needs nobody to move.
	ready, room := base(), controls(t, "cgroup.subtree_control")
	fill(ready, "cgroup.controllers", "cpu memory")
	fill(ready, "cgroup.subtree_control", "cpu memory")
	fill(ready, "cgroup.procs", "1")
	if _, why := handDown(ready, room, wanted); why != "" {
		t.Errorf("handed down: %q", why)
	}
	if got := contents(t, room)["cgroup.subtree_control"]; !strings.HasPrefix(got, "+memory") {
		t.Errorf("the room got %q", got)
	}
}

// TestStaleRooms finds the room of a guard that is gone, and leaves that of one that lives.
func TestStaleRooms(t *testing.T) {
	base := t.TempDir()
	gone, leaf, other := filepath.Join(base, roomPrefix+"GONE"), filepath.Join(base, leafName), filepath.Join(base, "other")
	for _, dir := range []string{gone, leaf, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	alive := &cgroups{name: roomPrefix + "ALIVE"}
	room, err := alive.makeRoom(base)
	if err != nil {
		t.Fatal(err)
	}
	clearStale(base)
	left, err := filepath.Glob(filepath.Join(base, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{room, leaf, other}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
	for _, lock := range alive.locks {
		lock.Close()
	}
	clearStale(base)
	if _, err := os.Stat(room); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the room of a guard that is gone: %v", err)
	}
}
