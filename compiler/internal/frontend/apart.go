package frontend

import (
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Moves by constant indices that leave axes as they are: a row that is written into a matrix, cells that are taken of every row for itself.

// manyCells is from how many cells on a table of what goes where is made of as few axes as can be.
const manyCells = 1 << 16

// movedApart moves real numbers by tables over the axes along which something moves, where one over all cells would be large.
func movedApart(fold folder) handler {
	whole := moved(fold).handle
	return func(c *call) ([]*val, error) {
		if len(c.in) < 2 || !c.has(0) || !c.has(1) || c.in[1].c == nil || c.in[1].private || !c.in[0].dtype.IsFloat() || c.attrString("reduction", "none") != "none" {
			return whole(c)
		}
		x := c.in[0]
		if c.n.Op == "GatherND" || c.has(2) && len(c.in[2].shape) != len(x.shape) { // axes of the result are others
			return whole(c)
		}
		cells := ir.Size(x.shape)
		if c.has(2) {
			cells += ir.Size(c.in[2].shape)
		}
		if float64(cells)*float64(cells) < manyCells || slices.ContainsFunc(c.in, notFiniteVal) {
			return whole(c)
		}
		from, err := c.sources(fold)
		if err != nil {
			return nil, err
		}
		sides := []*val{x}
		if c.has(2) {
			sides = append(sides, c.in[2])
		}
		var terms []ir.Term
		first := 0
		for _, v := range sides {
			m, err := c.moveOf(v.shape, from, first)
			if err != nil {
				return nil, err
			}
			first += ir.Size(v.shape)
			t, err := m.term(v)
			if err != nil {
				return nil, err
			}
			terms = append(terms, t)
		}
		y := c.einsum(from.Shape, terms...)
		y.dtype = x.dtype
		return []*val{y}, nil
	}
}

// notFiniteVal says that a constant has a cell that no product takes.
func notFiniteVal(v *val) bool {
	return v != nil && v.c != nil && slices.ContainsFunc(v.c.F, notFinite)
}

// move says where the cells of a tensor go in a result of as many axes.
type move struct {
	c        *call
	from, to []int // shapes
	at       []int // for every cell of the result the cell that it is, −1 if it is none of this tensor
	carried  []bool
	free     []bool // of carried axes: nothing else depends on them
}

// moveOf is the move of a tensor whose cells are numbered from first on, and that has as many axes as the result.
func (c *call) moveOf(shape []int, from *onnx.Tensor, first int) (*move, error) {
	rank := len(shape)
	if err := c.charge(1, from.Shape...); err != nil {
		return nil, err
	}
	m := &move{c: c, from: shape, to: from.Shape, at: make([]int, len(from.I)), carried: make([]bool, rank), free: make([]bool, rank)}
	n := ir.Size(shape)
	for i, k := range from.I {
		if m.at[i] = int(k) - first; m.at[i] < 0 || m.at[i] >= n {
			m.at[i] = -1
		}
	}
	strides := rowStrides(shape)
	for a := range rank {
		m.carried[a] = shape[a] == from.Shape[a]
	}
	c.walk(m.to, func(i int, pos []int) {
		for a, p := range pos {
			m.carried[a] = m.carried[a] && (m.at[i] < 0 || m.at[i]/strides[a]%shape[a] == p)
		}
	})
	copy(m.free, m.carried)
	out := rowStrides(m.to)
	c.walk(m.to, func(i int, pos []int) {
		for a, p := range pos {
			if m.free[a] && p > 0 { // as at the first index of the axis, but for this index
				here, there := m.at[i], m.at[i-p*out[a]]
				m.free[a] = here < 0 && there < 0 || here >= 0 && there >= 0 && here == there+p*strides[a]
			}
		}
	})
	return m, nil
}

// term is the tensor times what of it goes where.
func (m *move) term(v *val) (ir.Term, error) {
	id, err := m.c.use(v)
	if err != nil {
		return ir.Term{}, err
	}
	rank := len(m.to)
	t := ir.Term{Coef: 1, In: []int{int(id)}, Axes: [][][]int{make([][]int, rank)}, Out: make([][]int, rank), Extents: make([]int, 2*rank)}
	var dims []int
	var axes [][]int // of the table
	add := func(label, extent int) { dims, axes = append(dims, extent), append(axes, []int{label}) }
	for a := range rank {
		t.Extents[a], t.Extents[rank+a] = m.to[a], 1
		t.Out[a], t.Axes[0][a] = []int{a}, []int{rank + a}
		if m.carried[a] {
			t.Axes[0][a] = []int{a}
		} else {
			t.Extents[rank+a] = m.from[a]
			add(rank+a, m.from[a])
		}
		if !m.free[a] {
			add(a, m.to[a])
		}
	}
	if len(dims) == 0 {
		return t, nil
	}
	table, err := m.table(dims, axes)
	if err != nil {
		return t, err
	}
	t.In, t.Axes = append(t.In, int(m.c.public(m.c.n.Name+".moved", dims, table))), append(t.Axes, axes)
	return t, nil
}

// table is one where a cell goes, along axes of the tensor, whose labels count from the rank on, and of the result.
func (m *move) table(dims []int, axes [][]int) ([]float64, error) {
	if err := m.c.charge(1, dims...); err != nil {
		return nil, err
	}
	cells, strides, rank := make([]float64, ir.Size(dims)), rowStrides(m.from), len(m.to)
	m.c.walk(m.to, func(i int, pos []int) {
		if m.at[i] < 0 {
			return
		}
		k := 0
		for j, axis := range axes {
			if l := axis[0]; l < rank {
				k = k*dims[j] + pos[l]
			} else {
				k = k*dims[j] + m.at[i]/strides[l-rank]%m.from[l-rank]
			}
		}
		cells[k] = 1
	})
	return cells, nil
}
