package ir

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/interval"
)

// EinsumAttr holds the terms of an Einsum.
type EinsumAttr struct{ Terms []Term }

func (*EinsumAttr) text() string { return "" } // a line per term, see Graph.String

func init() {
	register(&OpInfo{
		Op: OpEinsum, Stages: everywhere, MaxIn: -1, Outputs: 1, TakesWide: true,
		Meaning: "a sum of products over named labels, see Term", Shape: "the terms' Out",
		Scale: "in every term: the sum of the operands' scales, plus the fraction bits of ICoef; equal for all terms",
		check: checkEinsum, bound: boundEinsum, why: whyEinsum,
		float: func(r *Run, n *Node, in [][]float64) ([][]float64, error) {
			out, err := sumTerms([]*Run{r}, n, [][][]float64{in})
			return out[0], err
		},
		integer: intEinsum, cost: costEinsum,
		Unique: "a virtual tensor: no constraint of its own, claims on it become claims on its factors (einsum.Ledger); gadget.Embed where it chooses lines",
	})
}

// maxOperands bounds the product of one term.
const maxOperands = 8

// checkEinsum checks the terms. In StagePrim there may be none, or some times zero: such a value is refused at the end of the passes only.
func checkEinsum(g *Graph, n *Node) error {
	a, ok := n.Attr.(*EinsumAttr)
	if !ok || len(a.Terms) == 0 && g.Stage != StagePrim {
		return n.Errorf("has no terms")
	}
	used := make([]bool, len(n.In))
	for i, t := range a.Terms {
		if err := checkTerm(g, n, t, g.Value(n.Out[0]).Shape, used); err != nil {
			return n.Errorf("term %d: %v", i, err)
		}
	}
	for i, u := range used {
		if !u {
			return n.Errorf("input %d is in no term", i)
		}
	}
	return nil
}

func checkTerm(g *Graph, n *Node, t Term, shape []int, used []bool) error {
	if len(t.In) != len(t.Axes) || len(t.In) > maxOperands {
		return fmt.Errorf("%d operands, %d lists of axes, at most %d", len(t.In), len(t.Axes), maxOperands)
	}
	if g.Stage == StageFloat && t.Coef == 0 || g.Stage != StageInt && (math.IsNaN(t.Coef) || math.IsInf(t.Coef, 0)) || g.Stage == StageInt && t.ICoef == 0 {
		return fmt.Errorf("coefficient %g, %d", t.Coef, t.ICoef)
	}
	for _, e := range t.Extents {
		if e < 1 {
			return fmt.Errorf("label extents %v", t.Extents)
		}
	}
	occurs := make([]bool, len(t.Extents))
	for k, in := range t.In {
		if in < 0 || in >= len(n.In) {
			return fmt.Errorf("operand %d is input %d of %d", k, in, len(n.In))
		}
		used[in] = true
		if err := checkAxes(t, t.Axes[k], g.Value(n.In[in]).Shape, occurs); err != nil {
			return fmt.Errorf("operand %d: %v", k, err)
		}
	}
	if err := checkAxes(t, t.Out, shape, occurs); err != nil {
		return fmt.Errorf("result: %v", err)
	}
	for l, o := range occurs {
		if !o {
			return fmt.Errorf("label %s is not used", labelText(l))
		}
	}
	return nil
}

// checkAxes checks the axes of one tensor of a term and marks the labels that it has.
func checkAxes(t Term, axes [][]int, shape []int, occurs []bool) error {
	if len(axes) != len(shape) {
		return fmt.Errorf("%d axes for shape %v", len(axes), shape)
	}
	seen := make([]bool, len(t.Extents))
	for a, axis := range axes {
		n := 1
		for _, l := range axis {
			if l < 0 || l >= len(t.Extents) {
				return fmt.Errorf("axis %d has label %d of %d", a, l, len(t.Extents))
			}
			if seen[l] {
				return fmt.Errorf("label %s occurs twice", labelText(l))
			}
			seen[l], occurs[l] = true, true
			n *= t.Extents[l]
		}
		if n != shape[a] {
			return fmt.Errorf("axis %d has labels of extent %d, the shape is %v", a, n, shape)
		}
	}
	return nil
}

// boundEinsum adds up the terms over the operands' bounds.
func boundEinsum(g *Graph, n *Node, in []interval.Interval) ([]interval.Interval, error) {
	sum := interval.Of(0, 0)
	for _, t := range n.Attr.(*EinsumAttr).Terms {
		factors := make([]interval.Factor, len(t.In))
		for k, i := range t.In {
			factors[k] = interval.Factor{Tensor: int(n.In[i]), Axes: t.Axes[k], Bounds: in[i], Single: g.single(n.In[i])}
		}
		sum = sum.Plus(interval.Term(t.ICoef, t.Extents, t.Out, factors))
	}
	return []interval.Interval{sum}, nil
}

