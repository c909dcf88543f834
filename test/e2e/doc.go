// Package e2e tests nightwatch as its users meet it: real nightwatch processes that are really killed, a real etcd, a
// real Kubernetes control plane, and plain etcdctl.
package e2e
