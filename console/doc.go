// Package console is what a node shows over HTTP: /livez, /readyz and /metrics; and where it is called back.
//
// /livez answers 200 for as long as the process serves requests, whatever the state of etcd: restarting a node never
// cures etcd. /readyz answers 200 while every check of the node passes and 503 otherwise, and names each check in the
// form that Kubernetes uses. /metrics is the node's own registry.
//
// POST /api/v1/callbacks/<token> is jobrunner.Callbacks: only who was given a token can say anything there. Nothing else
// here changes anything, and only GET and HEAD are answered. A listener on a loopback address serves only
// requests that were addressed to one (see LocalOnly): otherwise a web page whose name resolves to 127.0.0.1 could read
// what a developer's node shows.
package console
