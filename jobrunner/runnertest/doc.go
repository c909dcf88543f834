// Package runnertest is what every jobrunner.Runner must do, as a test: the runners of this module pass it, and an
// embedder's own should.
//
// The suite knows a runner by its [Subject]: how to make one, a task of each [Kind], and two questions about effects. The
// effect of an attempt is what the runner makes happen: a process, a request that is being answered, a function call, a
// Job. Started counts how often it began, Live says whether it is there now; both are asked from outside of the runner,
// of the process table, the server, the cluster.
//
// What it checks, each with a runner of its own:
//
//   - success has no reason; failure has a reason and a message;
//   - an attempt whose context ended before, or whose deadline has passed, starts nothing;
//   - cancel and timeout end the effect before Run returns, and say so;
//   - a lost session and a node that drains end it too (or leave it alone, on record, see Subject.Detached), and the
//     attempt is Interrupted; a drain whose time is up is not held up by an attempt that is being ended;
//   - what a first instance of the runner began, or was about to begin, is taken over by a second one, by adoption or by
//     another attempt, and nothing is there twice;
//   - Save follows the effect, ends the attempt when it fails, and leaves alone what the record says besides;
//   - what an attempt writes is in its log while it runs and afterwards, and the end of it in its output (see Subject.Says),
//     however much it is;
//   - an attempt that fails for good, or that is worth another one, says so, where the runner has a task that can;
//   - attempts side by side do not disturb each other;
//   - a wish to cancel that comes as the effect begins is not lost;
//   - the effect is told who it is, and its params, where [Subject.Told] can say so.
//
// A runner of an embedder's own is tested like this, with what its effects are to the world outside in Started and Live:
//
//	func TestConformance(t *testing.T) {
//		runnertest.Run(t, runnertest.Subject{
//			New:     func(testing.TB) jobrunner.Runner { return mine.New() },
//			Task:    func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task { return taskOf(kind) },
//			Started: func(run jobrunner.Run) int { return world.Started(run.ID) },
//			Live:    func(run jobrunner.Run) bool { return world.Live(run.ID) },
//		})
//	}
//
// The tests of this package have two runners of a page each that pass, and break them in all the ways that the suite is to
// find.
//
// It does not kill the node: a runner whose effects are outside of the node's process needs tests of its own for that.
package runnertest
