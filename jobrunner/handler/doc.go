// Package handler runs tasks as Go functions of the program that embeds a node: the runner "handler".
//
// # Parties
//
// The program registers functions by name; the node announces the names, and the scheduler gives it runs of tasks that ask
// for one of them. The [Runner] calls the function on a goroutine of its own, with a context that ends when the attempt
// has to: by cancel, by the task's timeout, when the session is lost, when the node stops. context.Cause says which, as
// one of the errors of package jobrunner. The function returns nil for success.
//
// # Failures
//
//   - The function returns an error: Failed, HandlerError, with its text.
//   - It panics, or ends its goroutine by runtime.Goexit: Failed, Panic, with the end of the stack. The node goes on.
//   - Nobody has registered the name, any more: Failed, StartRefused. The scheduler knows a node's handlers from its
//     record, which may be a moment old.
//   - Save fails: the context ends with ErrSessionLost, Interrupted.
//
// # Not promised
//
// Nobody can end a goroutine from outside. A function that goes on for longer than [Runner.Grace] after its context ended
// is left behind: the attempt is reported as the context says, another may begin, and this one acts beside it until it
// returns. Code for which that matters looks at its context, or hands the fence to what it writes to.
package handler
