package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// diskFull is the fault that takes disks that can be filled.
const diskFull = "disk-full"

// etcdFaults are those of etcd itself.
var etcdFaults = []fault{
	{name: "kill-etcd", begin: (*suite).killEtcd},
	{name: "pause-etcd", begin: (*suite).pauseEtcd},
	{name: "move-leader", members: true, begin: (*suite).moveLeader},
	{name: "quorum-loss", members: true, begin: (*suite).loseQuorum},
	{name: diskFull, disks: true, begin: (*suite).fillDisk},
	{name: "compact", begin: (*suite).compact},
	{name: "nospace", begin: (*suite).noSpace},
}

// killEtcd kills a member, and starts it again.
func (s *suite) killEtcd() (string, time.Duration, func()) {
	return s.down(s.some(2*s.config.LeaseTTL), s.etcd.Kill, s.etcd.Start, s.rand.IntN(s.config.Members))
}

// pauseEtcd stops a member, and has it go on.
func (s *suite) pauseEtcd() (string, time.Duration, func()) {
	return s.down(s.some(2*s.config.LeaseTTL), s.etcd.Stop, s.etcd.Continue, s.rand.IntN(s.config.Members))
}

// fillDisk leaves a member no room on its disk, which ends it; when there is room again it is started.
func (s *suite) fillDisk() (string, time.Duration, func()) {
	return s.down(s.config.LeaseTTL+s.some(2*s.config.LeaseTTL), s.etcd.Fill, s.etcd.Empty, s.rand.IntN(s.config.Members))
}

// loseQuorum kills all members but one.
func (s *suite) loseQuorum() (string, time.Duration, func()) {
	stays := s.rand.IntN(s.config.Members)
	var killed []int
	for i := range s.config.Members {
		if i != stays {
			killed = append(killed, i)
		}
	}
	return s.down(s.config.LeaseTTL+s.some(5*s.config.LeaseTTL), s.etcd.Kill, s.etcd.Start, killed...)
}

// down has members not answer, by down and later up. It does nothing while others do not.
func (s *suite) down(long time.Duration, down, up func(i int), members ...int) (string, time.Duration, func()) {
	if s.membersDown {
		return "", 0, nil
	}
	s.membersDown, s.etcdDown = true, len(members) > (s.config.Members-1)/2
	for _, i := range members {
		down(i)
	}
	return fmt.Sprint("members ", members), long, func() {
		for _, i := range members {
			up(i)
		}
		s.until("etcd answers", func() bool {
			ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
			defer cancel()
			_, err := s.Client.Get(ctx, "ready")
			return err == nil
		})
		s.membersDown, s.etcdDown = false, false
	}
}

// moveLeader has the members of etcd be led by another one every two seconds.
func (s *suite) moveLeader() (string, time.Duration, func()) {
	if s.membersDown {
		return "", 0, nil
	}
	for range 5 {
		if err := s.moveLeaderOnce(s.rand.IntN(s.config.Members - 1)); err != nil {
			s.logf("move leader: %v", err)
		}
		s.wait(time.Now().Add(2 * time.Second))
	}
	return "etcd", 0, nil
}

// moveLeaderOnce moves it to the nth of the others.
func (s *suite) moveLeaderOnce(n int) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	var others []uint64
	leader := ""
	for _, endpoint := range s.etcd.Endpoints {
		status, err := s.Client.Status(ctx, endpoint)
		if err != nil {
			return err
		}
		if status.Leader == status.Header.MemberId {
			leader = endpoint
		} else {
			others = append(others, status.Header.MemberId)
		}
	}
	if leader == "" || len(others) <= n {
		return errors.New("nobody leads")
	}
	client := etcdtest.NewClient(s.t, leader)
	defer client.Close()
	_, err := client.MoveLeader(ctx, others[n])
	return err
}

// compact compacts all of the history once a second, when a node is behind, and breaks its connections: its watches cannot
// go on where they were.
func (s *suite) compact() (string, time.Duration, func()) {
	for range 5 {
		name := s.pick(func(string) bool { return true })
		if name != "" {
			s.Proxy(name).HoldResponses()
			s.harmed[name] = true
		}
		s.wait(time.Now().Add(500 * time.Millisecond))
		s.compactOnce()
		if name != "" {
			s.Proxy(name).Reset()
			s.Proxy(name).Resume()
			delete(s.harmed, name)
		}
		s.wait(time.Now().Add(500 * time.Millisecond))
	}
	return "etcd", 0, nil
}

// compactOnce does nothing while etcd is down.
func (s *suite) compactOnce() {
	if s.etcdDown {
		return
	}
	head, err := s.AskHead(s.t.Context())
	if err != nil {
		return
	}
	// What is compacted before it was recorded would be missing from the history.
	s.until("the record of changes is complete", func() bool {
		if s.Recorded() >= head {
			return true
		}
		_, _ = s.AskHead(s.t.Context())
		return false
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.Client.Compact(ctx, head, clientv3.WithCompactPhysical()); err != nil {
		s.logf("compact: %v", err)
	}
}

// noSpace has etcd take no more, as when its disk is full.
func (s *suite) noSpace() (string, time.Duration, func()) {
	long := time.Second + s.some(2*s.config.LeaseTTL)
	if s.etcdDown || s.alarm(etcdserverpb.AlarmRequest_ACTIVATE) != nil {
		return "", 0, nil
	}
	return "etcd", long, func() {
		s.until("the alarm is over", func() bool { return s.alarm(etcdserverpb.AlarmRequest_DEACTIVATE) == nil })
	}
}

func (s *suite) alarm(action etcdserverpb.AlarmRequest_AlarmAction) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	members, err := s.Client.MemberList(ctx)
	if err != nil {
		return err
	}
	_, err = etcdserverpb.NewMaintenanceClient(s.Client.ActiveConnection()).Alarm(ctx, &etcdserverpb.AlarmRequest{
		Action: action, MemberID: members.Members[0].ID, Alarm: etcdserverpb.AlarmType_NOSPACE,
	})
	return err
}
