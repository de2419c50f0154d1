package frontend

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// A model is refused for all that is seen to be in its way, at once: what a refused node would give is unknown, and of the nodes that use it
// it is asked only whether there is such an operator.

// maxRefusals is how many are collected.
const maxRefusals = 256

// collects notes an error if it refuses the model and others may be found: not where time, memory or the whole is the matter.
func (b *builder) collects(err error) bool {
	var u *Unsupported
	var e *budget.Exceeded
	if !errors.As(err, &u) || errors.As(err, &e) || b.left.Poll() != nil || len(b.refusals) >= maxRefusals {
		return false
	}
	b.refusals = append(b.refusals, err)
	return true
}

// refused is what was collected, nil if that is nothing.
func (b *builder) refused() error {
	switch len(b.refusals) {
	case 0:
		return nil
	case 1:
		return b.refusals[0]
	}
	var all ir.Refusals
	for _, err := range b.refusals {
		var u *Unsupported
		if errors.As(err, &u) {
			all = append(all, u)
		}
	}
	return all
}

// tried lowers the node. What a refused one gives is unknown, and what one with an unknown operand does.
func (c *call) tried() ([]*val, error) {
	var err error
	var outs []*val
	if slices.ContainsFunc(c.in, func(v *val) bool { return v != nil && v.unknown }) {
		if !c.exists() {
			err = c.missing()
		}
	} else if i := slices.IndexFunc(c.in, func(v *val) bool { return v != nil && v.unmade != nil }); i >= 0 {
		err = c.in[i].unmade
	} else if outs, err = c.safely(); err == nil {
		return outs, c.sizes(outs)
	}
	if err != nil && !c.b.collects(c.wrap(err)) {
		return nil, c.wrap(err)
	}
	outs = make([]*val, len(c.n.Outputs))
	for i := range outs {
		outs[i] = &val{id: none, dtype: -1, unknown: true}
	}
	return outs, nil
}

// exists says that there is an operator of the node's name.
func (c *call) exists() bool {
	key := c.key()
	return c.function() != nil || spelled[key] != nil || sequences[key] != nil || handlers[key] != nil || folders[key] != nil || graphs[key] != nil
}

// openDim is an axis of an input that has no extent.
type openDim struct {
	input string
	axis  int
	key   string // for --dim
}

func (o *openDim) Error() string {
	return fmt.Sprintf("input %q: axis %d is symbolic: fix it with --dim %s=N, or give lengths for it, --length N,…", o.input, o.axis, o.key)
}

// openDims is the error of several.
func openDims(open []*openDim) error {
	if len(open) == 1 {
		return open[0]
	}
	var axes, flags []string
	for _, o := range open {
		axes = append(axes, fmt.Sprintf("input %q: axis %d is symbolic", o.input, o.axis))
		if flag := fmt.Sprintf("--dim %s=N", o.key); !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	return fmt.Errorf("%s: fix them with %s, or give lengths for one, --length N,…", strings.Join(axes, ", "), strings.Join(flags, " "))
}

// Fill is an input that is fixed without a file: all of its elements are one number, or they count along the last axis, from 0 on.
type Fill struct {
	Number float64
	Count  bool
}

// tensor is the input.
func (f Fill) tensor(in onnx.ValueInfo, shape []int) (*onnx.Tensor, error) {
	n, ok := size(1, shape...)
	if !ok || n > maxTokens {
		return nil, ir.Refuse(in.Name, "input", "has shape %v; at most %d elements are supported", shape, maxTokens)
	}
	cells := make([]float64, ir.Size(shape))
	for i := range cells {
		if cells[i] = f.Number; f.Count {
			cells[i] = float64(i % append([]int{1}, shape...)[len(shape)])
		}
	}
	return TensorOf(in, shape, cells)
}

// TensorOf is an input that is fixed to cells, which its type has.
func TensorOf(in onnx.ValueInfo, shape []int, cells []float64) (*onnx.Tensor, error) {
	if !in.DType.Known() {
		return nil, ir.Refuse(in.Name, "input", "is %s, which is not supported", in.DType)
	}
	rounded := make([]float64, len(cells))
	for i, x := range cells {
		if rounded[i] = x; in.DType.IsFloat() {
			rounded[i] = in.DType.Round(x)
		} else if !isInteger(x) || in.DType.Wrap(portable.Clamp(x)) != portable.Clamp(x) {
			return nil, ir.Refuse(in.Name, "input", "is fixed to %g, and its type is %s", x, in.DType)
		}
	}
	return make1(in.DType, shape, rounded), nil
}

// filled are the options with tensors in place of fills.
func (o Options) filled(m *onnx.Model) (Options, error) {
	if len(o.Fill) == 0 {
		return o, nil
	}
	fix := map[string]*onnx.Tensor{}
	for name, t := range o.Fix {
		fix[name] = t
	}
	b := &builder{opts: o}
	for _, in := range m.Graph.Inputs {
		f, ok := o.Fill[in.Name]
		if !ok {
			continue
		}
		shape, err := b.inputShape(in)
		if err != nil {
			return o, err
		}
		if fix[in.Name], err = f.tensor(in, shape); err != nil {
			return o, err
		}
	}
	o.Fix = fix
	return o, nil
}
