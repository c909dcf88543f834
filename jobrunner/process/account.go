package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"slices"
	"strconv"

	"github.com/nightwatch-go/nightwatch"
)

// credential is whom a process runs as, when that is not the node's own user.
type credential struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"`
}

// account is a user of this machine. Name and home are empty when the user database does not have it, and then it has
// no group either.
type account struct {
	uid, gid   uint32
	groups     []uint32
	name, home string
}

// String is for messages.
func (a account) String() string {
	if a.name == "" {
		return strconv.FormatUint(uint64(a.uid), 10)
	}
	return a.name
}

// identity is whom the attempt runs as: nil for the node's own user as it is. It is refused what the node does not
// allow, and what the node cannot do.
func (r *Runner) identity(p *nightwatch.ProcessSpec) (*credential, account, error) {
	none := account{}
	self, err := ownAccount()
	if err != nil {
		return nil, none, fmt.Errorf("find the node's own user: %w", err)
	}
	who := self
	if p.User != "" {
		if who, err = lookUpUser(p.User); err != nil {
			return nil, none, fmt.Errorf("process.user: %w", err)
		}
	}
	if err := r.allowUser(p.User, who); err != nil {
		return nil, none, err
	}
	if p.Group != "" {
		if who.gid, err = lookUpGroup(p.Group, who); err != nil {
			return nil, none, fmt.Errorf("process.group: %w", err)
		}
	} else if p.User != "" && who.name == "" {
		return nil, none, fmt.Errorf("process.user: %q is not in this node's user database: name its process.group as well", p.User)
	}
	if who.uid == self.uid && who.gid == self.gid {
		return nil, who, nil
	}
	if err := maySwitchUser(); err != nil {
		return nil, none, fmt.Errorf("process.user, process.group: %q, %q: %w", p.User, p.Group, err)
	}
	return &credential{UID: who.uid, GID: who.gid, Groups: who.groups}, who, nil
}

// allowUser compares numbers: a user may have several names. Root is never named by accident, and not by somebody who
// may only write tasks: where a node allows no users by name, it allows all others.
func (r *Runner) allowUser(named string, who account) error {
	allowed := r.cfg.AllowUsers
	if len(allowed) == 0 {
		if named != "" && who.uid == 0 {
			return fmt.Errorf("process.user: %q: root has to be allowed by name on this node", named)
		}
		return nil
	}
	for _, name := range allowed {
		if other, err := lookUpUser(name); err == nil && other.uid == who.uid {
			return nil
		}
	}
	if named == "" {
		return fmt.Errorf("process.user: missing: the node's own user %s may not run processes on this node, which allows %q", who, allowed)
	}
	return fmt.Errorf("process.user: %q may not run processes on this node, which allows %q", named, allowed)
}

// ownAccount is the node's own user, with the groups that the node was given.
func ownAccount() (account, error) {
	groups, err := os.Getgroups()
	if err != nil {
		return account{}, err
	}
	// Not negative on any system that has users.
	a := account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	for _, gid := range groups {
		a.groups = append(a.groups, uint32(gid))
	}
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		a.name, a.home = u.Username, u.HomeDir
	}
	return a, nil
}

// lookUpUser finds a user by name or, if there is none of that name, by number.
func lookUpUser(name string) (account, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		uid, isID := parseID(name)
		if !isID {
			return account{}, fmt.Errorf("%q: this node has no such user", name)
		}
		u, err = user.LookupId(strconv.FormatUint(uint64(uid), 10))
		var unknown user.UnknownUserIdError
		if errors.As(err, &unknown) {
			return account{uid: uid}, nil
		}
	}
	if err != nil {
		return account{}, fmt.Errorf("%q: %w", name, err)
	}
	uid, hasUID := parseID(u.Uid)
	gid, hasGID := parseID(u.Gid)
	if !hasUID || !hasGID {
		return account{}, fmt.Errorf("%q: the user database says %s:%s", name, u.Uid, u.Gid)
	}
	a := account{uid: uid, gid: gid, name: u.Username, home: u.HomeDir}
	groups, err := u.GroupIds()
	if err != nil {
		return account{}, fmt.Errorf("%q: list its groups: %w", name, err)
	}
	for _, text := range groups {
		if id, ok := parseID(text); ok {
			a.groups = append(a.groups, id)
		}
	}
	return a, nil
}

// lookUpGroup finds a group by name or number. It has to be one of the user's: any other (docker, disk) could be worth
// more than the user that the node allows. A user that is not in the database may have a number that no group has.
func lookUpGroup(name string, who account) (uint32, error) {
	g, err := user.LookupGroup(name)
	var unknown user.UnknownGroupError
	if errors.As(err, &unknown) {
		gid, isID := parseID(name)
		if !isID {
			return 0, fmt.Errorf("%q: this node has no such group", name)
		}
		g, err = user.LookupGroupId(strconv.FormatUint(uint64(gid), 10))
		var unknown user.UnknownGroupIdError
		if errors.As(err, &unknown) && who.name == "" {
			return gid, nil
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%q: %w", name, err)
	}
	gid, ok := parseID(g.Gid)
	if !ok {
		return 0, fmt.Errorf("%q: the group database says %s", name, g.Gid)
	}
	if who.name == "" || gid != who.gid && !slices.Contains(who.groups, gid) {
		return 0, fmt.Errorf("%q: user %s is not in this group", name, who)
	}
	return gid, nil
}

// parseID reads the number of a user or group. The highest means none to the system.
func parseID(text string) (uint32, bool) {
	id, err := strconv.ParseUint(text, 10, 32)
	return uint32(id), err == nil && id != math.MaxUint32
}

// environ is what says who one is: of another user's the node's own would be wrong.
func (a account) environ(env map[string]string) {
	delete(env, "SHELL")
	env["HOME"] = a.home
	if a.home == "" {
		env["HOME"] = "/"
	}
	env["USER"], env["LOGNAME"] = a.String(), a.String()
}
