package passes

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Causality is predicted here, so that a circuit is declared causal where it will be one: circuit.Builder.Finish derives it again, from
// the circuit alone, and refuses the declaration where it does not see it. For every value the analysis keeps the set of its time axes: a
// cell depends only on the token ids at positions up to the largest of its indices on these axes. A value without time axes depends on no
// token. Unknown is the value about which nothing is proved.
//
//   - OneHot: axis 0.
//   - Einsum: the labels of the operands' time axes, which must be whole axes of the result. A time label that is summed over is
//     allowed in one case: another operand, a masked softmax, a constant or a map of indices, is zero wherever this label exceeds a label of
//     the result; the term then depends on times up to that.
//   - Elementwise operations: as the inputs together. Norm: as the input, if its last axis is no time axis and its scale and bias depend on no token.
//   - Softmax: as the input without its last axis; where that is a time axis, the mask must cover every position after the row's,
//     and the row's axis becomes a time axis.
type timing struct {
	known bool
	axes  []bool
	// lower is the axis r such that cells with index on the last axis greater than on r are zero; -1 if there is none.
	lower int
}

// Causal sets g.Causal if the graph maps ids to one row per id, and row t provably depends on the ids at positions up to t only.
func Causal(g *ir.Graph) error {
	g.Causal = false
	if len(g.Inputs) != 1 || len(g.Outputs) != 1 || g.Vocab() == 0 {
		return nil
	}
	T := g.Value(g.In()).Shape[0]
	at, seen := make([]timing, len(g.Values)), &looked{Graph: g}
	all := true // known, also what the output does not need: its constraints bind the tokens, too
	for _, n := range g.Nodes {
		at[n.Out[0]] = timeOf(seen, n, at, T)
		all = all && at[n.Out[0]].known
	}
	out := at[g.Out()]
	g.Causal = all && len(out.axes) > 0 && g.Value(g.Out()).Shape[0] == T
	for a, is := range out.axes {
		g.Causal = g.Causal && (!is || a == 0)
	}
	return nil
}

func timeOf(g *looked, n *ir.Node, at []timing, T int) timing {
	rank := len(g.Value(n.Out[0]).Shape)
	r := timing{known: true, axes: make([]bool, rank), lower: -1}
	switch n.Op {
	case ir.OpInput, ir.OpOneHot:
		r.axes[0] = true
	case ir.OpWeight, ir.OpConst, ir.OpAffine:
	case ir.OpNorm:
		r = at[n.In[0]]
		r.lower = -1
		r.known = r.known && !r.axes[rank-1]
		for _, p := range n.In[1:] {
			r.known = r.known && at[p].known && !slices.Contains(at[p].axes, true)
		}
	case ir.OpSoftmax:
		return softmaxTime(g.Graph, n, at[n.In[0]], T)
	case ir.OpEinsum:
		for i, t := range n.Attr.(*ir.EinsumAttr).Terms {
			termTime(g, n, t, at, &r)
			if row := rowOfTerm(n, t, at, rank); i == 0 {
				r.lower = row
			} else if row != r.lower {
				r.lower = -1
			}
		}
	default:
		return elementwiseTime(n, at, r)
	}
	return r
}

// elementwiseTime is the union of the inputs' time axes, if the op table says that the operation works cell by cell.
func elementwiseTime(n *ir.Node, at []timing, r timing) timing {
	info, ok := n.Op.Info()
	r.known = ok && info.Elementwise
	for _, id := range n.In {
		r.known = r.known && at[id].known
		for a, is := range at[id].axes {
			r.axes[a] = r.known && (r.axes[a] || is)
		}
	}
	return r
}

func softmaxTime(g *ir.Graph, n *ir.Node, x timing, T int) timing {
	rank := len(g.Value(n.Out[0]).Shape)
	r := timing{known: x.known, axes: append([]bool(nil), x.axes...), lower: -1}
	if !x.known || rank == 0 || !x.axes[rank-1] {
		return r
	}
	r.axes[rank-1] = false
	if len(n.In) < 2 || rank < 2 || !masksFuture(g.Value(n.In[1]), T) {
		r.known = false
		return r
	}
	r.axes[rank-2], r.lower = true, rank-2
	return r
}

