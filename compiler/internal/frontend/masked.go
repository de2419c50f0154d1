package frontend

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
)

// maskedSum is scores and a constant with cells that mask, infinite or far, which is added to them and which only a softmax makes something of: no
// product may meet infinity, and no scale holds both. What is joined to such scores is joined to them without it, and a joined mask is added.
type maskedSum struct {
	c     *call
	shape []int     // of the scores
	rest  []ir.Term // what is left of them; none where a constant masks by itself
	dims  []int     // of the mask, which broadcasts to the scores
	cells []float64
}

// maskedOf is what terms are if one of them is such a constant, nil if none is or several are.
func (c *call) maskedOf(shape []int, terms []ir.Term) (m *maskedSum) {
	for i, t := range terms {
		if len(t.In) != 1 {
			continue
		}
		v := c.b.g.Value(ir.ValueID(t.In[0]))
		if v.Def.Op != ir.OpConst || !slices.ContainsFunc(v.Data, masksCell) {
			continue
		}
		if m != nil || t.Coef != 1 {
			return nil
		}
		m = &maskedSum{c: c, shape: shape, rest: slices.Delete(slices.Clone(terms), i, i+1), dims: v.Shape, cells: v.Data}
	}
	return m
}

// maskedBy is what a sum of the node's operands is if one of them is masked scores, nil if none is or several are. terms has those of the operands.
func (c *call) maskedBy(shape []int, terms []ir.Term) *maskedSum {
	by := -1
	for i, v := range c.in {
		if v != nil && v.masked != nil {
			if by >= 0 {
				return nil
			}
			by = i
		}
	}
	if by < 0 || len(terms) != len(c.in) || len(c.in[by].masked.rest) == 0 {
		return nil
	}
	m := c.in[by].masked
	rest := slices.Clone(terms)
	rest[by] = product(shape, 1, only(m.c.einsum(m.shape, m.rest...)))
	return &maskedSum{c: c, shape: shape, rest: rest, dims: m.dims, cells: m.cells}
}

func masksCell(x float64) bool { return math.IsInf(x, 0) || x <= masks }

// maskedPart is maskedOf of a value.
func (c *call) maskedPart(v *val) *maskedSum {
	if v.masked == nil && v.c != nil && v.mark == nil && slices.ContainsFunc(v.c.F, masksCell) {
		return &maskedSum{c: c, shape: v.shape, dims: v.shape, cells: v.c.F}
	}
	return v.masked
}

// joinMasked joins values along an axis, some of which are masked; shape is the result's.
func (c *call) joinMasked(parts []*val, shape []int, axis, block int) (*val, error) {
	dims := slices.Repeat([]int{1}, len(shape))
	for _, v := range parts {
		if m := c.maskedPart(v); m != nil {
			for i, d := range m.dims {
				k := len(shape) - len(m.dims) + i
				dims[k] = max(dims[k], d)
			}
		}
	}
	dims[axis] = shape[axis]
	if err := c.charge(1, dims...); err != nil {
		return nil, err
	}
	cells := make([]float64, ir.Size(dims))
	var terms []ir.Term
	at := 0
	for _, v := range parts {
		from := at
		at += v.shape[axis]
		if m := c.maskedPart(v); m != nil {
			c.walk(dims, func(i int, pos []int) {
				if pos[axis] >= from && pos[axis] < at {
					cells[i] = m.at(pos, axis, from)
				}
			})
			if len(m.rest) == 0 {
				continue
			}
			v = m.c.einsum(m.shape, m.rest...)
		}
		t, err := c.placed(v, shape, axis, from, block)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	mask := c.public(c.n.Name+".mask", dims, cells)
	terms = append(terms, product(shape, 1, factor{coef: 1, id: mask, shape: dims}))
	y := c.einsum(shape, terms...)
	y.masked = c.maskedOf(shape, terms)
	return y, nil
}

// at is the mask's cell at a position of joined values, of which these begin at an index of the axis.
func (m *maskedSum) at(pos []int, axis, from int) float64 {
	k := 0
	for i, d := range m.dims {
		a := len(pos) - len(m.dims) + i
		p := pos[a]
		if a == axis {
			p -= from
		}
		k = k*d + min(p, d-1)
	}
	return m.cells[k]
}

// hides says that the constant leaves cells as they are, or is beyond all scores: beside that nothing is left of them.
func (m *maskedSum) hides() bool {
	return m.onlyMasks() && !slices.ContainsFunc(m.cells, func(x float64) bool { return x != 0 && !(x <= beyondScores) })
}

// behindMask are the scores, of which an order puts those that are masked behind all others.
func (c *call) behindMask(m *maskedSum) (*val, error) {
	if err := c.charge(1, m.dims...); err != nil {
		return nil, err
	}
	bits := make([]float64, len(m.cells))
	for i, x := range m.cells {
		bits[i] = float64(bit(x != 0))
	}
	id := c.public(c.n.Name+".masked", m.dims, bits)
	return c.behind(m.shape, factor{coef: 1, id: id, shape: m.dims}, m.c.einsum(m.shape, m.rest...), true)
}
