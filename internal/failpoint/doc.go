// Package failpoint builds programs of this module with their crash points switched on, and holds processes at them.
//
// # Crash points
//
// A crash point is a comment that stands where the death of the process is worth a test:
//
//	// gofail: var afterClaim struct{}
//
// To the compiler it is a comment. [Build] has gofail, which test/gofail pins, turn such comments into code, in copies
// that the go tool takes in the place of the files (go build -overlay): the checkout is never written to. The names are
// one namespace for the whole module. The comment lines right below such a line would become code as well: none may
// stand there.
//
//	beforeClaim            a run is this node's to claim
//	afterClaim             it is claimed, nothing has been started
//	kubernetesBeforeCreate the deadline was asked for, the request to create the Job is not sent
//	kubernetesAfterCreate  the Job exists, the record has no uid
//	beforeSave             the effect exists; the write that records it, or its end, and frees the task is not sent
//	afterSave              the record has changed in mid-run
//	afterEffect            the effect has ended, the record does not say so
//	afterFinish            the record is terminal
//	schedulerBeforeCommit  the scheduler has decided on a task, the transaction is not sent
//	schedulerAfterCommit   it is done, the scheduler has not gone on
//
// Two points take a value, and have code below them on purpose:
//
//	schedulerClock         milliseconds by which the clock is off that says what is due
//	jobrunnerClock         the same for the clock by which records say when something happened
//
// # Processes
//
// A process that was started with the environment of [Points] listens for what to do at its points. [Points.Hold] has
// whoever comes there wait for as long as any test lasts, and with it everybody who comes to the same point later, while
// the rest of the process goes on. There it can be killed, or stopped: what is killed there has died exactly between
// two effects.
package failpoint
