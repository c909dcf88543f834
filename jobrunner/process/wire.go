package process

import "time"

// protocol is what the guard calls itself when it is ready: a program that is not a guard is noticed by it.
const protocol = "nightwatch-guard/3"

// request is a line from the node to the guard; exactly one field is set.
type request struct {
	Start *startRequest `json:"start,omitempty"`
	End   *endRequest   `json:"end,omitempty"`
	Beat  *beat         `json:"beat,omitempty"`
	Took  *tookRequest  `json:"took,omitempty"`
}

// startRequest starts an attempt. Deadline is a time of the boot clock, in nanoseconds.
type startRequest struct {
	ID       int64         `json:"id"`
	Path     string        `json:"path"`
	Args     []string      `json:"args"`
	Env      []string      `json:"env"`
	Dir      string        `json:"dir,omitempty"`
	Stdin    []byte        `json:"stdin,omitempty"`
	As       *credential   `json:"as,omitempty"`
	Umask    *int          `json:"umask,omitempty"`
	Limits   limits        `json:"limits,omitzero"`
	Grace    time.Duration `json:"grace"`
	Deadline int64         `json:"deadline"`
	// Secrets are texts that Output and Wrote of its events do not have.
	Secrets []string `json:"secrets,omitempty"`
}

// endRequest ends an attempt: SIGTERM, grace, SIGKILL; with no grace SIGKILL at once. A later one can only shorten.
type endRequest struct {
	ID    int64         `json:"id"`
	Grace time.Duration `json:"grace"`
}

// tookRequest says how many more bytes of an attempt's output the node has taken.
type tookRequest struct {
	ID    int64 `json:"id"`
	Bytes int   `json:"bytes"`
}

// beat carries the newest deadlines of attempts; each is answered by a pong.
type beat struct {
	Deadlines map[int64]int64 `json:"deadlines"`
}

// event is a line from the guard to the node. An attempt gets one of Refused and Late, or Started and Exited, with all
// that it wrote before the latter.
type event struct {
	Ready string `json:"ready,omitempty"`
	// Rooms comes with Ready: the control groups that hold all that the guard will start.
	Rooms   []string `json:"rooms,omitempty"`
	Pong    bool     `json:"pong,omitempty"`
	ID      int64    `json:"id,omitempty"`
	Started int      `json:"started,omitempty"`
	Refused string   `json:"refused,omitempty"`
	// Late says that the deadline had passed, or the pipe was closed, before the start.
	Late   bool  `json:"late,omitempty"`
	Exited *exit `json:"exited,omitempty"`
	// Wrote is the next piece of what the attempt wrote, Dropped how many bytes before it were dropped.
	Wrote   []byte `json:"wrote,omitempty"`
	Dropped int64  `json:"dropped,omitempty"`
}

// exit says how the first process of an attempt ended, once nothing of its tree is left.
type exit struct {
	Code   int    `json:"code"`
	Signal int    `json:"signal,omitempty"`
	Output string `json:"output,omitempty"`
	By     string `json:"by"`
	// Refused says why the program itself was never executed.
	Refused string `json:"refused,omitempty"`
	// OOM says that the kernel killed something for want of the memory that Limits left to it.
	OOM   bool  `json:"oom,omitempty"`
	Usage usage `json:"usage"`
}

// usage is what an attempt used. MaxRSS is 0 when it is not known.
type usage struct {
	User, System time.Duration
	MaxRSS       int64
	LimitedBy    string
}

// Values of exit.By: what ended the first process.
const (
	byItself   = "itself"
	byRequest  = "request"
	byDeadline = "deadline"
	byClose    = "close"
)

// bootDeadline is deadline on the boot clock. The clock is read before the time that is left: whatever delays this
// in between makes the answer too early, never too late.
func bootDeadline(deadline time.Time) int64 {
	now := bootNow()
	left := min(max(time.Until(deadline), -time.Hour), 24*time.Hour)
	return now + int64(left)
}
