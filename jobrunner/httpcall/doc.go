// Package httpcall runs tasks as HTTP requests from the node: the runner "http".
//
// # Parties
//
// The [Runner] sends one request an attempt; the server that the task names answers it. The attempt lasts until the
// answer's body has ended, and its status decides. Each attempt has a connection of its own: on a connection that was
// used before, Go sends a request again when the first try is lost, and takes our Idempotency-Key for leave to do so.
//
// # What the server is told
//
// Idempotency-Key is the same whenever the same attempt is repeated. Nightwatch-Namespace, -Task, -Run, -Attempt and
// -Nominal-Time say which occurrence it is, Nightwatch-Fence grows with every claim: a server that has seen a higher one
// may refuse. Nightwatch-Params has the task's params as JSON, in ASCII, when they fit in 4 KiB. No header of the task
// overrides these.
//
// # Where requests may go
//
// A task is written by whoever may write its key, so the node must not lend it its own place in the network: loopback,
// link-local, multicast, unspecified and cloud-metadata addresses are refused unless [Config.Allow] has them. What is
// compared is the address that is being dialled, after all name resolution, at every redirect again; an IPv4 address
// inside an IPv6 one counts too. Private networks are allowed: they are what tasks are for. Proxies of the environment
// are not used. A redirect to another scheme, host or port is not given the headers that the task set, nor is one that
// comes back from there; the body goes wherever a 307 or 308 sends it.
//
// # What local time is used for
//
// Until the request is sent, the attempt's deadline is compared at every write to the connection: name resolution, a slow
// connect or a TLS handshake cannot carry the request past it.
//
// # Failures
//
//   - The address is refused, or the request cannot be made: Failed, StartRefused. Nothing was sent.
//   - No connection, no answer, an answer cut short, more than five redirects: Failed, HTTPError. The request may have
//     been carried out.
//   - A status that is not success: Failed, HTTPStatus, with the end of the body as output.
//     Messages name URLs without their queries.
//   - The attempt's context ends: the connection is closed, which is all that HTTP has to say that nobody waits.
//   - Save fails: the same, and Interrupted.
//
// # Not promised
//
// A request that has been sent cannot be taken back, and what a server does after its connection is closed is its own
// business: use the fence. A body of more than 16 MiB is not read to its end; its status counts.
package httpcall
