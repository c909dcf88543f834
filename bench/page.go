package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"runtime"
	"slices"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is what the template shows.
type page struct {
	*Report
	Offered   string
	Machine   string
	Tiles     []tile
	Shares    []comparison
	Quantiles *plot
	Rates     *plot
	Late      *plot
	Costs     []comparison
}

// tile is one figure in large letters.
type tile struct{ Name, Value, More string }

// comparison is two bars on one scale of their own: what would be possible, and what was.
type comparison struct {
	Name             string
	Bare, Found      string // the figures
	BarePart, Part   float64
	BareName, IsName string
}

// WriteHTML writes the report as one page with its plots inside: it has no script, and loads nothing.
func (r *Report) WriteHTML(out io.Writer) error {
	p := page{
		Report: r, Offered: r.Offered(), Machine: fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Tiles: r.tiles(), Shares: r.shares(), Costs: r.costs(),
	}
	if len(r.Quantiles) > 0 {
		p.Quantiles = r.quantilePlot()
	}
	if len(r.Timeline) > 0 {
		p.Rates, p.Late = r.ratePlot(), r.latePlot()
	}
	return pageTemplate.Execute(out, p)
}

// Offered says in words what load it was.
func (r *Report) Offered() string {
	load := "all due at one moment"
	if r.Rate > 0 {
		load = fmt.Sprintf("%g runs a second", r.Rate)
	}
	return fmt.Sprintf("%d tasks, %s, on %d node(s), runner %s", r.Tasks, load, r.Nodes, r.Runner)
}

func (r *Report) tiles() []tile {
	lost := "none missed, none twice"
	if r.Missed+r.Duplicated > 0 {
		lost = fmt.Sprintf("%d missed, %d twice", r.Missed, r.Duplicated)
	}
	return []tile{
		{"Runs", grouped(float64(r.Runs)), lost},
		{"Runs a second", trimmed(r.RunsPerSecond), trimmed(100*r.Efficiency) + "% of etcd's ceiling"},
		{"Lateness, p50", span(r.LatenessMs.P50), "half of all runs"},
		{"Lateness, p99", span(r.LatenessMs.P99), "max " + span(r.LatenessMs.Max)},
		{"CPU for 1,000 runs", trimmed(r.CPUSecondsPerThousand) + " s", fmt.Sprintf("bench and its nodes; %d MiB at most", r.MaxRSSBytes>>20)},
	}
}

// compare puts two figures on one scale.
func compare(name, bareName, isName string, bare, found float64, show func(float64) string) comparison {
	most := max(bare, found)
	return comparison{
		Name: name, BareName: bareName, IsName: isName, Bare: show(bare), Found: show(found), BarePart: 100 * bare / most, Part: 100 * found / most,
	}
}

func (r *Report) shares() []comparison {
	if r.RunsPerSecond == 0 {
		return nil
	}
	perSecond := func(v float64) string { return trimmed(v) + "/s" }
	all := []comparison{compare("Runs", "etcd alone", "recorded", r.CeilingPerSecond, r.RunsPerSecond, perSecond)}
	if j := r.Kubernetes; j != nil && j.JobsPerSecond > 0 {
		all = append(all, compare("Jobs", "bare creates", "created", j.CeilingPerSecond, j.JobsPerSecond, perSecond))
	}
	return all
}

func (r *Report) costs() []comparison {
	if r.KeysPerRun == 0 {
		return nil
	}
	requests, keys, bytes := bareCost()
	return []comparison{
		compare("Requests", "bare", "run", requests, r.RequestsPerRun, trimmed),
		compare("Keys", "bare", "run", keys, r.KeysPerRun, trimmed),
		compare("Bytes", "bare", "run", bytes, r.BytesPerRun, trimmed),
	}
}

