package eval_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/randgraph"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// moved are the outputs of a program at a point that is moved in a direction.
func moved(t *testing.T, g *ir.Graph, at, direction [][]float64, by float64) []float64 {
	there := make([][]float64, len(at))
	for i := range at {
		for k := range at[i] {
			there[i] = append(there[i], at[i][k]+by*direction[i][k])
		}
	}
	vals, err := eval.Float(g, there...)
	require.NoError(t, err)
	var out []float64
	for _, p := range g.Outputs {
		out = append(out, vals[p.Value]...)
	}
	return out
}

// Gradients of random programs are what differences of their outputs say, on real inputs that are moved a little in a random direction. A
// maximum or a rectifier that the move crosses says something else: a few programs may disagree. The slopes of roundings stand for how errors
// spread, and are no derivatives.
func TestGradients(t *testing.T) {
	tried, wrong, ops := 0, 0, map[ir.Op]bool{}
	rounds := func(n *ir.Node) bool {
		a, ok := n.Attr.(*ir.UnaryAttr)
		return ok && slices.Contains(ir.Roundings, a.Fn)
	}
	for seed := range uint64(400) {
		g, rng := randgraph.Function(seed, 0), rand.New(rand.NewPCG(seed, 5))
		at, direction := draw(g, rng)
		if direction == nil || slices.ContainsFunc(g.Nodes, rounds) {
			continue
		}
		const h = 1e-6
		up, down := moved(t, g, at, direction, h), moved(t, g, at, direction, -h)
		probe := make([]float64, len(up))
		want, size := 0.0, 0.0
		for i := range probe {
			probe[i] = rng.NormFloat64()
			want += probe[i] * (up[i] - down[i]) / (2 * h)
			size += math.Abs(probe[i] * up[i])
		}
		var parts [][]float64
		for rest, i := probe, 0; i < len(g.Outputs); i++ {
			n := ir.Size(g.Value(g.Outputs[i].Value).Shape)
			parts, rest = append(parts, rest[:n]), rest[n:]
		}
		got, sums := 0.0, map[ir.ValueID]float64{}
		require.NoError(t, eval.Gradients(nil, g, [][][]float64{at}, [][][]float64{parts}, func(_ int, v *ir.Value, n *ir.Node, _ [][]float64, cells, grad []float64) {
			require.Len(t, grad, len(cells))
			total := 0.0
			for _, x := range grad {
				total += x
			}
			if n != nil { // the parts of a sum
				sums[v.ID] += total
				ops[n.Op] = true
				return
			}
			for i := range g.Outputs {
				if g.Outputs[i].Value == v.ID {
					for _, x := range parts[i] {
						sums[v.ID] += x
					}
				}
			}
			require.InDelta(t, sums[v.ID], total, 1e-6*(1+math.Abs(total)), "seed %d: %s", seed, v.Name)
			for i, p := range g.Inputs {
				for k := range grad {
					if p.Value == v.ID {
						got += grad[k] * direction[i][k]
					}
				}
			}
		}))
		tried++
		if math.Abs(got-want) > 1e-4*(math.Abs(want)+1e-3*size+1e-6) {
			wrong++
			t.Logf("seed %d: derivative %g, differences say %g", seed, got, want)
		}
	}
	require.Greater(t, tried, 50)
	require.Less(t, 20*wrong, tried)
	for _, op := range []ir.Op{ir.OpEinsum, ir.OpUnary, ir.OpNorm, ir.OpSoftmax, ir.OpMax} {
		require.True(t, ops[op], "%s occurs in no program", op)
	}
}

// Gradients that are computed by parts, whose values are computed again, are the same to the bit, in the same order, with the same cells.
func TestGradientsOfParts(t *testing.T) {
	type call struct {
		Value, Node int
		In          [][]float64
		Cells, Grad []float64
	}
	nodes := 0
	for seed := range uint64(100) {
		g, rng := randgraph.Function(seed, 0), rand.New(rand.NewPCG(seed, 6))
		at, direction := draw(g, rng)
		if direction == nil {
			continue
		}
		var probe [][]float64
		for _, p := range g.Outputs {
			x := make([]float64, ir.Size(g.Value(p.Value).Shape))
			for i := range x {
				x[i] = rng.NormFloat64()
			}
			probe = append(probe, x)
		}
		by := func(length int) (calls []call) {
			require.NoError(t, eval.GradientsOfParts(g, length, [][][]float64{at}, [][][]float64{probe}, func(_ int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64) {
				c := call{int(v.ID), slices.Index(g.Nodes, n), nil, slices.Clone(cells), slices.Clone(grad)}
				for _, x := range in {
					c.In = append(c.In, slices.Clone(x))
				}
				calls = append(calls, c)
			}))
			return calls
		}
		whole := by(len(g.Nodes))
		nodes += len(whole)
		for _, length := range []int{1, 2, 3, 7} {
			require.Equal(t, whole, by(length), "seed %d, parts of %d of %d nodes", seed, length, len(g.Nodes))
		}
	}
	require.Greater(t, nodes, 500)
}

