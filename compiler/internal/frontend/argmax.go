package frontend

import (
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

func init() { register(handlers, map[string]handler{"ArgMax": argMax}) }

// argMax is what a statement may tell of an output, and no operation: its operand becomes the output.
func argMax(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	last := len(x.shape) - 1
	axis := c.attrInt("axis", 0)
	switch ends := c.s.caller == nil && c.ends(c.n.Outputs[0]); {
	case x.inputFree() || x.input != nil:
		return nil, c.unsupported("the arg-max of what no operation computed from an input")
	case last < 0 || axis != int64(last) && axis != -1:
		return nil, c.unsupported("an arg-max along axis %d of %d; it is supported along the last", axis, last+1)
	case c.attrInt("select_last_index", 0) != 0:
		return nil, c.unsupported("the last index of several; statements tell the first: export the model without select_last_index")
	case !ends:
		return nil, c.unsupported("something is computed from the index; it is supported as an output of the model alone, of which statements tell it (--reveal argmax)")
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