// quantilePlot has a place for each further nine, so that the rare late ones show.
func (r *Report) quantilePlot() *plot {
	last := r.Quantiles[len(r.Quantiles)-1]
	nines := max(1, math.Log10(float64(r.Runs)))
	x := across(0, nines)
	y, levels := upwardsLog(max(r.Quantiles[0].Ms, 0.001), max(last.Ms, 0.01))
	p := &plot{About: fmt.Sprintf("Lateness by percentile: p50 %s, p99 %s, max %s", span(r.LatenessMs.P50), span(r.LatenessMs.P99), span(last.Ms)), XLabel: "share of runs that were no later", Y: levels}
	for _, t := range []struct {
		share float64
		label string
	}{{0, "earliest"}, {0.5, "50%"}, {0.9, "90%"}, {0.99, "99%"}, {0.999, "99.9%"}, {0.9999, "99.99%"}} {
		if at := -math.Log10(1 - t.share); at <= nines-0.25 {
			p.X = append(p.X, tick{x(at), t.label})
		}
	}
	p.X = append(p.X, tick{x(nines), "latest"})
	var points [][2]float64
	for _, q := range r.Quantiles {
		at := nines
		if q.Share < 1 {
			at = min(-math.Log10(1-q.Share), nines)
		}
		points = append(points, [2]float64{x(at), y(q.Ms)})
	}
	p.Lines = []line{lined("first", span(last.Ms), points)}
	return p
}

func (r *Report) ratePlot() *plot {
	end := r.Timeline[len(r.Timeline)-1].To
	most := r.Rate
	for _, m := range r.Timeline {
		most = max(most, m.PerSecond)
	}
	x, y := across(0, end), upwards(0, most*1.05)
	p := &plot{
		About: fmt.Sprintf("Runs a second over %.3g s: %s at most", end, trimmed(most)), XLabel: "seconds since the first was due",
		X: ticks(end, 8, x, plain), Y: ticks(most*1.05, 4, y, trimmed),
	}
	for _, m := range r.Timeline {
		p.Bars = append(p.Bars, bar{
			X: x(m.From) + 0.5, Y: y(m.PerSecond), Width: max(x(m.To)-x(m.From)-1, 0.5), Height: y(0) - y(m.PerSecond),
			Tip: fmt.Sprintf("%.3g s to %.3g s: %s/s", m.From, m.To, trimmed(m.PerSecond)),
		})
	}
	if r.Rate > 0 {
		p.Level, p.Leveled = y(r.Rate), "offered"
	}
	return p
}

func (r *Report) latePlot() *plot {
	end := r.Timeline[len(r.Timeline)-1].To
	low, high := math.Inf(1), 0.01
	for _, m := range r.Timeline {
		if m.LatenessMs != (Lateness{}) {
			low, high = min(low, max(m.LatenessMs.P50, 0.001)), max(high, m.LatenessMs.Max)
		}
	}
	x := across(0, end)
	y, levels := upwardsLog(min(low, high), high)
	p := &plot{
		About:  fmt.Sprintf("Lateness over time: between %s at the median and %s at most", span(low), span(high)),
		XLabel: "seconds since the first was due", X: ticks(end, 8, x, plain), Y: levels,
	}
	var lines []line
	for _, series := range []struct {
		class, label string
		of           func(Lateness) float64
	}{
		{"first", "p50", func(l Lateness) float64 { return l.P50 }},
		{"second", "p99", func(l Lateness) float64 { return l.P99 }},
		{"third", "max", func(l Lateness) float64 { return l.Max }},
	} {
		var points [][2]float64
		for _, m := range r.Timeline {
			if m.LatenessMs != (Lateness{}) {
				points = append(points, [2]float64{x((m.From + m.To) / 2), y(series.of(m.LatenessMs))})
			}
		}
		lines = append(lines, lined(series.class, series.label, points))
	}
	p.Lines = spread(lines)
	slices.Reverse(p.Lines) // what there is most of is drawn over the rest
	return p
}

func plain(v float64) string { return fmt.Sprintf("%.4g", v) }
