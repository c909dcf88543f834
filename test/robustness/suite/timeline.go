package suite

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

//go:embed timeline.html
var timelinePage string

// The measures of the page, in pixels.
const (
	perSecond  = 12 // at least
	pageWidth  = 1250
	rowHeight  = 15
	lateHeight = 260
	headHeight = 24
)

// row is a line of the page.
type row struct {
	Y     int
	Label string
	Bars  []bar
	// Paths are many small bars of one class each.
	Paths []path
}

type bar struct {
	X, Width           float64
	Class, Text, Title string
}

type path struct{ Class, D string }

// drawing is what the template draws.
type drawing struct {
	*Verdict
	Rows   []row
	Width  float64
	Height int
	Late   int // where lateness begins
	Marks  []mark
	Levels []mark // of lateness
	Points []path
	Began  time.Time

	x      func(time.Time) float64
	origin time.Time
	until  time.Time
}

type mark struct {
	At   float64
	Text string
}

// timeline draws a history.
func timeline(v *Verdict, x *checker.Index, occurrences []checker.Occurrence) ([]byte, error) {
	d := &drawing{Verdict: v, Height: headHeight, origin: x.Began, until: x.Ended}
	d.Began = d.origin.UTC()
	long := max(d.until.Sub(d.origin).Seconds(), 1)
	scale := max(perSecond, pageWidth/long)
	d.Width = long*scale + 20
	d.x = func(at time.Time) float64 { return math.Round(at.Sub(d.origin).Seconds()*scale*10) / 10 }
	for s := 0.0; s < long; s += 10 {
		d.Marks = append(d.Marks, mark{s * scale, fmt.Sprintf("%gs", s)})
	}
	d.faults(x.History)
	d.terms(x.Candidates())
	d.nodes(x)
	d.runs(x.History)
	d.lateness(occurrences)
	var page bytes.Buffer
	t, err := template.New("timeline").Funcs(template.FuncMap{"round": round, "add": func(a, b int) int { return a + b }}).Parse(timelinePage)
	if err != nil {
		return nil, err
	}
	err = t.Execute(&page, d)
	return page.Bytes(), err
}

// line adds a row.
func (d *drawing) line(label string, bars []bar, paths ...path) {
	d.Rows = append(d.Rows, row{Y: d.Height, Label: label, Bars: bars, Paths: paths})
	d.Height += rowHeight
}

func (d *drawing) span(class, text, title string, from, to time.Time) bar {
	if to.IsZero() || to.After(d.until) {
		to = d.until
	}
	x := d.x(from)
	return bar{X: x, Width: max(d.x(to)-x, 2), Class: class, Text: text, Title: fmt.Sprintf("%s, %s", title, round(to.Sub(from)))}
}

func (d *drawing) faults(h *checker.History) {
	faults := storms(h)
	for _, name := range Names() {
		var bars []bar
		for _, f := range faults {
			if f.Kind == name {
				bars = append(bars, d.span("fault", "", name+" "+f.Target, f.From, f.To))
			}
		}
		if len(bars) > 0 {
			d.line(name, bars)
		}
	}
}

// terms are who held the scheduler role: of the candidates that are there, the one whose key is the oldest.
func (d *drawing) terms(candidates []checker.Span) {
	var bars []bar
	since := d.origin
	for _, c := range candidates {
		if c.Began.After(since) {
			bars = append(bars, d.term("", since, c.Began))
			since = c.Began
		}
		until := c.Ended
		if until.IsZero() {
			until = d.until
		}
		if until.After(since) { // else it was gone before its turn came
			bars = append(bars, d.term(c.What, since, until))
			since = until
		}
	}
	if d.until.After(since) {
		bars = append(bars, d.term("", since, d.until))
	}
	d.line("scheduler", bars)
}

func (d *drawing) term(name string, from, to time.Time) bar {
	if name == "" {
		return d.span("nobody", "", "nobody leads", from, to)
	}
	return d.span(fmt.Sprintf("node%d", slices.Index(names, name)), name, name+" leads", from, to)
}

