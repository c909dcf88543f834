package bench

import (
	"math"
	"slices"
	"time"
)

// Quantile is a point of the distribution of lateness: the share of effects that were no later than Ms.
type Quantile struct {
	Share float64
	Ms    float64
}

// Moment is what happened in a part of the load: how many effects a second, and how late they were.
type Moment struct {
	// From and To are seconds since the first occurrence was due.
	From, To   float64
	PerSecond  float64
	LatenessMs Lateness // zero when there were none
}

const (
	// quantilesADecade is how many quantiles there are from one nine to the next.
	quantilesADecade = 16
	// moments is into how many parts the load is divided, where each has enoughEffects on average.
	moments       = 60
	enoughEffects = 50
)

// quantiles are those of all that was noted, closer together the nearer they are to the latest.
func (e *effects) quantiles() []Quantile {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.late) == 0 {
		return nil
	}
	late := slices.Clone(e.late)
	slices.Sort(late)
	n := len(late)
	var points []Quantile
	for i := 0; ; i++ {
		share := 1 - math.Pow(10, -float64(i)/quantilesADecade)
		if share >= 1-1/float64(n) {
			return append(points, Quantile{1, milliseconds(late[n-1])})
		}
		points = append(points, Quantile{share, milliseconds(late[int(share*float64(n))])})
	}
}

// timeline divides the time from when the first was due until the last effect.
func (e *effects) timeline() []Moment {
	e.mu.Lock()
	defer e.mu.Unlock()
	length := e.last.Sub(e.from)
	if len(e.late) == 0 || length <= 0 {
		return nil
	}
	parts := max(1, min(moments, len(e.late)/enoughEffects))
	in := make([][]time.Duration, parts)
	for i, late := range e.late {
		part := int(int64(e.at[i]) * int64(parts) / int64(length))
		part = max(0, min(part, parts-1))
		in[part] = append(in[part], late)
	}
	width := length.Seconds() / float64(parts)
	timeline := make([]Moment, parts)
	for i, late := range in {
		timeline[i] = Moment{
			From: float64(i) * width, To: float64(i+1) * width, PerSecond: float64(len(late)) / width, LatenessMs: latenessOf(late),
		}
	}
	return timeline
}
