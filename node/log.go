package node

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// LogRequest asks for what an attempt of a run wrote.
type LogRequest struct {
	// Task is "<namespace>/<task>", Run the run's id.
	Task, Run string
	// Attempt counts from 1; 0 is the newest.
	Attempt int
	// Token is what the run's record says in log.token: who may read the record may read the log, and nobody else.
	Token string
	jobrunner.LogOptions
}

// ErrLogDenied says that there is no run of that name, or that its record has another token.
var ErrLogDenied = errors.New("no such run, or not the token in its record")

// logOpens is how long a log may take to begin after its attempt was claimed.
const logOpens = 5 * time.Second

// ReadLog reads the log of an attempt: lines, each after the time when it was written (time.RFC3339Nano, in UTC) and a
// space. It reads the run's record each time, so that a token is worth something only as long as the record is there.
// It is nightwatch.ErrNotFound that this node has no log of the attempt. The log that is followed ends when the attempt
// ends on this node. Reading ends with ctx at the latest; the caller closes what it is given.
func (n *Node) ReadLog(ctx context.Context, r LogRequest) (io.ReadCloser, error) {
	run, _, err := n.store.Run(ctx, r.Task, r.Run)
	switch {
	case errors.Is(err, nightwatch.ErrNotFound):
		return nil, ErrLogDenied
	case err != nil:
		return nil, err
	case run.Log == nil || run.Log.Token == "" || subtle.ConstantTimeCompare([]byte(run.Log.Token), []byte(r.Token)) != 1:
		return nil, ErrLogDenied
	}
	attempt := r.Attempt
	if attempt == 0 {
		attempt = run.Attempt
	}
	id := jobrunner.LogOf(&run, attempt)
	if reader, ok := n.runners[run.Runner].(jobrunner.LogReader); ok {
		log, err := reader.ReadLog(ctx, &run, attempt, r.LogOptions)
		if err == nil || !errors.Is(err, nightwatch.ErrNotFound) {
			return log, err
		}
		// Of an attempt that did not come so far there may be notes here.
		own, ownErr := n.cfg.Logs.Read(ctx, id, r.LogOptions)
		if ownErr != nil {
			return nil, err
		}
		return own, nil
	}
	log, err := n.cfg.Logs.Read(ctx, id, r.LogOptions)
	if errors.Is(err, nightwatch.ErrNotFound) && n.runs(&run, attempt) {
		// The claim comes first, and then the log.
		opening, cancel := context.WithTimeout(ctx, logOpens)
		_ = n.cfg.Logs.WaitOpen(opening, id)
		cancel()
		log, err = n.cfg.Logs.Read(ctx, id, r.LogOptions)
	}
	if errors.Is(err, nightwatch.ErrNotFound) {
		return nil, fmt.Errorf("node %s keeps no log of attempt %d of run %s: it wrote nothing, or it is too long ago: %w", n.cfg.Name, attempt, r.Run, err)
	}
	return log, err
}

// runs tells whether an attempt of a run is under way in this life of the node.
func (n *Node) runs(run *nightwatch.Run, attempt int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.session != nil && run.Session == n.session.ID() && run.Phase == nightwatch.PhaseRunning && attempt == run.Attempt
}
