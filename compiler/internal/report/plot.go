package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/zkllmc/zkllmc/internal/cost"
)

// Plots are SVG whose places across are percentages, so that they fit any screen with letters of one size, and whose places down are pixels.

// percent is x as a part of all, for an attribute of SVG.
func percent(x, all float64) string {
	if all <= 0 {
		return "0%"
	}
	return fmt.Sprintf("%.2f%%", 100*x/all)
}

// stagePlot compares the stages of a proof: what is predicted, of one core, and what runs took.
type stagePlot struct {
	Predicted bool
	Runs      []string // what the bars behind the predicted one are
	Stages    []stageRow
	Total     stageRow
}

// stageRow is a stage with its bars.
type stageRow struct {
	Name string
	Bars []bar
}

// bar is a number, drawn as part of the greatest.
type bar struct {
	Class int
	Width string
	Text  string
	Empty bool // there is no such number
}

// stagesOf plots the stages of proofs, and those of setups where any was measured.
func stagesOf(m *Model) (proof, setup *stagePlot) {
	work := cost.Of(m.Circuit)
	var proofs, setups []*Measured
	for _, r := range m.Runs {
		if r.Work == nil {
			setups = append(setups, r)
			continue
		}
		work = *r.Work // of a shorter circuit, perhaps
		proofs = append(proofs, r)
	}
	proof = plotStages(m.Rates.Proof(&work), proofs)
	if len(setups) > 0 {
		setup = plotStages(nil, setups)
	}
	return proof, setup
}

// plotStages draws predictions, if there are any, and runs.
func plotStages(predicted []cost.Phase, runs []*Measured) *stagePlot {
	p := &stagePlot{Predicted: predicted != nil}
	var names []string
	times := map[string][]float64{} // of a stage: what is predicted, then by run, −1 where there is nothing
	of := func(name string) []float64 {
		if times[name] == nil {
			names = append(names, name)
			times[name] = make([]float64, 1+len(runs))
			for i := range times[name] {
				times[name][i] = -1
			}
		}
		return times[name]
	}
	for i, r := range runs {
		name := "measured"
		if len(runs) > 1 {
			name = fmt.Sprintf("measured %d", i+1)
		}
		p.Runs = append(p.Runs, name)
		for _, s := range r.Stages {
			t := of(s.Name)
			if t[1+i] = s.CPU; s.CPU == 0 {
				t[1+i] = s.Seconds // where the system does not tell
			}
		}
	}
	for _, s := range predicted {
		of(s.Name)[0] = s.Seconds
	}
	most, total := 0.0, make([]float64, 1+len(runs))
	for i := range total {
		total[i] = -1
	}
	for _, name := range names {
		for i, x := range times[name] {
			if most = max(most, x); x >= 0 {
				total[i] = max(total[i], 0) + x
			}
		}
	}
	skip := 0
	if predicted == nil {
		skip = 1
	}
	row := func(name string, t []float64) stageRow {
		r := stageRow{Name: name}
		for i, x := range t[skip:] {
			r.Bars = append(r.Bars, bar{i + skip, percent(max(x, 0), most), seconds(max(x, 0)), x < 0})
		}
		return r
	}
	for _, name := range names {
		p.Stages = append(p.Stages, row(name, times[name]))
	}
	p.Total = row("all", total)
	return p
}

// plot is a diagram of columns, one per layer.
type plot struct {
	Height, Foot float64 // pixels: of the columns, and with their names
	Ticks        []tick
	Columns      []column
	Legend       []string
}

type tick struct {
	Y     float64
	Text  string
	TextY float64
}

type column struct {
	X, Width, Middle string
	Segments         []segment
	Label            string
	Title            string
}

type segment struct {
	Y, Height float64
	Class     int
}

const plotHeight = 180

// newPlot makes the frame of a plot of n columns up to most; text writes a number.
func newPlot(most float64, text func(float64) string) *plot {
	p := &plot{Height: plotHeight, Foot: plotHeight + 22}
	step := niceStep(most / 4)
	for i := 1; step > 0 && float64(float64(i)*step) <= most; i++ {
		y := round(plotHeight - float64(plotHeight*float64(float64(i)*step))/most)
		p.Ticks = append(p.Ticks, tick{y, text(float64(float64(i) * step)), y - 3})
	}
	return p
}

// niceStep is the least of 1, 2 and 5 times a power of ten that is not below x.
func niceStep(x float64) float64 {
	if x <= 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0
	}
	power := 1.0
	for ; float64(power*10) <= x; power = float64(power * 10) {
	}
	for ; power > x; power /= 10 {
	}
	for _, f := range []float64{1, 2, 5} {
		if float64(f*power) >= x {
			return float64(f * power)
		}
	}
	return float64(10 * power)
}

// round is to a tenth of a pixel.
func round(x float64) float64 { return math.Round(float64(x*10)) / 10 }

// add appends a column of n: heights of its segments in the unit of most.
func (p *plot) add(n int, most float64, label, title string, parts ...float64) {
	i := len(p.Columns)
	every := (n + 11) / 12
	c := column{
		X: fmt.Sprintf("%.3f%%", float64((float64(i)+0.12)/float64(n)*100)), Width: fmt.Sprintf("%.3f%%", 76/float64(n)),
		Middle: fmt.Sprintf("%.3f%%", float64((float64(i)+0.5)/float64(n)*100)), Title: title,
	}
	if i%every == 0 {
		c.Label = label
	}
	y := float64(plotHeight)
	for class, x := range parts {
		if most > 0 && x > 0 {
			h := float64(plotHeight*x) / most
			y -= h
			c.Segments = append(c.Segments, segment{round(y), max(round(h), 0.1), class})
		}
	}
	p.Columns = append(p.Columns, c)
}

// tag is a layer's name below a column.
func tag(layer string) string {
	switch {
	case ours(layer):
		return strings.TrimPrefix(layer, "layer")
	case layer == before:
		return "in"
	case layer == behind:
		return "out"
	}
	const most = 6
	if r := []rune(layer); len(r) > most {
		return "…" + string(r[len(r)-most+1:])
	}
	return layer
}

// costs plots what every layer adds to the stages of a proof.
func costs(d *division, r *cost.Rates) *plot {
	layers := d.layers()
	most := 0.0
	for _, l := range layers {
		most = max(most, r.Part(&l.Work))
	}
	p := newPlot(most, seconds)
	for _, l := range layers {
		var parts []float64
		title := fmt.Sprintf("%s: %s", l.Name, seconds(r.Part(&l.Work)))
		p.Legend = nil
		for _, s := range r.Parts(&l.Work) {
			if s.Name == "final argument" { // no layer adds to it
				continue
			}
			parts = append(parts, s.Seconds)
			p.Legend = append(p.Legend, s.Name)
			title += fmt.Sprintf("\n%s %s", s.Name, seconds(s.Seconds))
		}
		p.add(len(layers), most, tag(l.Name), title, parts...)
	}
	return p
}

// noises plots the noise at the end of every layer, and that which its worst place adds; nil where nothing was compared.
func noises(rows []row) *plot {
	most, n := 0.0, 0
	for _, r := range rows {
		if r.Worst != nil {
			most = max(most, r.Noise)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	p := newPlot(most, noise)
	for _, r := range rows {
		if r.Worst != nil {
			p.add(n, most, tag(r.Name), fmt.Sprintf("%s: noise %s at its end\nmost is added at %s: %s", r.Name, noise(r.Noise), r.Worst.Tensor, noise(r.Worst.Lost)), r.Noise)
		}
	}
	return p
}
