package quant

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
)

// A model at several lengths is one model: its weights are committed to once, so that every length needs the same integers for them, and a
// prompt must get the same answer whichever length it is proved at. So nothing is chosen for a shorter length. Its graph is the longest
// one's but for extents, and its program follows that program value by value: with what calibration measured there, with its widths and
// scales, and with its bounds, which hold for fewer positions too.

// choices are what a program was made with, for those that follow it.
type choices struct {
	cal       *Calibration
	commit    map[ir.ValueID]bool
	widths    map[string]int
	roundNorm [2]bool
	far       bool // sums may be wide
}

// Follow makes the integer program of a graph that is the one of another program at a shorter length, with the scales, widths, tables and
// weights of that program; whole is the graph that it was prepared of. It refuses a graph that differs from that in more than extents. A
// weight of which the shorter length needs the first cells of some axes alone, a table of positions, stays whole and is read through maps
// of indices.
func Follow(left *budget.Budget, long *Program, whole, g *ir.Graph) (*Program, error) {
	given, f := arrange(whole), arrange(g)
	if err := alike(given, f); err != nil {
		return nil, err
	}
	for i, v := range f.Values {
		w, prepared := given.Values[i], long.Float.Values[i]
		if v.Name = w.Name; v.Def.Op != ir.OpWeight {
			continue
		}
		same, err := begins(w.Reals(), w.Shape, v.Reals(), v.Shape)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, v.Def.Errorf("the cells of its weight %q depend on the length; compile it for one length, or export it with a table of which each length reads the beginning", v.Name)
		}
		v.Data, v.Stored = nil, weights.Corner(prepared.Reals(), w.Shape, v.Shape) // once for all lengths
	}
	q := newQuantiser(left, f, long.choices, false)
	q.longest = long
	p, err := q.run()
	if err != nil {
		return nil, err
	}
	if err := alike(long.Int, p.Int); err != nil {
		return nil, err
	}
	p.Report = long.Report
	return p, p.readTables(long.Int)
}

// alike refuses a graph that differs from another one in more than extents, the cells of constants and maps of indices; of a program also
// in scales and bounds.
func alike(long, short *ir.Graph) error {
	for i, n := range short.Nodes {
		if i == len(long.Nodes) {
			return unlike(n, "has no counterpart at the longest length")
		}
		m := long.Nodes[i]
		if n.Op != m.Op || !slices.Equal(n.In, m.In) || !slices.Equal(n.Out, m.Out) {
			return unlike(n, "stands where the longest length has node %q (%s)", m.Origin, m.Named())
		}
		if !sameAttr(m.Attr, n.Attr) {
			return unlike(n, "computes something else at the longest length")
		}
		for _, o := range n.Out {
			v, w := short.Value(o), long.Value(o)
			if len(v.Shape) != len(w.Shape) || v.Scale != w.Scale || v.Bounds().String() != w.Bounds().String() {
				return unlike(n, "has a result of shape %v, and one of shape %v at the longest length", v.Shape, w.Shape)
			}
		}
	}
	if len(short.Nodes) < len(long.Nodes) {
		return unlike(long.Nodes[len(short.Nodes)], "has no counterpart at a shorter length")
	}
	for i, p := range short.Outputs {
		if i >= len(long.Outputs) || p.Value != long.Outputs[i].Value {
			return unlike(short.Value(p.Value).Def, "gives an output, and at the longest length another node does")
		}
	}
	return nil
}

func unlike(n *ir.Node, format string, args ...any) error {
	return n.Errorf("%s; what it computes depends on the length in more than how many positions there are: compile the lengths one by one", fmt.Sprintf(format, args...))
}

// sameAttr compares attributes but for extents and equations between indices.
func sameAttr(a, b ir.Attr) bool {
	switch x := a.(type) {
	case *ir.AffineAttr:
		_, ok := b.(*ir.AffineAttr)
		return ok
	case *ir.EinsumAttr:
		y, ok := b.(*ir.EinsumAttr)
		return ok && slices.EqualFunc(x.Terms, y.Terms, func(s, t ir.Term) bool {
			same := len(s.Extents) == len(t.Extents)
			s.Extents, t.Extents = nil, nil
			return same && reflect.DeepEqual(s, t)
		})
	}
	return reflect.DeepEqual(a, b)
}

// begins says that the cells of a box of shape short are those of a box of shape long that have the least indices.
func begins(long weights.Reals, longShape []int, short weights.Reals, shape []int) (same bool, err error) {
	for a := range shape {
		if len(shape) != len(longShape) || shape[a] > longShape[a] {
			return false, nil
		}
	}
	if weights.Identical(long, short) && slices.Equal(longShape, shape) {
		return true, nil
	}
	corner, same := weights.Corner(long, longShape, shape), true
	other := make([]float64, short.Len())
	if err := short.Read(other, 0); err != nil {
		return false, err
	}
	err = weights.Each(corner, func(from int, cells []float64) error {
		same = same && slices.Equal(cells, other[from:from+len(cells)])
		return nil
	})
	return same, err
}

