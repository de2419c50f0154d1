package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// GatherElements, GatherND and ScatterElements by indices that are computed from inputs: products with their rows.

// along is the handler of an operator that moves cells along an axis, or that of constant indices where they are constants.
func along(constant handler) handler {
	return func(c *call) ([]*val, error) {
		if len(c.in) < 2 || c.in[0] == nil || c.in[1] == nil || c.in[1].inputFree() {
			return constant(c)
		}
		x, p := c.in[0], c.in[1]
		if c.n.Op == "GatherND" {
			return one(c.gatherAt(x, p))
		}
		switch {
		case c.n.Op == "ScatterElements" && c.has(2):
		case c.n.Op != "GatherElements":
			return nil, c.unsupported("the indices depend on an input; constants are supported, and of ScatterElements others: export the model with that")
		}
		a, err := axis(c.attrInt("axis", 0), len(x.shape))
		if err != nil || len(p.shape) != len(x.shape) {
			return nil, fmt.Errorf("indices of shape %v for shape %v: %w", p.shape, x.shape, err)
		}
		for k, d := range p.shape {
			switch {
			case k == a || d == x.shape[k]:
			case d > x.shape[k]:
				return nil, fmt.Errorf("indices of shape %v for shape %v", p.shape, x.shape)
			case c.n.Op != "GatherElements":
				return nil, c.unsupported("indices of shape %v that depend on an input, for a tensor of shape %v; give them its shape but for axis %d", p.shape, x.shape, a)
			default: // cells behind the indices are not reached
				at, err := c.span(0, d)
				if err != nil {
					return nil, err
				}
				dtype := x.dtype
				if x, err = c.selectAxis(x, k, at); err != nil {
					return nil, err
				}
				x.dtype = dtype
			}
		}
		if p, err = c.index(p, x.shape[a]); err != nil {
			return nil, err
		}
		if c.n.Op == "GatherElements" {
			if y, err := c.uniform(x, p.shape); y != nil || err != nil {
				return one(y, err)
			}
		}
		hot, err := c.rowsOfAxis(p, x.shape[a])
		if err != nil {
			return nil, err
		}
		if c.has(2) {
			return one(c.scatterAlong(x, hot, c.in[2], a))
		}
		return one(c.gatherAlong(x, hot, a))
	}
}

// gatherAt is GatherND: the first axes of x are one, and the indices on them one number.
func (c *call) gatherAt(x, p *val) (*val, error) {
	last := len(p.shape) - 1
	if c.attrInt("batch_dims", 0) != 0 || last < 0 || p.shape[last] > len(x.shape) {
		return nil, c.unsupported("indices of shape %v that depend on an input, for a tensor of shape %v and batches; export the model without batch_dims", p.shape, x.shape)
	}
	axes, shape, all := p.shape[last], p.shape[:last], 1
	var terms []ir.Term
	for a := axes - 1; a >= 0; a-- {
		part, err := c.partOf(p, a)
		if err != nil {
			return nil, err
		}
		if part.c != nil {
			at, err := c.indices(part.c, a, x.shape)
			if err != nil {
				return nil, err
			}
			cells := make([]float64, len(at))
			for i, k := range at {
				cells[i] = float64(k * all)
			}
			terms = append(terms, product(shape, 1, factor{coef: 1, id: c.public(c.n.Name+".index", shape, cells), shape: shape}))
		} else {
			if part, err = c.index(part, x.shape[a]); err != nil {
				return nil, err
			}
			terms = append(terms, product(shape, float64(all), only(part)))
		}
		all *= x.shape[a]
	}
	at := c.assert(c.einsum(shape, terms...), 0, int64(all)-1)
	rows, err := c.reshapeTo(x, append([]int{all}, x.shape[axes:]...))
	if err != nil {
		return nil, err
	}
	return c.gatherBy(rows, at, 0)
}

// partOf is the indices on axis a, as those that were joined where they were.
func (c *call) partOf(p *val, a int) (*val, error) {
	last := len(p.shape) - 1
	part := (*val)(nil)
	if len(p.parts) > 0 {
		if part = p.parts[a]; part.c != nil {
			t := *part.c
			t.Shape = p.shape[:last]
			return constant(part.name, &t), nil
		}
	} else {
		var err error
		if part, err = c.selectAxis(p, last, []int{a}); err != nil {
			return nil, err
		}
	}
	return c.reshapeTo(part, p.shape[:last])
}

// labelsAlong are the labels of the axes of indices, and of x, whose axis a has one of its own, the last.
func labelsAlong(hot *val, a int) (indices, x [][]int, extents []int) {
	axes, ext := ir.IdentityAxes(hot.shape)
	last := len(hot.shape) - 1
	x = append([][]int{}, axes[:last]...)
	x[a] = axes[last]
	return axes[:last], x, ext
}

