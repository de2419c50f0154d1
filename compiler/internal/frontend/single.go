package frontend

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// Constants are computed in double precision, runtimes compute them in their own type, and where a number is cut off or compared the two may
// go apart by a whole step: ⌊10·0.1⌋ is 1 in single precision and 0 in double. So a constant that its type does not hold goes with another
// tensor, its cells as runtimes have them: rounded to the type after every operator. It counts wherever an operator decides. What is
// computed without decisions stays as exact as it was.

// deciding are the operators on real numbers whose results are a step apart where their operands are next to none. All others with results of
// integers and booleans are, too.
var deciding = map[string]bool{"Floor": true, "Ceil": true, "Round": true, "Sign": true, "Mod": true, "Range": true, "OneHot": true}

// folded runs a folder on constants and on what their types hold of them, nil where that is the same, and returns both kinds of results.
func (c *call) folded(f folder, in, single []*onnx.Tensor) (ts, ss []*onnx.Tensor, err error) {
	if !slices.ContainsFunc(single, func(t *onnx.Tensor) bool { return t != nil }) {
		if ts, err = c.run(f, in); err != nil {
			return nil, nil, err
		}
		ss, err = c.rounded(ts)
		return ts, ss, err
	}
	held := slices.Clone(in)
	for i, t := range single {
		if t != nil {
			held[i] = t
		}
	}
	if ss, err = c.run(f, held); err != nil {
		return nil, nil, err
	}
	rounded, err := c.rounded(ss)
	if err != nil {
		return nil, nil, err
	}
	for i, t := range rounded {
		if t != nil {
			ss[i] = t
		}
	}
	decides := func(t *onnx.Tensor) bool { return t == nil || !t.DType.IsFloat() || deciding[c.n.Op] }
	if !slices.ContainsFunc(ss, func(t *onnx.Tensor) bool { return !decides(t) }) {
		return ss, make([]*onnx.Tensor, len(ss)), nil
	}
	if ts, err = c.run(f, in); err != nil {
		return nil, nil, err
	}
	for i, t := range ss {
		switch {
		case decides(t) || !slices.Equal(t.Shape, ts[i].Shape):
			ts[i], ss[i] = t, nil
		case slices.EqualFunc(t.F, ts[i].F, alikeBits):
			ss[i] = nil
		}
	}
	return ts, ss, nil
}

// rounded are tensors in the precision of their types, nil where they are that already.
func (c *call) rounded(ts []*onnx.Tensor) ([]*onnx.Tensor, error) {
	out := make([]*onnx.Tensor, len(ts))
	for i, t := range ts {
		if t == nil || t.DType == onnx.Float64 {
			continue
		}
		for k, x := range t.F {
			c.poll(k)
			y := t.DType.Round(x)
			if out[i] == nil {
				if alikeBits(x, y) {
					continue
				}
				if err := c.charge(1, t.Shape...); err != nil {
					return nil, err
				}
				r := *t
				r.F = slices.Clone(t.F)
				out[i] = &r
			}
			out[i].F[k] = y
		}
	}
	return out, nil
}

// alikeBits says that two cells are the same, no numbers among them.
func alikeBits(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }

// singles are the operands as their types hold them, nil where they are that already, or where private ones need not be known as that.
func (c *call) singles(private bool) ([]*onnx.Tensor, error) {
	out := make([]*onnx.Tensor, len(c.in))
	for i, v := range c.in {
		if v == nil {
			continue
		}
		if v.single == nil && private && v.thin != nil {
			t, err := v.thin()
			if err != nil {
				return nil, err
			}
			v.single, v.thin = t, nil
		}
		out[i] = v.single
	}
	return out, nil
}

// decides says that the results of an operator on weights may be a step apart where its operands are next to none.
func (c *call) decides() bool {
	if deciding[c.n.Op] {
		return true
	}
	switch c.n.Op {
	case "Cast", "CastLike":
		to, err := c.castTo()
		return err == nil && !to.IsFloat() && c.in[0] != nil && c.in[0].dtype.IsFloat()
	case "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual":
		return slices.ContainsFunc(c.in, func(v *val) bool { return v != nil && v.dtype.IsFloat() })
	}
	return false
}

// thin computes result i of an operator on private weights as its type holds it.
func (c *call) thin(f folder, i int) func() (*onnx.Tensor, error) {
	return func() (*onnx.Tensor, error) {
		_, ss, err := c.forced(f, true)
		if err != nil {
			return nil, c.wrap(err)
		}
		return ss[i], nil
	}
}