// single is interval.Factor's of a value: of the vocabulary of one-hot rows, of axes of a map or of a constant.
func (g *Graph) single(id ValueID) interval.Single {
	switch v := g.Value(id); v.Def.Op {
	case OpOneHot:
		return interval.OneHot
	case OpAffine:
		return interval.SolvedBy(g.AffineOf(id).Strides, v.Shape)
	case OpConst:
		return interval.SingleCells(v.Ints, v.Shape)
	}
	return nil
}

// WhyOneHot is the argument of the bound of a product with a one-hot factor, which a circuit's intervals do not give.
const WhyOneHot = "every row of the one-hot factor has one 1 and zeros, so that a cell is a cell of the table"

func whyEinsum(g *Graph, n *Node) string {
	for _, t := range n.Attr.(*EinsumAttr).Terms {
		for k, i := range t.In {
			if g.Value(n.In[i]).Def.Op == OpOneHot && len(t.Axes[k][1]) == 1 {
				return WhyOneHot
			}
		}
	}
	return ""
}

// costEinsum is what the terms cost, one after the other.
func costEinsum(g *Graph, n *Node) (work, extra int) {
	for _, t := range n.Attr.(*EinsumAttr).Terms {
		known := indicators[float64](&Run{Graph: g}, n, &t)
		cells := make([]int, len(known))
		for k := range known {
			if known[k] != nil && known[k].cells != nil {
				cells[k] = budget.Product(known[k].shape...)
			}
		}
		w, x := termCost(t, solvedAxes(known), cells)
		for _, i := range t.In {
			if v := g.Value(n.In[i]); v.Elsewhere() {
				x = budget.Sum(x, partOf(v))
			}
		}
		work, extra = budget.Sum(work, w), max(extra, x)
	}
	if g.Stage != StageInt && len(n.Attr.(*EinsumAttr).Terms) > 2 { // see restore
		extra = budget.Sum(extra, budget.Product(2, budget.Product(g.Value(n.Out[0]).Shape...)))
	}
	return work, extra
}

// sumTerms computes an Einsum in runs side by side, and returns its result, the only one, of each.
func sumTerms[T number](runs []*Run, n *Node, in [][][]T) ([][][]T, error) {
	e, res, peaks := n.Attr.(*EinsumAttr), results[T](runs, n), make([][]float64, len(runs))
	for i := range e.Terms {
		if err := addTermOf(runs, n, i, in, res); err != nil {
			return res, err
		}
		for r := range runs {
			if reals, are := any(res[r][0]).([]float64); are && len(e.Terms) > 2 {
				peaks[r] = peaked(peaks[r], reals)
			}
		}
	}
	return res, restore(runs, n, in, res, peaks)
}

// results are zeros, as many as the result of an Einsum has cells, for each run.
func results[T number](runs []*Run, n *Node) [][][]T {
	res := make([][][]T, len(runs))
	for r := range res {
		res[r] = [][]T{make([]T, Size(runs[0].Graph.Value(n.Out[0]).Shape))}
	}
	return res
}

// addTermOf adds a term of an Einsum to the results of runs side by side.
func addTermOf[T number](runs []*Run, n *Node, i int, in, res [][][]T) error {
	t, of := &n.Attr.(*EinsumAttr).Terms[i], make([]operation[T], len(runs))
	for r := range runs {
		of[r] = operation[T]{operands(t, in[r]), indicators[T](runs[r], n, t), res[r][0]}
	}
	return addTerm(runs[0].Budget, t, of, readers(runs[0].Graph, n, t, in[0]))
}

// indicators are the operands of a term that are the one-hot vectors of the token ids, whose cells are there, or maps of indices.
func indicators[T number](r *Run, n *Node, t *Term) []*indicator[T] {
	out := make([]*indicator[T], len(t.In))
	for i, k := range t.In {
		v := r.Graph.Value(n.In[k])
		switch a := r.Graph.AffineOf(v.ID); {
		case v.Def.Op == OpOneHot:
			var ids []int64 // of a run; what asks for the cost has none
			out[i] = &indicator[T]{shape: v.Shape, axis: 1, find: func(at []int) (int, bool) {
				if ids == nil {
					ids = r.ids(v.Def)
				}
				return int(ids[at[0]]), true
			}}
		case a != nil:
			axis := a.solved(v.Shape)
			out[i] = &indicator[T]{shape: v.Shape, axis: axis, cells: func() []T { return cells[T](a, v.Shape) },
				find: func(at []int) (int, bool) { return a.solve(at, axis, v.Shape[axis]) }}
		}
	}
	return out
}