// gatherAlong is x at indices of axis a, whose rows are hot.
func (c *call) gatherAlong(x, hot *val, a int) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	indices, of, ext := labelsAlong(hot, a)
	last := len(hot.shape) - 1
	y := c.einsum(hot.shape[:last], ir.Term{Coef: 1, Extents: ext, In: []int{int(hot.id), int(id)}, Axes: [][][]int{append(append([][]int{}, indices...), of[a]), of}, Out: indices})
	if i := c.b.integers(id); i != nil { // a cell of x
		c.b.intervals[y.id] = i
	}
	return y, nil
}

// scatterAlong is x with updates at indices of axis a, whose rows are hot, or with their sums added.
func (c *call) scatterAlong(x, hot, updates *val, a int) (*val, error) {
	how := c.attrString("reduction", "none")
	if how != "none" && how != "add" {
		return nil, c.unsupported("a reduction by %s at indices that depend on an input; none and add are supported", how)
	}
	if y, err := c.scatterMask(x, hot, updates, a); y != nil || err != nil {
		return y, err
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	up, err := c.use(updates)
	if err != nil {
		return nil, err
	}
	indices, of, ext := labelsAlong(hot, a)
	row := append(append([][]int{}, indices...), of[a])
	if x.dtype == onnx.Bool {
		return c.scatterBits(x, updates, how, ir.Term{Coef: 1, Extents: ext, In: []int{int(hot.id)}, Axes: [][][]int{row}, Out: of})
	}
	terms := []ir.Term{product(x.shape, 1, factor{coef: 1, id: id, shape: x.shape}),
		{Coef: 1, Extents: ext, In: []int{int(hot.id), int(up)}, Axes: [][][]int{row, indices}, Out: of}}
	if how == "none" { // which takes away what stood there
		terms = append(terms, ir.Term{Coef: -1, Extents: ext, In: []int{int(hot.id), int(id)}, Axes: [][][]int{row, of}, Out: of})
		c.b.scattered = append(c.b.scattered, c)
	}
	return c.einsum(x.shape, terms...), nil
}

// scatterMask is scores that are hidden where indices point, or scores of which all but those are, as an attention to few blocks opens them: −∞, or a number
// beyond all scores, that is written into others or is written into by zeros. Where nothing but softmax weights and greatest scores are made of it, it takes
// maskWeight off what it hides; nil is something else.
func (c *call) scatterMask(x, hot, updates *val, a int) (*val, error) {
	if !x.dtype.IsFloat() || c.attrString("reduction", "none") != "none" {
		return nil, nil
	}
	opens := hides(x) && updates.c != nil && updates.mark == nil && !slices.ContainsFunc(floats(updates.c), func(v float64) bool { return v != 0 })
	closes := hides(updates) && !x.inputFree()
	if !opens && !closes || !c.onlyMasks() {
		return nil, nil
	}
	indices, of, ext := labelsAlong(hot, a)
	row := append(append([][]int{}, indices...), of[a])
	hits := c.einsum(x.shape, ir.Term{Coef: 1, Extents: ext, In: []int{int(hot.id)}, Axes: [][][]int{row}, Out: of})
	c.masking(nil, opens)
	if closes {
		scores, err := c.factor(x)
		return c.einsum(x.shape, product(x.shape, 1, scores), product(x.shape, -maskWeight, only(hits))), err
	}
	hit := only(c.greater(x.shape, only(hits), factor{id: none})) // however often indices point there
	return c.einsum(x.shape, product(x.shape, maskWeight, hit), product(x.shape, -maskWeight)), nil
}

// scatterBits is x with one boolean wherever some index points; hits counts these. However often that is, what comes out is a boolean.
func (c *call) scatterBits(x, update *val, how string, hits ir.Term) (*val, error) {
	if how != "none" || update.c == nil || update.mark != nil || len(update.c.I) == 0 || slices.ContainsFunc(update.c.I, func(b int64) bool { return b != update.c.I[0] }) {
		return nil, c.unsupported("writes booleans where indices that depend on an input say; of these, one constant is supported: scatter numbers, and compare them")
	}
	bits, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	hit := only(c.greater(x.shape, only(c.einsum(x.shape, hits)), factor{id: none}))
	terms := []ir.Term{product(x.shape, 1, bits), product(x.shape, -1, bits, hit)}
	if update.c.I[0] != 0 {
		terms = append(terms, product(x.shape, 1, hit))
	}
	y, err := c.boolean(x.shape, terms...)
	if err != nil {
		return nil, err
	}
	return y[0], nil
}

// noteScatters tells of the first update by indices that must differ.
func (b *builder) noteScatters() {
	for _, c := range b.scattered[:min(1, len(b.scattered))] {
		b.g.Notes = append(b.g.Notes, fmt.Sprintf("node %q (%s) writes where indices that depend on an input say: ONNX wants them to be different, and where they are not, "+
			"what is written there is no update", c.n.Name, c.key()))
	}
}