// follow gives results of a node that is about to be added the bounds that the longest length's have.
func (q *quantiser) follow(n *ir.Node, v *ir.Value) {
	if q.longest == nil {
		return
	}
	if int(v.ID) >= len(q.longest.Int.Values) || q.longest.Int.Value(v.ID).Def.Op != v.Def.Op {
		q.fail(unlike(n, "needs other operations than at the longest length"))
		return
	}
	w := q.longest.Int.Value(v.ID)
	here, there := v.Bounds(), w.Bounds()
	if here.Lo.Cmp(there.Lo) < 0 || here.Hi.Cmp(there.Hi) > 0 {
		q.fail(unlike(n, "has integers in %v, and in %v at the longest length", here, there))
		return
	}
	v.CopyBounds(w)
}

// sameCells are the cells of a weight that the longest length has already, or the first of them.
func (q *quantiser) sameCells(v *ir.Value) weights.Integers {
	if int(v.ID) >= len(q.longest.Int.Values) {
		return nil // follow refuses it
	}
	w := q.longest.Int.Value(v.ID)
	if w.Short == nil || len(w.Shape) != len(v.Shape) {
		return nil // so it does
	}
	return weights.Corner(w.Short, w.Shape, v.Shape)
}

// whole is a value of the float graph at the longest length.
func (q *quantiser) whole(v *ir.Value) *ir.Value {
	if q.longest == nil {
		return v
	}
	return q.longest.Float.Value(v.ID)
}

// readTables gives weights that are shorter than the longest length's their whole shape, and has each node that uses one read the cells
// that it needs: through a map of indices for every axis that is shorter.
func (p *Program) readTables(long *ir.Graph) error {
	r := &tableReader{from: p.Int, to: &ir.Graph{Name: p.Int.Name, Stage: ir.StageInt, Causal: p.Int.Causal, Inputs: p.Int.Inputs, Outputs: p.Int.Outputs}, long: long, at: make([]ir.ValueID, len(p.Int.Values))}
	for _, n := range p.Int.Nodes {
		r.node(n)
	}
	for _, ports := range [][]ir.Port{r.to.Inputs, r.to.Outputs} {
		for i := range ports {
			ports[i].Value = r.at[ports[i].Value]
		}
	}
	p.Int, p.Of, p.Why, p.Approximates = r.to, rekeyed(p.Of, r.at), rekeyed(p.Why, r.at), rekeyed(p.Approximates, r.at)
	return ir.Verify(p.Int)
}

func rekeyed[T any](m map[ir.ValueID]T, at []ir.ValueID) map[ir.ValueID]T {
	out := make(map[ir.ValueID]T, len(m))
	for id, x := range m {
		out[at[id]] = x
	}
	return out
}

// tableReader copies a program.
type tableReader struct {
	from, to, long *ir.Graph
	at             []ir.ValueID // old value → new value
}

func (r *tableReader) node(n *ir.Node) {
	in := make([]ir.ValueID, len(n.In))
	for i, id := range n.In {
		if in[i] = r.at[id]; n.Op != ir.OpWeight && !slices.Equal(r.from.Value(id).Shape, r.to.Value(in[i]).Shape) {
			in[i] = r.read(n, r.to.Value(in[i]), r.from.Value(id).Shape)
		}
	}
	m := &ir.Node{Op: n.Op, Origin: n.Origin, Operator: n.Operator, Tensors: n.Tensors, In: in, Attr: n.Attr}
	for _, o := range n.Out {
		v := r.from.Value(o)
		w := r.to.NewValue(v.Name, v.Shape)
		w.Scale, w.Ints, w.Short, w.Def = v.Scale, v.Ints, v.Short, m
		w.CopyBounds(v)
		if n.Op == ir.OpWeight {
			w.Shape, w.Short = r.long.Value(o).Shape, r.long.Value(o).Short
		}
		m.Out, r.at[o] = append(m.Out, w.ID), w.ID
	}
	r.to.Nodes = append(r.to.Nodes, m)
}

// read adds the cells of a table that have the least indices.
func (r *tableReader) read(n *ir.Node, table *ir.Value, shape []int) ir.ValueID {
	out, extents := ir.IdentityAxes(shape)
	axes := slices.Clone(out)
	t := ir.Term{ICoef: 1, Coef: 1, Out: out, In: []int{0}}
	in := []ir.ValueID{table.ID}
	for a, d := range table.Shape {
		if d == shape[a] {
			continue
		}
		l := len(extents)
		extents, axes[a] = append(extents, d), []int{l}
		same := r.to.Derive(n, ir.OpAffine, table.Name+".positions", []int{shape[a], d}, nil, &ir.AffineAttr{Strides: []int64{1, -1}})
		same.Hi = 1
		t.In, t.Axes, in = append(t.In, len(in)), append(t.Axes, [][]int{out[a], {l}}), append(in, same.ID)
	}
	t.Extents, t.Axes = extents, append([][][]int{axes}, t.Axes...)
	v := r.to.Derive(n, ir.OpEinsum, table.Name+".read", shape, in, &ir.EinsumAttr{Terms: []ir.Term{t}})
	v.Scale, v.Lo, v.Hi = table.Scale, table.Lo, table.Hi
	return v.ID
}
