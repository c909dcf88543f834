package suite

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdFaults are those of etcd itself.
var etcdFaults = []fault{
	{name: "kill-etcd", begin: (*suite).killEtcd},
	{name: "compact", begin: (*suite).compact},
	{name: "nospace", begin: (*suite).noSpace},
}

// killEtcd kills the only member, and starts it again.
func (s *suite) killEtcd() (string, time.Duration, func()) {
	long := s.some(2 * s.config.LeaseTTL)
	if s.etcdDown {
		return "", 0, nil
	}
	s.etcd.Kill()
	s.etcdDown = true
	return "etcd", long, func() {
		s.etcd.Start()
		s.until("etcd answers", func() bool {
			ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
			defer cancel()
			_, err := s.Client.Get(ctx, "ready")
			return err == nil
		})
		s.etcdDown = false
	}
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
	status, err := s.Client.Status(ctx, s.etcd.Endpoint)
	if err != nil {
		return err
	}
	_, err = etcdserverpb.NewMaintenanceClient(s.Client.ActiveConnection()).Alarm(ctx, &etcdserverpb.AlarmRequest{
		Action: action, MemberID: status.Header.MemberId, Alarm: etcdserverpb.AlarmType_NOSPACE,
	})
	return err
}
