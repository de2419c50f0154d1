// Command plot draws the curves that `make curves` measured: CURVES.json FILE.svg, or .png. It is a module of its own, so that nobody else needs the
// library that draws.
package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgimg" // png
	_ "gonum.org/v1/plot/vg/vgsvg" // svg
)

// curve is as ../curves.go writes it.
type curve struct {
	Name, What string
	Points     []struct {
		At    int
		Costs map[string]float64
	}
	Fits map[string]power
}

// power is a power law.
type power struct{ Factor, Exponent float64 }

// shown are the quantities that are drawn, a column each.
var shown = []string{"prove, CPU-s", "prove, peak GB", "proof, B", "verify, ms"}

const (
	width  = 5 * vg.Centimeter // of one plot
	height = 5 * vg.Centimeter
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "plot: CURVES.json FILE.svg")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var all struct{ Curves []curve }
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	canvas, err := draw.NewFormattedCanvas(width*vg.Length(len(shown)), height*vg.Length(len(all.Curves)), strings.TrimPrefix(filepath.Ext(to), "."))
	if err != nil {
		return err
	}
	tiles := draw.Tiles{Rows: len(all.Curves), Cols: len(shown), PadX: 3 * vg.Millimeter, PadY: 3 * vg.Millimeter, PadTop: vg.Millimeter, PadRight: 2 * vg.Millimeter}
	for i := range all.Curves {
		for j, quantity := range shown {
			p, err := all.Curves[i].plot(quantity)
			if err != nil {
				return fmt.Errorf("%s against %s: %w", quantity, all.Curves[i].Name, err)
			}
			p.Draw(tiles.At(draw.New(canvas), j, i))
		}
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// plot draws a quantity against the extent, both logarithmic: the points, and the fitted power law as a line.
func (c *curve) plot(quantity string) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text, p.Title.Text = c.Name, quantity
	if f, ok := c.Fits[quantity]; ok {
		p.Title.Text += fmt.Sprintf(", ~ n^%.2f", f.Exponent)
	}
	p.Title.TextStyle.Font.Size, p.X.Label.TextStyle.Font.Size = 8, 8
	p.X.Tick.Label.Font.Size, p.Y.Tick.Label.Font.Size = 6, 6
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{c.extents()}, round{}
	var xy, fit plotter.XYs
	for _, at := range c.Points {
		xy = append(xy, plotter.XY{X: float64(at.At), Y: at.Costs[quantity]})
		if f, ok := c.Fits[quantity]; ok {
			fit = append(fit, plotter.XY{X: float64(at.At), Y: f.at(float64(at.At))})
		}
	}
	points, err := plotter.NewScatter(xy)
	if err != nil {
		return nil, err
	}
	points.GlyphStyle.Shape = draw.CircleGlyph{}
	p.Add(plotter.NewGrid(), points)
	if fit != nil {
		line, err := plotter.NewLine(fit)
		if err != nil {
			return nil, err
		}
		line.Color = color.RGBA{R: 200, A: 255}
		p.Add(line)
	}
	return p, nil
}

// at is the power law's value.
func (f power) at(x float64) float64 { return f.Factor * math.Pow(x, f.Exponent) }

// extents are those that were measured.
func (c *curve) extents() (at []float64) {
	for _, p := range c.Points {
		at = append(at, float64(p.At))
	}
	return at
}

// ticks are at given places.
type ticks struct{ at []float64 }

func (t ticks) Ticks(_, _ float64) (all []plot.Tick) {
	for _, x := range t.at {
		all = append(all, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'f', -1, 64)})
	}
	return all
}

// round are ticks at 1, 2 and 5 times powers of ten, and at the ends where there are fewer than two of these.
type round struct{}

func (round) Ticks(lo, hi float64) (all []plot.Tick) {
	tick := func(x float64) { all = append(all, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'g', 3, 64)}) }
	for decade := math.Pow(10, math.Floor(math.Log10(lo))); decade <= hi; decade *= 10 {
		for _, x := range []float64{decade, 2 * decade, 5 * decade} {
			if lo <= x && x <= hi {
				tick(x)
			}
		}
	}
	if len(all) < 2 {
		all = nil
		tick(lo)
		tick(hi)
	}
	return all
}