// What is kept of a large model does not grow with its layers: the values that layers hand on do, and they are few.
func TestKept(t *testing.T) {
	kept := func(layers int) int { return eval.Kept(synthetic.Sketch(false, layers, 4096, 32, 128, 32000, 11008)) }
	few, many := kept(8), kept(32)
	require.Less(t, 8*many, 1<<30)
	require.Less(t, many, 2*few)
	small := synthetic.Sketch(false, 4, 64, 4, 16, 100, 256)
	all := 0
	for _, v := range small.Values {
		if v.Def.Op != ir.OpWeight && v.Def.Op != ir.OpConst && v.Def.Op != ir.OpInput {
			all += ir.Size(v.Shape)
		}
	}
	require.Greater(t, eval.Kept(small), all, "all of a small one, and gradients")
}

// draw draws elements of all inputs and, of the real ones, a direction; nil where there are none.
func draw(g *ir.Graph, rng *rand.Rand) (at, direction [][]float64) {
	real := false
	for _, p := range g.Inputs {
		x, d := make([]float64, ir.Size(p.Shape)), make([]float64, ir.Size(p.Shape))
		for k := range x {
			if p.Kind == plan.Reals {
				real = true
				x[k], d[k] = p.Lo+(p.Hi-p.Lo)*(0.1+0.8*rng.Float64()), rng.NormFloat64()
			} else {
				x[k] = p.Lo + float64(rng.IntN(int(p.Hi-p.Lo)+1))
			}
		}
		at, direction = append(at, x), append(direction, d)
	}
	if !real {
		return at, nil
	}
	return at, direction
}

// Runs side by side, and back, have the bits that each has alone, also with weights that are elsewhere, which they read together; an error is
// that of the first run that has one.
func TestSideBySide(t *testing.T) {
	common := 0
	for seed := range uint64(40) {
		g, rng := randgraph.Function(seed, 0), rand.New(rand.NewPCG(seed, 8))
		if seed == 0 {
			g = synthetic.GPT(1, 16, 2, 9, 20, 7)
		}
		for _, v := range g.Values {
			if v.Def.Op == ir.OpWeight && v.Stored == nil {
				v.Data, v.Stored = nil, weights.Held[float64](v.Data)
			}
		}
		for _, n := range g.Nodes {
			common += btoi(ir.Common(g, n))
		}
		const runs = 3
		var in, probes [][][]float64
		for r := range runs {
			at, _ := draw(g, rng)
			in, probes = append(in, at), append(probes, nil)
			for _, p := range g.Outputs {
				x := make([]float64, ir.Size(g.Value(p.Value).Shape))
				for i := range x {
					x[i] = rng.NormFloat64()
				}
				probes[r] = append(probes[r], x)
			}
		}
		got := make([]map[ir.ValueID][]float64, runs)
		for r := range got {
			got[r] = map[ir.ValueID][]float64{}
		}
		require.NoError(t, eval.EachFloat(nil, g, in, func(r int, v *ir.Value, cells []float64) error { got[r][v.ID] = cells; return nil }))
		together, alone := make([][][]float64, runs), make([][][]float64, runs)
		back := func(calls [][][]float64) func(r int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64) {
			return func(r int, _ *ir.Value, _ *ir.Node, _ [][]float64, cells, grad []float64) {
				calls[r] = append(calls[r], slices.Clone(cells), slices.Clone(grad))
			}
		}
		require.NoError(t, eval.Gradients(nil, g, in, probes, back(together)))
		for r := range runs {
			want, err := eval.Float(g, in[r]...)
			require.NoError(t, err)
			require.Equal(t, want, got[r], "seed %d, run %d", seed, r)
			require.NoError(t, eval.Gradients(nil, g, in[r:r+1], probes[r:r+1], back(alone[r:r+1])))
			require.Equal(t, alone[r], together[r], "seed %d, run %d", seed, r)
		}
		failing := errors.New("of run 1")
		err := eval.EachFloat(nil, g, in, func(r int, v *ir.Value, _ []float64) error {
			if r > 0 && v.ID == g.Out() {
				return fmt.Errorf("run %d: %w", r, failing)
			}
			return nil
		})
		require.ErrorIs(t, err, failing)
		require.ErrorContains(t, err, "run 1")
	}
	require.Greater(t, common, 20)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
