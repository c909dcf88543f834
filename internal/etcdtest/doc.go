// Package etcdtest runs a real etcd inside a test: one member, on free loopback ports, in a temporary directory,
// ready in well under a second, gone when the test ends.
//
//	server := etcdtest.Start(t)
//	client := server.Client(t)
//
// [Server.Stop] ends it as a crash would, every connection at once; [Server.Restart] brings it back with its data and
// its port. [Server.Compact] compacts up to now. [StartProxy] stands between a client and the server and breaks the
// network: it stalls, delays or swallows one direction or both, cuts connections, refuses new ones.
//
// The defaults are made for short tests: etcd's election timeout is 500 ms, so the shortest lease is 1 s (a stock etcd
// raises leases to 2 s; [WithElectionTimeout] asks for that), and nothing is synced to disk.
//
// [Eventually] polls a condition. Tests that use it do not sleep.
package etcdtest
