package frontend

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Padding: zeros around a tensor, which windows take for what is outside, or cells that are repeated from within.

// pad adds cells before and behind axes: a number, or cells of the tensor; fewer than none cut.
func pad(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	before, after, err := c.padding(x.shape)
	if err != nil {
		return nil, err
	}
	mode := c.attrString("mode", "constant")
	if mode == "constant" {
		return one(c.padWith(x, before, after))
	}
	for a, d := range x.shape {
		if before[a] == 0 && after[a] == 0 {
			continue
		}
		// What is cut is cut first: what is repeated is what is left.
		first, left := max(0, -before[a]), d-max(0, -before[a])-max(0, -after[a])
		if left < 1 {
			return nil, c.unsupported("it cuts all %d cells of axis %d, of which none is left to be repeated", d, a)
		}
		idx, err := c.span(-max(0, before[a]), before[a]+d+after[a])
		if err != nil {
			return nil, err
		}
		for i := range idx {
			if idx[i], err = reflected(mode, idx[i], left); err != nil {
				return nil, err
			}
			idx[i] += first
		}
		if x, err = c.selectAxis(x, a, idx); err != nil {
			return nil, err
		}
	}
	y := *x
	return []*val{&y}, nil
}

// reflected is the index of the cell that stands at index i, perhaps outside of an axis of extent d.
func reflected(mode string, i, d int) (int, error) {
	switch period := 2 * (d - 1); {
	case mode == "edge":
		return max(0, min(i, d-1)), nil
	case mode == "wrap":
		return (i%d + d) % d, nil
	case mode == "reflect" && d == 1:
		return 0, nil
	case mode == "reflect":
		i = (i%period + period) % period
		return min(i, period-i), nil
	}
	return 0, fmt.Errorf("unknown mode %q", mode)
}

// padding reads how many cells stand before and behind every axis.
func (c *call) padding(shape []int) (before, after []int, err error) {
	pads, _, err := c.intsAttrOr("pads", 1)
	if err != nil {
		return nil, nil, err
	}
	rank := len(shape)
	axes := make([]int64, rank)
	for i := range axes {
		axes[i] = int64(i)
	}
	if axes, err = c.constInts(3, "axes", axes); err != nil {
		return nil, nil, err
	}
	if _, err := axisSet(axes, rank); err != nil {
		return nil, nil, err
	}
	if len(pads) != 2*len(axes) {
		return nil, nil, fmt.Errorf("pads %v for %d axes", pads, len(axes))
	}
	before, after = make([]int, rank), make([]int, rank)
	for i, p := range axes {
		a, _ := axis(p, rank)
		for _, n := range []int64{pads[i], pads[len(axes)+i]} {
			if n > maxWindow || n < -maxWindow {
				return nil, nil, c.unsupported("pads %v; up to 2^24 cells are supported", pads)
			}
		}
		before[a], after[a] = int(pads[i]), int(pads[len(axes)+i])
		if shape[a]+before[a]+after[a] < 1 {
			return nil, nil, c.unsupported("its result has no cells on axis %d", a)
		}
	}
	return before, after, nil
}

// padWith pads with a number.
func (c *call) padWith(x *val, before, after []int) (*val, error) {
	value := c.attrFloat("value", 0)
	if c.has(2) {
		v := c.in[2]
		if v.c == nil || v.c.Len() != 1 {
			return nil, c.unsupported("the cells that are added must be a constant scalar")
		}
		c.b.commit(v)
		value = floats(v.c)[0]
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	t := ir.Term{Coef: 1, In: []int{int(id)}, Axes: [][][]int{nil}}
	inside := ir.Term{Coef: -value}
	var shape []int
	for a, d := range x.shape {
		n := d + before[a] + after[a]
		o := len(t.Extents)
		t.Extents, t.Out, shape = append(t.Extents, n), append(t.Out, []int{o}), append(shape, n)
		if n == d && before[a] == 0 {
			t.Axes[0] = append(t.Axes[0], []int{o})
			continue
		}
		t.Extents = append(t.Extents, d)
		t.Axes[0] = append(t.Axes[0], []int{o + 1})
		v := c.add(ir.OpAffine, c.b.unique("pad"), []int{d, n}, nil, &ir.AffineAttr{Offset: int64(before[a]), Strides: []int64{1, -1}})
		t.In, t.Axes = append(t.In, int(v.ID)), append(t.Axes, [][]int{{o + 1}, {o}})
	}
	if value == 0 {
		y := c.einsum(shape, t)
		y.padded = &padded{x, before, after}
		return y, checkCells(shape)
	}
	inside.Out, inside.Extents = ir.IdentityAxes(shape)
	for a, d := range x.shape {
		if err := c.charge(1, shape[a]); err != nil {
			return nil, err
		}
		if shape[a] == d && before[a] == 0 || shape[a] == 1 {
			continue
		}
		cells := make([]float64, shape[a])
		for i := range cells {
			if i >= before[a] && i < before[a]+d {
				cells[i] = 1
			}
		}
		inside.In = append(inside.In, int(c.public(c.n.Name+".inside", []int{shape[a]}, cells)))
		inside.Axes = append(inside.Axes, [][]int{inside.Out[a]})
	}
	everywhere := product(shape, value)
	y := c.einsum(shape, t, everywhere, inside)
	if i := c.b.integers(id); i != nil && isInteger(value) { // a cell of x, or the number
		c.assert(y, min(i.Lo.Int64(), portable.Clamp(value)), max(i.Hi.Int64(), portable.Clamp(value)))
	}
	return y, checkCells(shape)
}
