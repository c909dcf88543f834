// Package httpcall runs tasks as HTTP requests from the node: the runner "http".
//
// # Parties
//
// The [Runner] sends one request an attempt; the server that the task names answers it. The attempt lasts until the
// answer's body has ended, and its status decides. Each request has a connection of its own: on a connection that was
// used before, Go sends a request again when the first try is lost, and takes our Idempotency-Key for leave to do so.
//
// A task that polls takes an answer of 202 for "begun": its Location is asked, by GET, with the headers of the task but
// those about a body, until an answer is not 202. Between an answer and the next poll is the time that its Retry-After
// says, else the task's interval. 429 and 503 with a Retry-After, to a poll, say only that it came too soon. Up to two
// polls in a row may get no answer: asking again has no effect, beginning again has. The task's timeout bounds all of it.
//
// A task that asks to be called back has a token of its own for each attempt (jobrunner.Callbacks), in headers of the
// request: the attempt lasts until somebody who knows it says how it ended, and the answer counts only if it is not a
// success. That may be said before the answer; then the answer is not waited for.
//
// # What the server is told
//
// Templates in URL, headers and body are made for each attempt, the same each time the same attempt is repeated.
// Idempotency-Key is the same whenever the same attempt is repeated. Nightwatch-Namespace, -Task, -Run, -Attempt and
// -Nominal-Time say which occurrence it is, Nightwatch-Fence grows with every claim: a server that has seen a higher one
// may refuse. Nightwatch-Params has the task's params as JSON, in ASCII, when they fit in 4 KiB. A shard has
// Nightwatch-Shard, its number from 0, of Nightwatch-Shards, and Nightwatch-Shard-Param in the same form. No header of the task
// overrides these.
//
// # Where requests may go
//
// A task is written by whoever may write its key, so the node must not lend it its own place in the network: loopback,
// link-local, multicast, unspecified and cloud-metadata addresses are refused unless [Config.Allow] has them. What is
// compared is the address that is being dialled, after all name resolution, at every redirect and poll again; an IPv4
// address inside an IPv6 one counts too. Private networks are allowed: they are what tasks are for; [Config.OnlyNetworks]
// and [Config.OnlyHosts] narrow a node to some of them. Proxies of the environment are not used.
//
// A redirect or a Location that leads to another scheme, host or port is not given the headers that the task set, nor the
// token of a callback, nor is anything that comes after, back at the first server too; the body goes wherever a 307 or 308
// sends it. No task can have a certificate go unchecked: [Config.RootCAs] is the node's.
//
// # What the log has
//
// Each request by its method and its URL without the query, each answer by its status and its headers, and the body as it
// comes. The values of headers that let somebody in (Set-Cookie and the like) are left out, as are the request's own
// headers and body.
//
// # What local time is used for
//
// Until the request is sent, the attempt's deadline is compared at every write to the connection: name resolution, a slow
// connect or a TLS handshake cannot carry the request past it.
//
// # Failures
//
//   - The address is refused, or the request cannot be made: Failed, StartRefused. Nothing was sent.
//   - No connection, no answer, an answer cut short, more than ten redirects, nothing to poll: Failed, HTTPError. The
//     request may have been carried out.
//   - A status that is not success: Failed, HTTPStatus, with the end of the body as output.
//   - The server calls back that it failed: Failed, CallbackFailed. Messages name URLs without their queries, and count
//     redirects and polls. The log has each exchange, and what was answered.
//   - The attempt's context ends, in whatever phase: the connection is closed, which is all that HTTP has to say that
//     nobody waits.
//   - Save fails: the same, and Interrupted.
//   - The node is lost between polls, or while it waits to be called back: what was begun goes on, and nobody asks for it
//     or hears of it any more. By the task's delivery another attempt begins anew, with another Idempotency-Key; a server
//     that would not do the work twice goes by Nightwatch-Run.
//
// # Not promised
//
// A request that has been sent cannot be taken back, and what a server does after its connection is closed is its own
// business, as is work that it was polled for: use the fence. A body of more than 16 MiB is not read to its end; its
// status counts.
package httpcall