// masksFuture says whether a mask covers every position j > i, for each of its rows i.
func masksFuture(m *ir.Value, T int) bool {
	k := len(m.Shape)
	if k < 2 || m.Shape[k-1] != T || m.Shape[k-2] != T {
		return false
	}
	for c, x := range m.Data {
		if i, j := c/T%T, c%T; j > i && x == 0 {
			return false
		}
	}
	return true
}

// termTime adds the time axes of one term to the result's.
func termTime(g *looked, n *ir.Node, t ir.Term, at []timing, r *timing) {
	outAxis := map[int]int{} // result axes that are one label
	for a, axis := range t.Out {
		if len(axis) == 1 {
			outAxis[axis[0]] = a
		}
	}
	for k, in := range t.In {
		x := at[n.In[in]]
		r.known = r.known && x.known
		for a, is := range x.axes {
			if !is || g.Value(n.In[in]).Shape[a] == 1 { // an axis of one position is time 0
				continue
			}
			if len(t.Axes[k][a]) != 1 {
				r.known = false
				return
			}
			o, ok := outAxis[t.Axes[k][a][0]]
			if !ok {
				o, ok = rowOf(g, n, t, at, t.Axes[k][a][0], outAxis)
			}
			if !ok {
				r.known = false
				return
			}
			r.axes[o] = true
		}
	}
}

// rowOfTerm finds the axis of the result beyond whose index the last axis has zeros, since a factor has; -1 if there is none.
func rowOfTerm(n *ir.Node, t ir.Term, at []timing, rank int) int {
	if rank == 0 || len(t.Out[rank-1]) != 1 {
		return -1
	}
	for k, in := range t.In {
		x := at[n.In[in]]
		if x.lower < 0 {
			continue
		}
		last, row := t.Axes[k][len(t.Axes[k])-1], t.Axes[k][x.lower]
		if len(last) != 1 || len(row) != 1 || last[0] != t.Out[rank-1][0] {
			continue
		}
		for a, axis := range t.Out[:rank-1] {
			if len(axis) == 1 && axis[0] == row[0] {
				return a
			}
		}
	}
	return -1
}

// rowOf finds the result's axis that bounds a summed label: that of the rows of an operand that is zero wherever the label exceeds them.
func rowOf(g *looked, n *ir.Node, t ir.Term, at []timing, label int, outAxis map[int]int) (int, bool) {
	for k, in := range t.In {
		for col, axis := range t.Axes[k] {
			if len(axis) != 1 || axis[0] != label {
				continue
			}
			for row, labels := range t.Axes[k] {
				if len(labels) != 1 || row == col {
					continue
				}
				if o, ok := outAxis[labels[0]]; ok && g.isLower(g.Value(n.In[in]), at[n.In[in]], row, col) {
					return o, true
				}
			}
		}
	}
	return 0, false
}

// maxTriangle bounds the cells of constants and maps that one analysis looks at for zeros. What is beyond is not understood.
const maxTriangle = 1 << 27

// looked is a graph of whose constants and maps a number of cells was looked at.
type looked struct {
	*ir.Graph
	cells int
}

// look says whether so many more cells may be looked at.
func (g *looked) look(cells int) bool {
	g.cells = budget.Sum(g.cells, cells)
	return g.cells <= maxTriangle
}

// isLower says whether a value's cells are zero where the index on axis col is greater than on axis row.
func (g *looked) isLower(v *ir.Value, t timing, row, col int) bool {
	last := len(v.Shape) - 1
	switch a, ok := v.Def.Attr.(*ir.AffineAttr); {
	case ok:
		return g.look(ir.Size(v.Shape)/v.Shape[col]) && a.Lower(v.Shape, row, col)
	case v.Def.Op == ir.OpConst && g.look(len(v.Data)):
		for i, x := range v.Data {
			if x != 0 && i/ir.Size(v.Shape[col+1:])%v.Shape[col] > i/ir.Size(v.Shape[row+1:])%v.Shape[row] {
				return false
			}
		}
		return true
	}
	return t.lower == row && col == last
}
