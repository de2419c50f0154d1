package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// emptied is a mask that depends on an input, which may leave nothing of a softmax's row. Where the file masks by −∞ such a row is no
// number, and files that expect it put zeros in its place.
type emptied struct {
	by      *onnx.Node
	bits    *val // by cells of the scores; nil where the mask is no −∞, so that its rows are numbers
	keep    bool // what the bits are where a score is kept
	settled bool // the file says what such rows are
}

// masking notes that the node masks by bits, which are keep where a score is kept.
func (c *call) masking(bits *val, keep bool) *emptied {
	e := &emptied{by: c.n, bits: bits, keep: keep}
	c.b.emptied = append(c.b.emptied, e)
	return e
}

// onlyInfinite says that all cells of a constant are −∞.
func onlyInfinite(v *val) bool {
	for _, x := range floats(v.c) {
		if !math.IsInf(x, -1) {
			return false
		}
	}
	return true
}

// sumEmptied is the mask of a sum, the only one among its operands that masks; nil if there are several.
func sumEmptied(operands []*val) (e *emptied) {
	for _, v := range operands {
		switch {
		case v.c != nil && vanishes(v):
			return nil
		case v.emptied != nil && e != nil:
			return nil
		case v.emptied != nil:
			e = v.emptied
		}
	}
	return e
}

// vanishes says that some cell of a constant makes a softmax weight vanish.
func vanishes(v *val) bool {
	for _, x := range floats(v.c) {
		if !(x > maskThreshold) {
			return true
		}
	}
	return false
}

// isNaN is never true, for the IR computes with numbers. Of a softmax it asks for the rows of which a mask leaves nothing; see where.
func isNaN(c *call) ([]*val, error) {
	out, err := neverNaN(c)
	if err == nil {
		out[0].nan = c.in[0].nan
	}
	return out, err
}

// zeroed is what a Where with zeros in place of emptied rows makes of a softmax: the softmax times min(1, number of scores that are kept);
// nil if the node is something else.
func (c *call) zeroed(sides [2]*val) (*val, error) {
	e, zero, p := c.in[0].nan, sides[0], sides[1]
	if e == nil || p.nan != e || zero.c == nil || zero.mark != nil || zero.c.Len() != 1 || floats(zero.c)[0] != 0 {
		return nil, nil
	}
	bits, err := c.factor(e.bits)
	if err != nil {
		return nil, err
	}
	last := len(e.bits.shape) - 1
	shape := append(append([]int{}, e.bits.shape[:last]...), 1)
	kept := product(e.bits.shape, 1, bits)
	kept.Out[last] = []int{}
	terms := []ir.Term{kept}
	if !e.keep {
		terms[0].Coef = -1
		terms = append(terms, product(shape, float64(e.bits.shape[last])))
	}
	open, err := c.above(c.einsum(shape, terms...), -1, -1)
	if err != nil {
		return nil, err
	}
	weights, err := c.factor(p)
	if err != nil {
		return nil, err
	}
	factor, err := c.factor(open)
	e.settled = c.guards(c.n.Inputs[2])
	return c.einsum(p.shape, product(p.shape, 1, weights, factor)), err
}

// guards says that nothing uses a tensor but the node and what asks where it is no number.
func (c *call) guards(name string) bool {
	for _, n := range c.s.usersOf(name) {
		if n != c.n && n.Op != "IsNaN" {
			return false
		}
	}
	return !slices.Contains(c.s.outs, name)
}

// noteMasks tells of the first mask that depends on an input what nothing in a circuit could: the input may empty rows of which the file
// does not say what they are.
func (b *builder) noteMasks() {
	for _, e := range b.emptied {
		if !e.settled {
			b.g.Notes = append(b.g.Notes, fmt.Sprintf("node %q (%s) masks as an input says: a softmax's row of which nothing is left weighs the scores as if none were masked, "+
				"where runtimes differ among themselves; do not rely on such rows", e.by.Name, e.by.Op))
			return
		}
	}
}
