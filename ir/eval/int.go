package eval

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/budget"
	"github.com/zkllmc/zkllmc/runtime/tables"
)

// Int runs a graph of StageInt on token ids and returns every value, row-major. It is exact: a sum that leaves int64 is an error,
// and so is a value outside of its declared range [Lo, Hi] (a value with Lo = Hi = 0 declares none).
func Int(g *ir.Graph, ids []int64) (map[ir.ValueID][]int64, error) {
	vals := make(map[ir.ValueID][]int64, len(g.Values))
	return vals, EachInt(nil, g, ids, func(v *ir.Value, cells []int64) error { vals[v.ID] = cells; return nil })
}

// EachInt is to Int what EachFloat is to Float.
func EachInt(b *budget.Budget, g *ir.Graph, ids []int64, f func(v *ir.Value, cells []int64) error) error {
	if g.Stage != ir.StageInt {
		return fmt.Errorf("eval: graph %s is not in StageInt, use Float", g.Name)
	}
	return each(b, g, f, func(n *ir.Node, in [][]int64) ([][]int64, error) {
		outs, err := intNode(b, g, n, ids, in)
		for i := 0; i < len(n.Out) && err == nil; i++ {
			err = checkRange(n, g.Value(n.Out[i]), outs[i])
		}
		return outs, err
	})
}

func checkRange(n *ir.Node, v *ir.Value, cells []int64) error {
	if len(cells) != ir.Size(v.Shape) {
		return n.Errorf("computed %d cells for shape %v", len(cells), v.Shape)
	}
	if v.Lo == 0 && v.Hi == 0 {
		return nil
	}
	for i, x := range cells {
		if x < v.Lo || x > v.Hi {
			return n.Errorf("cell %d is %d, the declared range is [%d,%d]", i, x, v.Lo, v.Hi)
		}
	}
	return nil
}

func intNode(b *budget.Budget, g *ir.Graph, n *ir.Node, ids []int64, in [][]int64) ([][]int64, error) {
	out := g.Value(n.Out[0])
	var r []int64
	var err error
	switch n.Op {
	case ir.OpInput:
		r, err = ids, checkIDs(g, out, ids)
	case ir.OpWeight, ir.OpConst:
		r = out.Ints
	case ir.OpOneHot:
		r = oneHot[int64](ids, g.Vocab)
	case ir.OpEinsum:
		r, err = intEinsum(b, g, n, ids, in)
	case ir.OpRescale:
		r, err = rescale(n, in[0])
	case ir.OpTable:
		r, err = table(n, in[0])
	case ir.OpRsqrt:
		r, err = rsqrt(n, in[0])
	case ir.OpZkAttn:
		return zkattn(n, in, g.Value(n.In[0]).Shape)
	default:
		err = n.Errorf("is not an operation of StageInt")
	}
	return [][]int64{r}, err
}

// intEinsum adds up in int64 where the operands' magnitudes rule an overflow out, and in big integers otherwise.
func intEinsum(b *budget.Budget, g *ir.Graph, n *ir.Node, ids []int64, in [][]int64) ([]int64, error) {
	e := n.Attr.(*ir.EinsumAttr)
	if fits(e, in) {
		return sumTerms(b, g, n, ids, in)
	}
	res, err := sumBig(b, e.Terms, func(t *ir.Term) [][]int64 { return operands(t, in) }, ir.Size(g.Value(n.Out[0]).Shape))
	if err != nil && b.Poll() == nil {
		return nil, n.Errorf("%v", err)
	}
	return res, err
}

// bigWork is what a product in big integers costs, in those of machine words. Which cells need them is known at run time only.
const bigWork = 64

// sumBig computes the terms in big integers; a cell that leaves int64 is an error.
func sumBig(b *budget.Budget, ts []ir.Term, in func(*ir.Term) [][]int64, size int) ([]int64, error) {
	for i := range ts {
		if err := b.Work(budget.Product(bigWork, ts[i].Work(nil))); err != nil {
			return nil, err
		}
	}
	acc := make([]big.Int, size)
	for i := range ts {
		if err := addBig(b, acc, &ts[i], in(&ts[i])); err != nil {
			return nil, err
		}
	}
	res := make([]int64, size)
	for i := range acc {
		if !acc[i].IsInt64() {
			return nil, fmt.Errorf("cell %d is %s and does not fit 64 bits", i, acc[i].String())
		}
		res[i] = acc[i].Int64()
	}
	return res, nil
}

