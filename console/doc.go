// Package console is what a node shows over HTTP: /livez, /readyz and /metrics; and where it is called back.
//
// /livez answers 200 for as long as the process serves requests, whatever the state of etcd: restarting a node never
// cures etcd. /readyz answers 200 while every check of the node passes and 503 otherwise, and names each check in the
// form that Kubernetes uses. /metrics is the node's own registry. Every answer says whose it is, in the header Nightwatch-Node.
//
// GET /api/v1/namespaces/<namespace>/tasks/<task>/runs/<run>/log is what a run wrote, as text, for whoever has the token
// that stands in the run's record, as "Authorization: Bearer <token>":
//
//	attempt=N         that attempt; default the newest
//	follow=true       go on until the attempt ends on this node
//	tail=N            at most the last N lines of what is there
//	since=T           nothing that was written before that time (RFC 3339)
//	shard=K           of an Indexed Job that one index
//	timestamps=true   each line after the time when it was written
//
// The token is a capability: it is random, made with the first claim of the run, and stands nowhere else, so that who may
// read the record in etcd (readers of runs/<namespace>/) may read the log, and nobody else who reaches this port; the
// record is read for each request, and with it goes the right. It is taken from a header only, since URLs end up in the
// logs of proxies. It travels as plainly as the log itself: a port that others can listen in on wants TLS before it.
//
// POST /api/v1/callbacks/<token> is jobrunner.Callbacks: only who was given a token can say anything there. Nothing else
// here changes anything, and only GET and HEAD are answered. A listener on a loopback address serves all but logs and
// callbacks only to requests that were addressed to one (see LocalOnly): otherwise a web page whose name resolves to
// 127.0.0.1 could read what a developer's node shows.
package console
