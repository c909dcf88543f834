package process

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// roomPrefix begins the names of the control groups that guards make.
	roomPrefix = "nightwatch-"
	// clearWithin bounds the clearing of a room.
	clearWithin = 5 * time.Second
)

// cgroups are the rooms of this guard: a control group in each hierarchy that it may write, in which each attempt has one
// of its own. A room is locked for as long as its guard lives, so that the next guard can tell what to clear.
type cgroups struct {
	homes homes
	name  string
	// v2 is the room in version 2, if there is one; controllers are those that attempts have there, and whyNot says
	// what is in the way of others.
	v2          string
	controllers []string
	whyNot      string

	mu sync.Mutex
	// v1 are the rooms in version 1 by controller. They are made when they are first needed.
	v1    map[string]string
	locks []*os.File
}

// openCgroups makes the guard's room in version 2, and clears away those of guards that are gone.
func openCgroups() *cgroups {
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	return roomsIn(findHomes(string(mountinfo), string(cgroup)))
}

func roomsIn(h homes) *cgroups {
	cs := &cgroups{homes: h, name: roomPrefix + rand.Text(), v1: map[string]string{}, whyNot: "not mounted"}
	for _, controller := range controllers {
		if home := h.v1[controller]; home != "" {
			clearStale(home)
		}
	}
	if h.v2 == "" {
		return cs
	}
	base := h.v2
	if filepath.Base(base) == leafName {
		base = filepath.Dir(base)
	}
	clearStale(base)
	room, err := cs.makeRoom(base)
	if err == nil {
		err = tryRoom(room)
	}
	if err != nil {
		cs.whyNot = err.Error()
		return cs
	}
	cs.v2 = room
	cs.controllers, cs.whyNot = handDown(base, room, controllers)
	return cs
}

// rooms are where something of this guard may be, whether they have been made yet or not.
func (cs *cgroups) rooms() []string {
	var rooms []string
	if cs.v2 != "" {
		rooms = append(rooms, cs.v2)
	}
	for _, controller := range controllers {
		home := cs.homes.v1[controller]
		if room := filepath.Join(home, cs.name); home != "" && !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// means are the controllers that attempts can have.
func (cs *cgroups) means() means {
	m := means{v2: cs.controllers, whyNot2: cs.whyNot}
	for _, controller := range controllers {
		if _, err := cs.v1Room(controller); err == nil {
			m.v1 = append(m.v1, controller)
		}
	}
	return m
}

// v1Room is the guard's room in the hierarchy of a controller of version 1.
func (cs *cgroups) v1Room(controller string) (string, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if room := cs.v1[controller]; room != "" {
		return room, nil
	}
	home := cs.homes.v1[controller]
	if home == "" {
		return "", fmt.Errorf("no cgroup v1 with the controller %s", controller)
	}
	for _, room := range cs.v1 {
		if filepath.Dir(room) == home {
			cs.v1[controller] = room
			return room, nil
		}
	}
	room, err := cs.makeRoom(home)
	if err != nil {
		return "", err
	}
	cs.v1[controller] = room
	return room, nil
}

// makeRoom makes the guard's room below base and locks it. Another guard that is just clearing up may take it away
// before that.
func (cs *cgroups) makeRoom(base string) (room string, err error) {
	room = filepath.Join(base, cs.name)
	for range 3 {
		if err = os.Mkdir(room, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		lock, lockErr := lockRoom(room)
		if err = lockErr; err != nil {
			continue
		}
		if _, err = os.Stat(room); err == nil {
			cs.locks = append(cs.locks, lock)
			return room, nil
		}
		lock.Close()
	}
	return "", fmt.Errorf("lock %s: %w", room, err)
}

func lockRoom(room string) (*os.File, error) {
	lock, err := os.Open(room)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// tryRoom starts what does not exist, in a group of the room: everything but that has to go well.
func tryRoom(room string) error {
	group := filepath.Join(room, "try")
	if err := os.Mkdir(group, 0o755); err != nil {
		return err
	}
	defer func() { _ = unix.Rmdir(group) }()
	dir, err := os.Open(group)
	if err != nil {
		return err
	}
	defer dir.Close()
	missing := filepath.Join(room, "missing")
	process, err := os.StartProcess(missing, []string{missing}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())},
	})
	if err == nil {
		_, _ = process.Wait()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start a process in %s: %w", group, err)
	}
	return nil
}

// close removes the rooms, which are empty by then.
func (cs *cgroups) close() {
	clearRooms(cs.rooms())
	for _, lock := range cs.locks {
		lock.Close()
	}
}

// clearStale clears the rooms below base whose guards are gone, should one have died together with its node.
func clearStale(base string) {
	rooms, _ := filepath.Glob(filepath.Join(base, roomPrefix+"*"))
	for _, room := range rooms {
		if filepath.Base(room) == leafName {
			continue
		}
		if lock, err := lockRoom(room); err == nil {
			clearRooms([]string{room})
			lock.Close()
		}
	}
}

// clearRooms kills what is in the rooms of a guard that is gone, and removes them.
func clearRooms(rooms []string) {
	for _, room := range rooms {
		deadline := time.Now().Add(clearWithin)
		for poll := (backoff{}); time.Now().Before(deadline); <-poll.next() {
			if _, err := os.Stat(room); err != nil {
				break
			}
			killGroup(room)
			removeGroup(room)
		}
	}
}

func words(file string) []string {
	data, _ := os.ReadFile(file)
	return strings.Fields(string(data))
}

// write sets a control of a group.
func write(group, control, value string) error {
	file, err := os.OpenFile(filepath.Join(group, control), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(value); err != nil {
		return fmt.Errorf("%w (%q)", err, value)
	}
	return nil
}
