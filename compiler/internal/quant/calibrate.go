package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Calibration holds what the float graph did on sample inputs.
type Calibration struct {
	Max     []float64 // per value: the largest magnitude
	Samples int

	rows []rowStat // per value: of its rows, for the inputs of normalisations
}

// rowStat describes the rows (last axis) of a tensor: the largest root mean square and, for centred rows, the largest deviation.
type rowStat struct{ rms, centredRMS, centredMax float64 }

// Calibrate runs a prepared graph on samples, each the elements of all inputs.
func Calibrate(left *budget.Budget, f *ir.Graph, samples [][][]float64) (*Calibration, error) {
	c := &Calibration{Max: make([]float64, len(f.Values)), rows: make([]rowStat, len(f.Values)), Samples: len(samples)}
	normed := make([]bool, len(f.Values))
	for _, n := range f.Nodes {
		if n.Op == ir.OpNorm {
			normed[n.In[0]] = true
		}
	}
	var mu sync.Mutex
	err := forEach(left, len(samples), 1, []*ir.Graph{f}, func(i int) error {
		return eval.EachFloat(left, f, samples[i], func(v *ir.Value, cells []float64) error {
			top, err := magnitudeOf(v, cells)
			if err != nil {
				return err
			}
			var rows rowStat
			if normed[v.ID] {
				rows.add(cells, v.Shape[len(v.Shape)-1])
			}
			mu.Lock()
			defer mu.Unlock()
			c.Max[v.ID] = math.Max(c.Max[v.ID], top)
			c.rows[v.ID].merge(rows)
			return nil
		})
	})
	return c, err
}

// magnitudeOf is the largest magnitude of a value's cells, which must be finite.
func magnitudeOf(v *ir.Value, cells []float64) (float64, error) {
	top := 0.0
	for _, x := range cells {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return 0, v.Def.Errorf("its result is not finite on a calibration input; look for a division by zero or an overflow, or calibrate on other inputs (--calibrate)")
		}
		top = math.Max(top, math.Abs(x))
	}
	return top, nil
}

// forEach runs f for 0..n-1 on all processors and returns the error of the lowest index. Every f evaluates the graphs one after the other
// so many times: that is paid for here, and no more run at a time than the budget has memory for.
func forEach(left *budget.Budget, n, times int, graphs []*ir.Graph, f func(int) error) error {
	left.Runs(budget.Product(n, times))
	bytes := 1
	for _, g := range graphs {
		m, err := eval.Demand(left, g, budget.Product(n, times))
		if err != nil {
			return err
		}
		bytes = max(bytes, m)
	}
	workers := 1
	for workers < min(n, runtime.GOMAXPROCS(0)) && left.Memory(budget.Product(workers+1, bytes)) == nil {
		workers++
	}
	return parallel(left, n, workers, f)
}

func parallel(left *budget.Budget, n, workers int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, workers)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			// A panic of a goroutine would end the process without a report.
			defer func() {
				if r := recover(); r != nil {
					errs[i] = fmt.Errorf("internal error: %v", r)
				}
			}()
			if errs[i] = left.Poll(); errs[i] == nil {
				errs[i] = f(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *rowStat) add(x []float64, width int) {
	for r := 0; r+width <= len(x); r += width {
		var mean, squares, centred float64
		for _, v := range x[r : r+width] {
			mean += v / float64(width)
			squares += v * v / float64(width)
		}
		for _, v := range x[r : r+width] {
			d := v - mean
			centred += d * d / float64(width)
			s.centredMax = math.Max(s.centredMax, math.Abs(d))
		}
		s.rms = math.Max(s.rms, math.Sqrt(squares))
		s.centredRMS = math.Max(s.centredRMS, math.Sqrt(centred))
	}
}

func (s *rowStat) merge(o rowStat) {
	s.rms, s.centredRMS, s.centredMax = math.Max(s.rms, o.rms), math.Max(s.centredRMS, o.centredRMS), math.Max(s.centredMax, o.centredMax)
}

// rowNorm returns the largest root mean square of a row and the largest magnitude, both after centring where asked.
func (c *Calibration) rowNorm(id ir.ValueID, center bool) (rms, top float64) {
	if center {
		return c.rows[id].centredRMS, c.rows[id].centredMax
	}
	return c.rows[id].rms, c.Max[id]
}

// Sizes of the default calibration set.
const (
	defaultSamples = 8
	decodeRounds   = 6
)

// DefaultSamples is a deterministic calibration set: pseudo-random elements of every input, evenly from its range. Of a language model
// also what sequences of tokens become when the model's own predictions replace them for some rounds, position t+1 by the arg-max at t,
// which approaches a greedy continuation of the first token.
func DefaultSamples(left *budget.Budget, f *ir.Graph) ([][][]float64, error) {
	rng := rand.New(rand.NewPCG(0x7a6b6c6c6d63, 1))
	random := make([][][]float64, defaultSamples)
	for i := range random {
		for _, p := range f.Inputs {
			x := make([]float64, ir.Size(p.Shape))
			for k := range x {
				if p.Kind == plan.Reals {
					x[k] = math.Min(p.Hi, p.Lo+float64((p.Hi-p.Lo)*rng.Float64()))
				} else {
					x[k] = p.Lo + float64(rng.Int64N(portable.Clamp(p.Hi-p.Lo)+1))
				}
			}
			random[i] = append(random[i], x)
		}
	}
	if !f.IsLanguageModel() {
		return random, nil
	}
	greedy := make([][][]float64, defaultSamples)
	err := forEach(left, defaultSamples, decodeRounds, []*ir.Graph{f}, func(i int) error {
		ids := append([]float64(nil), random[i][0]...)
		for range decodeRounds {
			outs, err := floatOutputs(left, f, [][]float64{ids})
			if err != nil {
				return err
			}
			for t, best := range argmax(outs[0], f.Vocab())[:len(ids)-1] {
				ids[t+1] = float64(best)
			}
		}
		greedy[i] = [][]float64{ids}
		return nil
	})
	return append(random, greedy...), err
}

// floatOutputs runs a float graph for its outputs alone.
func floatOutputs(left *budget.Budget, g *ir.Graph, in [][]float64) ([][]float64, error) {
	out := make([][]float64, len(g.Outputs))
	return out, eval.EachFloat(left, g, in, func(v *ir.Value, cells []float64) error { keep(g, v, cells, out); return nil })
}

// keep stores the cells of a value that is an output.
func keep[T any](g *ir.Graph, v *ir.Value, cells []T, out [][]T) {
	for i := range g.Outputs {
		if g.Outputs[i].Value == v.ID {
			out[i] = cells
		}
	}
}

// argmax returns the first index of the largest cell of every row.
func argmax[N int64 | float64](x []N, width int) []int64 {
	var out []int64
	for r := 0; r+width <= len(x); r += width {
		best := 0
		for i, v := range x[r : r+width] {
			if v > x[r+best] {
				best = i
			}
		}
		out = append(out, int64(best))
	}
	return out
}