// addBig adds one term in big integers, cell by cell.
func addBig(b *budget.Budget, acc []big.Int, t *ir.Term, in [][]int64) error {
	dst := strides(t.Out, t.Extents, len(t.Extents))
	steps := make([][]int, len(in))
	for k := range in {
		steps[k] = strides(t.Axes[k], t.Extents, len(t.Extents))
	}
	at := make([]int, len(t.Extents))
	for n := ir.Size(t.Extents); n > 0; n-- {
		if n%(pollAfter/bigWork) == 0 {
			if err := b.Poll(); err != nil {
				return err
			}
		}
		p := big.NewInt(t.ICoef)
		for k := range in {
			p.Mul(p, big.NewInt(in[k][offset(at, steps[k])]))
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

// roundShift is ⌊(a + 2^(s-1)) / 2^s⌋, a for s = 0.
func roundShift(a int64, s int) (int64, bool) {
	if s == 0 {
		return a, true
	}
	half := int64(1) << (s - 1)
	if a > 0 && a+half < 0 {
		return 0, false
	}
	return (a + half) >> s, true
}

func rescale(n *ir.Node, x []int64) ([]int64, error) {
	a := n.Attr.(*ir.RescaleAttr)
	out := make([]int64, len(x))
	for i, v := range x {
		r, ok := roundShift(v, a.Shift)
		if !ok {
			return nil, n.Errorf("cell %d: %d does not fit 64 bits with its rounding", i, v)
		}
		out[i] = min(max(r, a.Lo), a.Hi)
	}
	return out, nil
}

func table(n *ir.Node, x []int64) ([]int64, error) {
	a := n.Attr.(*ir.TableAttr)
	t, err := tables.Eval(a.Fn, a.Lo, a.Hi, a.InScale, a.OutScale)
	if err != nil {
		return nil, n.Errorf("%v", err)
	}
	out := make([]int64, len(x))
	for i, v := range x {
		if v < a.Lo || v > a.Hi {
			return nil, n.Errorf("cell %d: input %d is outside of [%d,%d]", i, v, a.Lo, a.Hi)
		}
		out[i] = t[v-a.Lo]
	}
	return out, nil
}

// rsqrt is the integer r with r²·S ≤ Num < (r+1)²·S, which is ⌊√⌊Num/S⌋⌋.
func rsqrt(n *ir.Node, x []int64) ([]int64, error) {
	a := n.Attr.(*ir.RsqrtAttr)
	out := make([]int64, len(x))
	for i, v := range x {
		s := v + a.Eps
		if v < 0 || s < 1 {
			return nil, n.Errorf("cell %d: %d + %d is not a positive 64-bit number", i, v, a.Eps)
		}
		out[i] = new(big.Int).Sqrt(big.NewInt(a.Num / s)).Int64()
	}
	return out, nil
}

func zkattn(n *ir.Node, in [][]int64, shape []int) ([][]int64, error) {
	a := n.Attr.(*ir.ZkAttnAttr)
	x, w := in[0], shape[len(shape)-1]
	exp := tables.Exp(a.DBits, a.EBits, a.Unit)
	masked := func(int) bool { return false }
	if a.HasMask {
		masked = func(i int) bool { return in[1][i%len(in[1])] != 0 }
	}
	e, inv := make([]int64, len(x)), make([]int64, len(x)/w)
	for r := range inv {
		top, open := int64(0), false
		sigma := make([]int64, w)
		for j := range sigma {
			s, ok := roundShift(x[r*w+j], a.Shift)
			if !ok {
				return nil, n.Errorf("row %d: %d does not fit 64 bits with its rounding", r, x[r*w+j])
			}
			if sigma[j] = s; !masked(r*w+j) && (!open || s > top) {
				top, open = s, true
			}
		}
		if !open {
			return nil, n.Errorf("row %d is all masked", r)
		}
		var sum int64
		for j, s := range sigma {
			if d := top - s; !masked(r*w+j) && d < int64(1)<<a.DBits {
				e[r*w+j] = exp[d]
				sum += exp[d]
			}
		}
		inv[r] = (int64(1) << a.InvBits) / sum
	}
	return [][]int64{e, inv}, nil
}
