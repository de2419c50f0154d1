package quant

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// Calibration holds what the float graph did on sample inputs.
type Calibration struct {
	Max     []float64 // per value: the largest magnitude
	Samples int

	rows []rowStat // per value: of its rows, for the inputs of normalisations
}

// rowStat describes the rows (last axis) of a tensor: the largest root mean square and, for centred rows, the largest deviation.
type rowStat struct{ rms, centredRMS, centredMax float64 }

// Calibrate runs a prepared graph on samples of token ids.
func Calibrate(ctx context.Context, f *ir.Graph, samples [][]int64) (*Calibration, error) {
	c := &Calibration{Max: make([]float64, len(f.Values)), rows: make([]rowStat, len(f.Values)), Samples: len(samples)}
	var mu sync.Mutex
	err := forEach(ctx, len(samples), func(i int) error {
		vals, err := eval.Float(f, samples[i])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		return c.add(f, vals)
	})
	return c, err
}

// forEach runs f for 0..n-1 on all processors and returns the error of the lowest index.
func forEach(ctx context.Context, n int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
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
			if errs[i] = ctx.Err(); errs[i] == nil {
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

func (c *Calibration) add(f *ir.Graph, vals map[ir.ValueID][]float64) error {
	for _, v := range f.Values {
		for _, x := range vals[v.ID] {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return v.Def.Errorf("%s is not finite on a calibration input", v.Name)
			}
			c.Max[v.ID] = math.Max(c.Max[v.ID], math.Abs(x))
		}
	}
	for _, n := range f.Nodes {
		if n.Op == ir.OpNorm {
			shape := f.Value(n.Out[0]).Shape
			c.rows[n.In[0]].add(vals[n.In[0]], shape[len(shape)-1])
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

// DefaultSamples is a deterministic calibration set: sequences of pseudo-random tokens, and what they become when the model's own
// predictions replace them for some rounds, position t+1 by the arg-max at t, which approaches a greedy continuation of the
// first token.
func DefaultSamples(ctx context.Context, f *ir.Graph) ([][]int64, error) {
	T := f.Value(f.Input).Shape[0]
	rng := rand.New(rand.NewPCG(0x7a6b6c6c6d63, 1))
	random := make([][]int64, defaultSamples)
	for i := range random {
		for range T {
			random[i] = append(random[i], rng.Int64N(int64(f.Vocab)))
		}
	}
	greedy := make([][]int64, defaultSamples)
	err := forEach(ctx, defaultSamples, func(i int) error {
		ids := append([]int64(nil), random[i]...)
		for range decodeRounds {
			vals, err := eval.Float(f, ids)
			if err != nil {
				return err
			}
			best := argmax(vals[f.Output], f.Vocab)
			copy(ids[1:], best[:T-1])
		}
		greedy[i] = ids
		return nil
	})
	return append(random, greedy...), err
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
