// Package runlog keeps what the attempts of a node write, in files or in memory, and gives it back while they write and
// afterwards.
//
// # Files
//
// The log of an attempt is the file <directory>/<namespace>/<task>/<run>.<attempt>.<uid>.log, and its older half the same
// with ".1" behind. A line is a record, in the form that container runtimes use, so that what collects the logs of
// containers can collect these:
//
//	2026-11-20T14:15:00.123456789Z stdout F a line
//	2026-11-20T14:15:01.123456789Z stdout P a piece of a line
//	2026-11-20T14:15:02.123456789Z stderr F nightwatch: 1024 bytes of the log were dropped: …
//
// stdout is what the attempt wrote, stderr what the node has to say of it. The time is when the node was given the first
// byte. A piece (P) is the beginning of a line that is longer than 16 KiB, or that was not ended within a tenth of a
// second; the next record of stdout goes on with it. Bytes are kept as they were written.
//
// # Who waits for whom
//
// Who writes to a log does not wait for the disk: between them is a jobrunner.Spool, which one goroutine a log empties
// into its file. A disk that takes nothing for a second has the oldest output dropped for new one; one that is full, all
// until there is room again. Either way the program goes on, the log says how much is missing, and the node's own log that
// there is something amiss.
//
// # What is kept
//
// A log that has grown to half of [Config.AttemptBytes] is turned over: its older half is dropped, what was written last
// is kept. All logs of a directory together have [Config.TotalBytes], each counted as 4 KiB at least, and none is older
// than [Config.Age]: the oldest of those that nobody writes go first.
//
// # Lives of a node
//
// Files outlive the node's process: the next one on the same directory gives them back. What a process that was killed
// had not written yet is lost; a record that it left cut off ends there. Two processes on one directory do no harm beyond
// that each may drop what the other has finished. In memory, without a directory, there are only the logs of attempts
// that run.
//
// # Not promised
//
// Nothing is synced to disk: a machine that loses power may lose what was written last, and may leave zeros.
package runlog
