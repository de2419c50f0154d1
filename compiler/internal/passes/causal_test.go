package passes

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/test/randgraph"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// timed is a float graph by hand: 3 tokens of a vocabulary of 3, "x" is their embedding in 3 dimensions.
type timed struct {
	g    *ir.Graph
	x, w ir.ValueID
}

func newTimed() *timed {
	d := &timed{g: &ir.Graph{Stage: ir.StageFloat}}
	hot := d.g.Add(ir.OpOneHot, "hot", "hot", []int{3, 3}, []ir.ValueID{d.g.AddIDs("ids", 3, 3).ID}, nil).ID
	w := d.g.Add(ir.OpWeight, "w", "w", []int{3, 3}, nil, nil)
	w.Data = []float64{1, 2, -1, -2, 0.5, 3, 0.25, -1.5, 1}
	d.w = w.ID
	d.x = d.sum("tv,vd->td", hot, d.w)
	return d
}

// sum adds an Einsum of one term with one letter per axis; 1 stands for an axis of one position without a label.
func (d *timed) sum(spec string, in ...ir.ValueID) ir.ValueID {
	left, right, _ := strings.Cut(spec, "->")
	t := ir.Term{Coef: 1}
	label := map[rune]int{}
	axes := func(letters string, shape []int) (list [][]int) {
		for a, r := range letters {
			if r == '1' {
				list = append(list, []int{})
				continue
			}
			if _, ok := label[r]; !ok {
				label[r] = len(t.Extents)
				t.Extents = append(t.Extents, shape[a])
			}
			list = append(list, []int{label[r]})
		}
		return list
	}
	for i, letters := range strings.Split(left, ",") {
		t.In = append(t.In, i)
		t.Axes = append(t.Axes, axes(letters, d.g.Value(in[i]).Shape))
	}
	t.Out = axes(right, []int{3, 3, 3})
	shape := make([]int, len(t.Out))
	for a, axis := range t.Out {
		shape[a] = t.AxisExtent(axis)
	}
	return d.g.Add(ir.OpEinsum, spec, spec, shape, in, &ir.EinsumAttr{Terms: []ir.Term{t}}).ID
}

// softmax is that of the scores, with a mask whose cells are given in rows of 3.
func (d *timed) softmax(scores ir.ValueID, mask ...float64) ir.ValueID {
	shape := d.g.Value(scores).Shape
	m := d.g.Add(ir.OpConst, "mask", "mask", shape, nil, nil)
	m.Data = mask
	return d.g.Add(ir.OpSoftmax, "softmax", "softmax", shape, []ir.ValueID{scores, m.ID}, &ir.SoftmaxAttr{Scale: 1, HasMask: true}).ID
}

func (d *timed) norm(x ir.ValueID) ir.ValueID {
	return d.g.Add(ir.OpNorm, "norm", "norm", d.g.Value(x).Shape, []ir.ValueID{x}, &ir.NormAttr{Eps: 1e-5}).ID
}

// readsAhead runs a graph on two inputs that agree on the first cut tokens and says whether it answers differently before the cut.
func readsAhead(g *ir.Graph, a, b []int64, cut int) (bool, error) {
	x, err := eval.Float(g, eval.Reals(a))
	if err != nil {
		return false, err
	}
	y, err := eval.Float(g, eval.Reals(b))
	if err != nil {
		return false, err
	}
	n := cut * ir.Size(g.Value(g.Out()).Shape) / g.Value(g.In()).Shape[0]
	return !slices.EqualFunc(x[g.Out()][:n], y[g.Out()][:n], func(p, q float64) bool { return p == q || math.IsNaN(p) && math.IsNaN(q) }), nil
}

// anyAhead says whether a hand-made graph reads ahead on any input.
func anyAhead(t *testing.T, g *ir.Graph) bool {
	t.Helper()
	for n := range int64(27) {
		for last := range int64(3) {
			a := []int64{n / 9, n / 3 % 3, n % 3}
			b := []int64{a[0], a[1], last}
			c := []int64{a[0], last, a[2]}
			for cut, other := range map[int][]int64{2: b, 1: c} {
				ahead, err := readsAhead(g, a, other, cut)
				if err != nil {
					t.Fatal(err)
				}
				if ahead {
					return true
				}
			}
		}
	}
	return false
}

