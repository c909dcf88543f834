package etcdtest

import "go.uber.org/goleak"

// LeakOptions are for goleak.VerifyTestMain in packages that start a Server. etcd 3.7 leaves nothing behind when it is
// stopped the way Stop does it, so there are none; packages pass them all the same, and should a later etcd need an
// exception, it goes here, with its reason, once.
func LeakOptions() []goleak.Option {
	return nil
}
