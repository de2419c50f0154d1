package frontend

import (
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

func init() { register(handlers, map[string]handler{"ArgMax": argMax}) }

// argMax at the end of a model is what a statement may tell of an output, and no operation: its operand becomes the output, with the axis as
// the last one. Elsewhere it is computed.
func argMax(c *call) ([]*val, error) {
	x, a, err := c.alongAxis(0)
	if err != nil {
		return nil, err
	}
	switch ends := c.s.caller == nil && c.ends(c.n.Outputs[0]); {
	case x.input != nil:
		return nil, c.unsupported("the arg-max of what no operation computed from an input")
	case x.inputFree() || !ends || c.attrInt("select_last_index", 0) != 0 || x.shape[a] == 1: // of one cell nothing need be told
		return c.indexOf(x, a, order{last: c.attrInt("select_last_index", 0) != 0})
	case len(x.shape) == 1: // a row
		x, err = c.reshapeTo(x, []int{1, x.shape[0]})
		if a = 1; err != nil {
			return nil, err
		}
	}
	if last := len(x.shape) - 1; a != last {
		if x, _, err = c.lastAxis(x, a); err != nil {
			return nil, err
		}
	}
	y := *x
	y.dtype, y.indices = onnx.Int64, true
	return []*val{&y}, nil
}

// ends says that a tensor of the model is an output of it, or passed on to one by casts, and used by nothing else.
func (c *call) ends(name string) bool {
	users := c.s.usersOf(name)
	for _, n := range users {
		if !standard(n, c.b.functions) || n.Op != "Identity" && n.Op != "Cast" || len(n.Outputs) != 1 || !c.ends(n.Outputs[0]) {
			return false
		}
	}
	return len(users) > 0 || slices.Contains(c.s.outs, name)
}