// operands collects the tensors of one term.
func operands[T number](t *Term, in [][]T) [][]T {
	out := make([][]T, len(t.In))
	for i, k := range t.In {
		out[i] = in[k]
	}
	return out
}

// intEinsum adds up in int64 where the operands' magnitudes rule an overflow out, and in big integers otherwise, as where a value is wide.
func intEinsum(r *Run, n *Node, in [][]int64) ([][]int64, error) {
	if r.narrow(n, in) {
		out, err := sumTerms([]*Run{r}, n, [][][]int64{in})
		return out[0], err
	}
	e, out := n.Attr.(*EinsumAttr), r.Graph.Value(n.Out[0])
	in, err := here(r.Graph, n, slices.Clone(in))
	if err != nil {
		return nil, err
	}
	for k, id := range n.In {
		if a := r.Graph.AffineOf(id); a != nil {
			in[k] = cells[int64](a, r.Graph.Value(id).Shape)
		}
	}
	cells := make([]bigCells, len(in))
	for k, x := range in {
		cells[k].v = x
		if r.Graph.Value(n.In[k]).Wide() {
			cells[k] = bigCells{x[:len(x)/2], x[len(x)/2:]}
		}
	}
	sums, err := sumBig(r.Budget, e.Terms, cells, Size(out.Shape))
	if err != nil {
		return nil, err
	}
	res := make([]int64, Size(out.Shape), 2*Size(out.Shape))
	if out.Wide() {
		res = res[:cap(res)]
	}
	for i := range sums {
		switch x := &sums[i]; {
		case x.IsInt64():
			res[i] = x.Int64()
		case !out.Wide():
			return nil, n.Errorf("cell %d is %s and does not fit 64 bits", i, x)
		default:
			res[i] = int64(new(big.Int).And(x, lowWord).Uint64())
			res[len(sums)+i] = new(big.Int).Rsh(x.Sub(x, big.NewInt(res[i])), 64).Int64()
		}
	}
	return [][]int64{res}, err
}

// narrow says that no sum of an Einsum leaves int64.
func (r *Run) narrow(n *Node, in [][]int64) bool {
	wide := func(id ValueID) bool { return r.Graph.Value(id).Wide() }
	return !wide(n.Out[0]) && !slices.ContainsFunc(n.In, wide) && fits(n.Attr.(*EinsumAttr), r.magnitudes(n, in))
}

// lowWord masks the lower 64 bits.
var lowWord = new(big.Int).SetUint64(math.MaxUint64)

// bigCells are the cells of a value, with upper words if it is wide.
type bigCells struct{ v, high []int64 }

// mul multiplies x by a cell.
func (c bigCells) mul(x *big.Int, i int) {
	if c.high == nil {
		x.Mul(x, big.NewInt(c.v[i]))
		return
	}
	y := new(big.Int).Lsh(big.NewInt(c.high[i]), 64)
	x.Mul(x, y.Add(y, big.NewInt(c.v[i])))
}

// bigWork is what a product in big integers costs, in those of machine words. Which cells need them is known at run time only.
const bigWork = 64

// sumBig computes the terms in big integers, of all inputs of a node.
func sumBig(b *budget.Budget, ts []Term, in []bigCells, size int) ([]big.Int, error) {
	for i := range ts {
		if err := b.Work(budget.Product(bigWork, ts[i].Work(nil))); err != nil {
			return nil, err
		}
	}
	acc := make([]big.Int, size)
	for i := range ts {
		if err := addBig(b, acc, &ts[i], in); err != nil {
			return nil, err
		}
	}
	return acc, nil
}

// addBig adds one term in big integers, cell by cell.
func addBig(b *budget.Budget, acc []big.Int, t *Term, in []bigCells) error {
	dst := strides(t.Out, t.Extents, len(t.Extents))
	steps := make([][]int, len(t.In))
	for k := range t.In {
		steps[k] = strides(t.Axes[k], t.Extents, len(t.Extents))
	}
	at := make([]int, len(t.Extents))
	for n := Size(t.Extents); n > 0; n-- {
		if n%(pollAfter/bigWork) == 0 {
			if err := b.Poll(); err != nil {
				return err
			}
		}
		p := big.NewInt(t.ICoef)
		for k, i := range t.In {
			in[i].mul(p, offset(at, steps[k]))
		}
		o := offset(at, dst)
		acc[o].Add(&acc[o], p)
		for l := len(at) - 1; l >= 0; l-- {
			if at[l]++; at[l] < t.Extents[l] {
				break
			}
			at[l] = 0
		}
	}
	return nil
}

func offset(at, steps []int) int {
	o := 0
	for l, i := range at {
		o += i * steps[l]
	}
	return o
}