// TestCausalByHand has, for every way in which the analysis must not lose sight of time, the smallest graph that takes it.
func TestCausalByHand(t *testing.T) {
	future := []float64{0, 1, 1, 0, 0, 1, 0, 0, 0}
	for name, c := range map[string]struct {
		causal bool
		build  func(d *timed) ir.ValueID
	}{
		"norm of every position": {true, func(d *timed) ir.ValueID { return d.norm(d.x) }},
		"norm over the positions": {false, func(d *timed) ir.ValueID {
			return d.sum("dt->td", d.norm(d.sum("td->dt", d.x)))
		}},
		"attention": {true, func(d *timed) ir.ValueID {
			return d.sum("ts,sd->td", d.softmax(d.sum("td,sd->ts", d.x, d.x), future...), d.x)
		}},
		"attention to the next position": {false, func(d *timed) ir.ValueID {
			return d.sum("ts,sd->td", d.softmax(d.sum("td,sd->ts", d.x, d.x), 0, 1, 1, 0, 0, 0, 0, 0, 0), d.x)
		}},
		"sum over positions next to attention to others": {false, func(d *timed) ir.ValueID {
			return d.sum("ts,ud->td", d.softmax(d.sum("td,sd->ts", d.x, d.x), future...), d.x)
		}},
		"attention by columns": {false, func(d *timed) ir.ValueID {
			return d.sum("ts,td->sd", d.softmax(d.sum("td,sd->ts", d.x, d.x), future...), d.x)
		}},
		// The second head has one row, and a mask that would be right for a second row.
		"mask of one row per head": {false, func(d *timed) ir.ValueID {
			p := d.softmax(d.oneRow(), 0, 1, 1, 0, 0, 1, 0, 0, 0)
			return d.sum("h1d,te->td", d.sum("hqs,sd->hqd", p, d.x), d.w)
		}},
		"position before": {true, func(d *timed) ir.ValueID {
			return d.sum("ts,sd->td", d.softmax(d.sum("td,sd->ts", d.x, d.x), 0, 1, 1, 0, 1, 1, 1, 0, 1), d.x)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newTimed()
			d.g.Return(c.build(d))
			if err := Causal(d.g); err != nil {
				t.Fatal(err)
			}
			if d.g.Causal != c.causal {
				t.Errorf("causal: %v, want %v\n%s", d.g.Causal, c.causal, d.g)
			}
			if anyAhead(t, d.g) == c.causal {
				t.Error("the case is not what it says")
			}
		})
	}
}

// oneRow is a score of each head for each position, [3, 1, 3], the middle axis with a label.
func (d *timed) oneRow() ir.ValueID {
	one := d.g.Add(ir.OpConst, "one", "one", []int{1}, nil, nil)
	one.Data = []float64{1}
	return d.sum("sd,hd,q->hqs", d.x, d.w, one.ID)
}

// TestCausalIsTrue looks for random graphs that are said to be causal and read ahead.
func TestCausalIsTrue(t *testing.T) {
	said := 0
	for seed := uint64(1); seed <= 4000; seed++ {
		g := randgraph.Graph(seed, 1+int(seed%8))
		if err := Causal(g); err != nil {
			t.Fatal(err)
		}
		T := g.Value(g.In()).Shape[0]
		if !g.Causal || T < 2 {
			continue
		}
		said++
		rng := rand.New(rand.NewPCG(seed, 3))
		for range 3 {
			a := make([]int64, T)
			for i := range a {
				a[i] = rng.Int64N(int64(g.Vocab()))
			}
			b, cut := slices.Clone(a), 1+rng.IntN(T-1)
			for i := cut; i < T; i++ {
				b[i] = rng.Int64N(int64(g.Vocab()))
			}
			ahead, err := readsAhead(g, a, b, cut)
			if err != nil && !strings.Contains(err.Error(), "minus infinity") { // exponentials of exponentials overflow
				t.Fatal(err)
			}
			if ahead {
				t.Fatalf("seed %d: %v and %v differ before position %d:\n%s", seed, a, b, cut, g)
			}
		}
	}
	if said < 100 {
		t.Errorf("only %d graphs are said to be causal", said)
	}
	t.Logf("%d graphs are causal", said)
}
