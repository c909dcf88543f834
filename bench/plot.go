package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Sizes of a plot in the units of its SVG; the page scales it.
const (
	plotWidth  = 720
	plotHeight = 260
	plotLeft   = 64 // room for what stands at the axes
	plotRight  = 56
	plotTop    = 14
	plotBottom = 40
)

// plot is a drawing with two axes, as the page's template takes it.
type plot struct {
	About  string // for who cannot see it
	XLabel string
	X, Y   []tick
	Lines  []line
	Bars   []bar
	// Level is a horizontal line, with what it says; none when it says nothing.
	Level   float64
	Leveled string
}

// tick is a labeled place on an axis.
type tick struct {
	At    float64
	Label string
}

// line is a series: an SVG path, and a label at its end.
type line struct {
	Class, Path, Label string
	LabelX, LabelY     float64
}

// bar is a rectangle with a tooltip.
type bar struct {
	X, Y, Width, Height float64
	Tip                 string
}

// Edges of the drawing proper, for the template.
func (plot) Width() int  { return plotWidth }
func (plot) Height() int { return plotHeight }
func (plot) Left() int   { return plotLeft }
func (plot) Right() int  { return plotWidth - plotRight }
func (plot) Top() int    { return plotTop }
func (plot) Bottom() int { return plotHeight - plotBottom }
func (plot) Middle() int { return (plotLeft + plotWidth - plotRight) / 2 }

// scale maps values to places.
type scale func(float64) float64

func across(from, to float64) scale { return linear(from, to, plotLeft, plotWidth-plotRight) }
func upwards(from, to float64) scale {
	return linear(from, to, plotHeight-plotBottom, plotTop)
}

func linear(from, to, start, end float64) scale {
	return func(v float64) float64 { return start + (end-start)*(v-from)/(to-from) }
}

// upwardsLog is for lateness: whole decades around what there is.
func upwardsLog(low, high float64) (scale, []tick) {
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if first == last {
		last++
	}
	up := upwards(first, last)
	of := func(v float64) float64 { return up(math.Log10(max(v, low))) }
	var ticks []tick
	for d := first; d <= last; d++ {
		for _, times := range []float64{1, 2, 5} {
			v := times * math.Pow(10, d)
			if at := math.Log10(v); times == 1 || last-first <= 2 && at < last {
				ticks = append(ticks, tick{up(at), span(v)})
			}
		}
	}
	return of, ticks
}

// ticks are round values from 0 up to most, about as many as asked for.
func ticks(most float64, about int, at scale, label func(float64) string) []tick {
	step := roundStep(most / float64(about))
	var all []tick
	for i := 0; ; i++ {
		v := float64(i) * step
		if v > most*1.0001 {
			return all
		}
		all = append(all, tick{at(v), label(v)})
	}
}

// roundStep is 1, 2 or 5 times a power of ten, no less than what is asked for.
func roundStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, times := range []float64{1, 2, 5} {
		if times*power >= least {
			return times * power
		}
	}
	return 10 * power
}

// path draws a line through points.
func path(points [][2]float64) string {
	var b strings.Builder
	for i, p := range points {
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", command, p[0], p[1])
	}
	return b.String()
}

// lined is a series of points with its label behind the last.
func lined(class, label string, points [][2]float64) line {
	if len(points) == 0 {
		return line{}
	}
	end := points[len(points)-1]
	return line{Class: class, Path: path(points), Label: label, LabelX: end[0] + 6, LabelY: end[1] + 4}
}

// spread moves labels apart that would cover each other.
func spread(lines []line) []line {
	const apart = 14
	for i := 1; i < len(lines); i++ { // from the lowest in value, which is the lowest on the page, upwards
		if lines[i].LabelY > lines[i-1].LabelY-apart {
			lines[i].LabelY = lines[i-1].LabelY - apart
		}
	}
	return lines
}

// span is a time in milliseconds as people write it.
func span(ms float64) string {
	switch {
	case ms >= 1000:
		return trimmed(ms/1000) + " s"
	case ms >= 0.9995:
		return trimmed(ms) + " ms"
	}
	return trimmed(ms*1000) + " µs"
}

// trimmed has three significant digits, or all before the point.
func trimmed(v float64) string {
	if v >= 100 {
		return grouped(v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// grouped is a whole number with commas.
func grouped(v float64) string {
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
