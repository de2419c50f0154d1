package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/export"
)

// grown is a model of one size that the curves go through.
var grown = export.Config{Layers: 4, Width: 128, Heads: 4, Vocabulary: 256, Length: 64}

// Curve is what proofs cost as one extent grows.
type Curve struct {
	Name   string // of the extent
	What   string
	Points []Point
	Fits   map[string]Fit // by quantity
}

// Point is what a proof costs where the extent is At.
type Point struct {
	At    int
	Costs map[string]float64
}

// Fit is a power law through the last points: cost = Factor · extent^Exponent; small models are mostly what every proof costs.
type Fit struct{ Factor, Exponent float64 }

// quantities are what curves are of, in this order.
var quantities = []string{"prove, CPU-s", "prove, peak GB", "proof, B", "verify, ms", "lookups", "committed cells"}

// Curves is all that was measured, with the machine of the last point.
type Curves struct {
	Machine Machine
	Load    string // before the last point
	Curves  []Curve
}

// axes are the extents that grow.
func axes() []Curve {
	return []Curve{{Name: "positions", What: fmt.Sprintf("%d layers of width %d", grown.Layers, grown.Width)}, {Name: "layers", What: fmt.Sprintf("%d positions, width %d", grown.Length, grown.Width)}}
}

// sizes are the models of a curve.
func sizes(curve string) (at []int, config func(int) export.Config) {
	c := grown
	if curve == "layers" {
		return []int{1, 2, 4, 8, 16, 24}, func(n int) export.Config { c.Layers = n; return c }
	}
	return []int{16, 32, 64, 128, 256}, func(n int) export.Config { c.Length = n; return c }
}

// draw measures the curves, and writes them as a table and as numbers to plot.
func (l *lab) draw(ctx context.Context, out io.Writer) error {
	l.single, l.ezkl, l.inferred = false, "", false
	all := Curves{Curves: axes()}
	for i := range all.Curves {
		c := &all.Curves[i]
		at, config := sizes(c.Name)
		for _, n := range at {
			m, err := l.measure(ctx, row{name: fmt.Sprintf("%s-%d", c.Name, n), model: gpt2(config(n))})
			if err != nil {
				return fmt.Errorf("%d %s: %w", n, c.Name, err)
			}
			all.Machine, all.Load = m.Machine, m.Load
			c.Points = append(c.Points, Point{n, map[string]float64{
				"prove, CPU-s": median(of(m.Prove, cpu)), "prove, peak GB": giga * median(of(m.Prove, peak)), "proof, B": m.ProofBytes,
				"verify, ms": 1000 * slices.Min(m.Verify), "lookups": m.Work["lookups"], "committed cells": m.Work["witness"],
			}})
		}
		c.Fits = fits(c.Points)
		if err := l.write(ctx, all); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, all.markdown())
	return err
}

// write writes what was measured, as numbers to plot and for people, and the latter to --doc, too.
func (l *lab) write(ctx context.Context, all Curves) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	text := []byte(all.markdown())
	files := map[string][]byte{l.file("curves.json"): data, l.file("curves.md"): text}
	if l.doc != "" {
		files[l.doc] = text
	}
	return write(ctx, files)
}

// fitted is how many of the last points a power law is fitted to.
const fitted = 3

// fits fits a power law to each quantity, by least squares of logarithms.
func fits(points []Point) map[string]Fit {
	points = points[max(0, len(points)-fitted):]
	out := map[string]Fit{}
	for _, q := range quantities {
		var n, sx, sy, sxx, sxy float64
		for _, p := range points {
			x, y := math.Log(float64(p.At)), math.Log(p.Costs[q])
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
		if d := n*sxx - sx*sx; d > 0 {
			e := (n*sxy - sx*sy) / d
			out[q] = Fit{Factor: math.Exp((sy - e*sx) / n), Exponent: e}
		}
	}
	return out
}

func (c *Curves) markdown() string {
	var s strings.Builder
	m := c.Machine
	fmt.Fprintf(&s, "# How costs grow\n\nWritten by `make curves`: models of GPT-2's architecture with drawn weights. %s, %d threads, %s, commit %s%s. Medians of the runs, of\n", m.CPU, m.Threads, m.Go, m.Commit, loaded(c.Load))
	fmt.Fprintf(&s, "verify on one thread the least. The exponent is that of a power law through the last %d points: before them most is what every proof costs,\n", fitted)
	s.WriteString("tables and generators.\n\n![the same as plots](curves.svg)\n")
	for _, x := range c.Curves {
		fmt.Fprintf(&s, "\n## Against %s: %s\n\n", x.Name, x.What)
		var lines [][]string
		for _, p := range x.Points {
			line := []string{fmt.Sprint(p.At)}
			for _, q := range quantities {
				line = append(line, figure(p.Costs[q]))
			}
			lines = append(lines, line)
		}
		line := []string{"exponent"}
		for _, q := range quantities {
			if f, ok := x.Fits[q]; ok {
				line = append(line, fmt.Sprintf("%.2f", f.Exponent))
			} else {
				line = append(line, "")
			}
		}
		table(&s, append([]string{x.Name}, quantities...), append(lines, line))
	}
	return s.String()
}

// figure writes a number with three digits behind the point if it is small.
func figure(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3f", x)
}
