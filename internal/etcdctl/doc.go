// Package etcdctl gives tests the stock etcdctl, built from its own module: what they show with it a person can type.
//
// [Path] compiles it once into a cache outside the checkout, [Run] calls it against an etcd.
package etcdctl
