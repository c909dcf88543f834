package nightwatch

import "encoding/json"

// Completion is what somebody outside says of an attempt that waits to be told how it ended: the body of the POST to its
// callback's URL.
type Completion struct {
	// Phase is PhaseSucceeded or PhaseFailed.
	Phase Phase `json:"phase,omitempty"`
	// Message is a sentence for people; the record of a failed run has it, clipped, the run's log has it always.
	Message string `json:"message,omitempty"`
	// Result is any JSON of at most MaxResult bytes, for the run's record.
	Result json.RawMessage `json:"result,omitempty"`
	// Retry says, of a failure, whether another attempt is worth it: what Retryable and Permanent say of a handler's
	// error. Default what the task's retry says.
	Retry *bool `json:"retry,omitempty"`
}

// MaxCompletion is the most bytes a Completion may have.
const MaxCompletion = 8 << 10

// ParseCompletion reads a Completion, as strictly as a task. The error is an InvalidError.
func ParseCompletion(value []byte) (*Completion, error) {
	c := new(Completion)
	if err := decodeValueOf(value, c, MaxCompletion); err != nil {
		return nil, err
	}
	var f faults
	switch c.Phase {
	case PhaseSucceeded, PhaseFailed:
	case "":
		f.add("phase", "missing: want Succeeded or Failed")
	default:
		f.add("phase", "%q: want Succeeded or Failed", clip(string(c.Phase)))
	}
	if n := len(c.Result); n > MaxResult {
		f.add("result", "%d bytes of JSON: want at most %d", n, MaxResult)
	}
	if c.Retry != nil && c.Phase == PhaseSucceeded {
		f.add("retry", "goes with phase Failed")
	}
	if len(f) > 0 {
		return nil, f.verdict()
	}
	return c, nil
}
