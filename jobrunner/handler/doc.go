// Package handler runs tasks as Go functions of the program that embeds a node: the runner "handler".
//
// # Parties
//
// The program registers functions by name; the node announces the names that are not switched off, and the scheduler gives it runs of tasks that ask
// for one of them. The [Runner] calls the function on a goroutine of its own, with a context that ends when the attempt
// has to: by cancel, by the task's timeout, when the session is lost, when the node stops. context.Cause says which, as
// one of the errors of package jobrunner. The function returns nil for success. [Typed] makes one of a function that
// wants its params as a struct.
//
// # What a function is told, and what it can say
//
// Its jobrunner.Run says which attempt of which run of which task it is, for what nominal time, and with what fence and
// idempotency key. By the methods of it the function reports progress and sets a result, which the run's record shows,
// and saves a checkpoint for the attempt that follows should this one not end well. They may be called from any
// goroutine, until the function has returned; later they have no effect, and those that return an error say so.
//
// A checkpoint that was saved before a node was lost is there for the next attempt, on whatever node. What the function
// did after it, it does again: let the work between two checkpoints be such that this does no harm.
//
// # Failures
//
//   - The function returns an error: Failed, HandlerError, with its text, which the log has as well.
//   - It panics, or ends its goroutine by runtime.Goexit: Failed, Panic; the output is the beginning of the stack from the
//     panic on, all of which is in the run's log and the node's. The node goes on. A panic on another goroutine that the function started ends the program, as always in Go.
//   - Its params are not what [Typed] takes: Failed, StartRefused, and no other attempt follows.
//   - Nobody has registered the name, any more, or it is switched off: Failed, StartRefused. The scheduler knows a node's handlers from its
//     record, which may be a moment old.
//   - The record cannot be written because the run is another session's by now: the context ends with ErrSessionLost,
//     Interrupted.
//
// # Not promised
//
// Nobody can end a goroutine from outside. A function that goes on for longer than [Runner.Grace] after its context ended
// is left behind: the attempt is reported as the context says, another may begin, and this one acts beside it until it
// returns. Code for which that matters looks at its context, or hands the fence to what it writes to.
package handler