// nodes are their sessions, and what was done to them.
func (d *drawing) nodes(x *checker.Index) {
	for i, name := range names {
		var bars []bar
		for _, life := range x.Nodes() {
			if life.Key == name {
				bars = append(bars, d.span(fmt.Sprintf("node%d", i), "", "session of "+name, life.Began, life.Ended))
			}
		}
		for _, f := range x.Faults {
			if f.Target == name && slices.Contains([]string{checker.FaultKill, checker.FaultStop, checker.FaultTerminate}, f.Kind) {
				bars = append(bars, d.span(f.Kind, "", f.Kind+" "+name, f.From, f.To))
			}
		}
		d.line(name, bars)
	}
}

// runs are the effects of each task, by what became of the attempt.
func (d *drawing) runs(h *checker.History) {
	type attempt struct {
		run string
		n   int
		f   int64
	}
	type effect struct {
		from, to time.Time
		last     string
	}
	effects := map[string]map[attempt]*effect{} // by row
	place := func(task string) string {
		_, name, _ := strings.Cut(task, "/")
		if strings.HasPrefix(name, "churn-") {
			return "churn"
		}
		return name
	}
	saw := func(task string, a attempt, event string, at time.Time) {
		in := effects[place(task)]
		if in == nil {
			in = map[attempt]*effect{}
			effects[place(task)] = in
		}
		if in[a] == nil {
			in[a] = &effect{from: at}
		}
		in[a].to, in[a].last = at, event
	}
	for _, e := range h.Effects {
		saw(e.Task, attempt{e.Task + e.Run, e.Attempt, e.Fence}, e.Event, e.At())
	}
	for _, j := range h.Jobs {
		if !j.Suspended && j.Event != checker.JobDeleted {
			event := j.Event
			if event == checker.JobFinished && j.Succeeded {
				event = checker.EffectEnd
			}
			saw(j.Task, attempt{j.UID, j.Attempt, 0}, event, j.Time)
		}
	}
	var rows []string
	for name := range effects {
		rows = append(rows, name)
	}
	slices.Sort(rows)
	for _, name := range rows {
		drawn := map[string]*strings.Builder{"ok": {}, "again": {}, "cut": {}}
		for a, e := range effects[name] {
			class := "ok"
			switch {
			case e.last != checker.EffectEnd:
				class = "cut"
			case a.n > 1:
				class = "again"
			}
			x := d.x(e.from)
			fmt.Fprintf(drawn[class], "M%.1f %dh%.1f", x, d.Height+rowHeight/2, max(d.x(e.to)-x, 1))
		}
		d.line(name, nil, path{"ok", drawn["ok"].String()}, path{"again", drawn["again"].String()}, path{"cut", drawn["cut"].String()})
	}
}

// lateness is a point for each occurrence that began, at the time at which it was due.
func (d *drawing) lateness(occurrences []checker.Occurrence) {
	d.Height += headHeight
	d.Late = d.Height
	const least, most = 0.001, 100.0 // seconds
	y := func(late time.Duration) float64 {
		of := math.Log(min(max(late.Seconds(), least), most)/least) / math.Log(most/least)
		return math.Round(10*(float64(d.Late)+lateHeight*(1-of))) / 10
	}
	for _, level := range []time.Duration{
		time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second, 100 * time.Second,
	} {
		d.Levels = append(d.Levels, mark{y(level), level.String()})
	}
	drawn := map[string]*strings.Builder{"ok": {}, "again": {}, "waited": {}, "bad": {}}
	for _, o := range occurrences {
		class := "ok"
		switch {
		case o.Lost() || o.Twice():
			class = "bad"
		case o.Starts == 0:
			continue
		case o.Waited:
			class = "waited"
		case o.Starts > 1:
			class = "again"
		}
		late := o.Late()
		if o.Starts == 0 {
			late = most * time.Second
		}
		fmt.Fprintf(drawn[class], "M%.1f %.1fh2", d.x(o.Due), y(late))
	}
	for _, class := range []string{"waited", "ok", "again", "bad"} {
		d.Points = append(d.Points, path{class, drawn[class].String()})
	}
	d.Height += lateHeight + headHeight
}
