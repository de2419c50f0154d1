package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Inputs of the model become ports of the graph where a node first uses them. What the elements of an input of integers are follows from
// that use: indices into a table are ids, of which there are as many as the table has rows; all else computes with numbers.

// Range bounds the elements of an input.
type Range struct{ Lo, Hi float64 }

// input is an input that is neither an initializer nor fixed.
type input struct {
	onnx.ValueInfo
	shape  []int
	port   *ir.Port   // nil until something uses it
	user   *call      // what used it first
	onehot ir.ValueID // of ids
	guess  bool       // that it is one of ids: of how many is not known in this run
}

// rows is the number of positions or rows that an input has, for limits that follow from a model's length.
func (in *input) rows() int {
	if n := len(in.shape); n == 0 || in.DType.IsFloat() {
		rows := max(1, ir.Size(in.shape[:max(n-1, 0)]))
		if n > 2 {
			rows = max(rows, ir.Size(in.shape)/max(1, in.shape[1])) // the second axis is that of channels, to a convolution
		}
		return rows
	}
	return in.shape[len(in.shape)-1]
}

// enter makes an input known. Its elements may be anything until a node uses it.
func (b *builder) enter(s *scope, info onnx.ValueInfo) error {
	if _, ok := largest[info.DType]; !ok && info.DType != onnx.Bool {
		return ir.Refuse(info.Name, "input", "is %s; inputs are integers, booleans or real numbers, or fixed: --fix %s=FILE.pb", info.DType, info.Name)
	}
	shape, err := b.inputShape(info)
	if err != nil {
		return err
	}
	if n, ok := size(1, shape...); !ok || n > maxTokens {
		return ir.Refuse(info.Name, "input", "has shape %v; at most %d elements are supported", shape, maxTokens)
	}
	if ir.Size(shape) == 0 { // keys and values of no positions before the first, say
		s.vals[info.Name] = noCells(info.Name, info.DType, shape)
		return nil
	}
	in := &input{ValueInfo: info, shape: shape, onehot: none}
	b.inputs = append(b.inputs, in)
	s.vals[info.Name] = &val{name: info.Name, shape: shape, dtype: info.DType, id: none, input: in}
	return nil
}

// keepsInput says whether an operator takes operand i, an input of integers, as it is: it moves its elements, or looks them up.
func (c *call) keepsInput(i int) bool {
	switch c.key() {
	case "Gather":
		return i == 1
	case "OneHot":
		return i == 0
	case "Cast", "CastLike":
		to, err := c.castTo()
		return i == 0 && err == nil && to != onnx.Bool && (!c.in[0].input.DType.IsFloat() || c.in[0].whole || !to.IsFloat())
	case "Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Shape", "Size", "EyeLike":
		return i == 0
	case "Expand":
		return i == 0 && c.has(1) && c.in[1].c != nil && len(c.in[1].c.I) <= len(c.in[0].shape)+1 && c.sameSize()
	}
	return false
}

// casts says that an operator casts what it takes of real numbers, perhaps to integers.
func (c *call) casts() bool { return c.key() == "Cast" || c.key() == "CastLike" || c.key() == "OneHot" }

// sameSize says that an Expand adds axes of extent 1 only.
func (c *call) sameSize() bool {
	shape, err := expandShape(c.in[0].shape, c.in[1].c.I)
	return err == nil && ir.Size(shape) == ir.Size(c.in[0].shape)
}

// numbers makes activations of inputs of the model among the operands, unless the operator takes them as they are.
func (c *call) numbers() error {
	made := map[*val]*val{} // the square of an input is seen as one
	for i, v := range c.in {
		if v == nil || v.input == nil || v.input.DType != onnx.Bool && (!v.input.DType.IsFloat() || v.whole || c.casts()) && c.keepsInput(i) {
			continue
		}
		x, err := made[v], error(nil)
		if x == nil {
			if x, err = c.number(v); err != nil {
				return err
			}
		}
		c.in[i], made[v] = x, x
	}
	return nil
}

// number is an input's elements as an activation.
func (c *call) number(v *val) (*val, error) {
	kind := plan.Integers
	switch {
	case v.input.DType.IsFloat() && !v.whole:
		kind = plan.Reals
	case v.input.DType == onnx.Bool:
		kind = plan.Booleans
	}
	ids := c.b.rowsOf(v.input)
	if kind == plan.Integers && v.input.port != nil && v.input.port.Kind == plan.IDs {
		ids = v.input.port.Vocab()
	}
	if ids == 0 && kind == plan.Integers && v.input.port == nil {
		ids = c.b.indexedRows(v.input)
	}
	if ids > 0 {
		kind = plan.IDs
	}
	p, err := c.decide(v.input, kind, ids)
	if err != nil {
		return nil, err
	}
	for _, n := range [...]*narrowing{v.narrow, v.unsigned} {
		if n != nil && !(kind != plan.Reals && fits(between(p.Lo, p.Hi), n.to)) {
			return nil, n.c.unsupported("casts the input %q in [%g, %g] to %s, which does not keep them; give a narrower range: --range %s=LO:HI", p.Name, p.Lo, p.Hi, n.to, p.Name)
		}
	}
	if kind == plan.IDs {
		x := c.numberOf(v, p)
		x.name, x.dtype = v.name, v.dtype
		return x, nil
	}
	from, extents := ir.IdentityAxes(p.Shape)
	shape := v.shape
	out, left := ir.IdentityAxes(shape)
	if !slices.Equal(extents, left) { // its cells in other rows
		shape, out = p.Shape, from
	}
	x := c.einsum(shape, ir.Term{Coef: 1, Extents: extents, In: []int{int(p.Value)}, Axes: [][][]int{from}, Out: out})
	if !slices.Equal(shape, v.shape) {
		if x, err = c.reshapeTo(x, v.shape); err != nil {
			return nil, err
		}
	}
	x.name, x.dtype = v.name, v.dtype
	return x, nil
}

// decide makes an input a port of a kind; ids are those of a table of n rows. An input is of one kind.
func (c *call) decide(in *input, kind plan.Element, n int) (*ir.Port, error) {
	if in.port == nil {
		p := ir.Port{Name: in.Name, Kind: kind, Shape: in.shape}
		switch r, ok := c.b.opts.Ranges[in.Name]; {
		case kind == plan.IDs:
			p.Hi, p.Shape = float64(n-1), []int{ir.Size(in.shape)}
			if k := len(in.shape); k > 0 {
				p.Rows = ir.Size(in.shape[:k-1])
			}
		case kind == plan.Booleans:
			p.Hi = 1
		case !ok:
			err := c.unsupported("takes the input %q as %s, of which no range is declared; give it, --range %s=LO:HI, or inputs to take it from: --calibrate DATA", in.Name, elements(kind), in.Name)
			if !c.b.collects(err) {
				return nil, err
			}
			if p.Hi = 1; kind == plan.Reals { // what else the model lacks is seen with any
				p.Lo = -1
			}
		case kind == plan.Integers && in.DType.IsFloat(): // the whole numbers in it
			p.Lo, p.Hi = math.Ceil(r.Lo), math.Floor(r.Hi)
		default:
			p.Lo, p.Hi = r.Lo, r.Hi
		}
		if len(p.Shape) == 0 { // a port has an axis
			p.Shape = []int{1}
		}
		if kind == plan.Integers && (p.Lo != math.Trunc(p.Lo) || p.Hi != math.Trunc(p.Hi) || p.Lo < -maxInteger || p.Hi > maxInteger) {
			return nil, ir.Refuse(in.Name, "input", "its range [%g, %g] is none of integers below 2^31; give another: --range %s=LO:HI", p.Lo, p.Hi, in.Name)
		}
		if kind == plan.Integers && !in.DType.IsFloat() && !fits(between(p.Lo, p.Hi), in.DType) {
			return nil, ir.Refuse(in.Name, "input", "its range [%g, %g] is beyond %s; give another: --range %s=LO:HI", p.Lo, p.Hi, in.DType, in.Name)
		}
		p.Value = c.b.g.AddInput(p).ID
		in.port, in.user = &p, c
	}
	switch {
	case kind == plan.IDs && in.port.Kind == plan.Integers:
		return nil, c.indexes(in, n)
	case in.port.Kind != kind:
		return nil, c.unsupported("takes the input %q as %s, and node %q takes it as %s; an input is one of them: export the model with two inputs",
			in.Name, elements(kind), in.user.n.Name, elements(in.port.Kind))
	case kind == plan.IDs && in.port.Vocab() > n:
		return nil, c.indexes(in, n)
	}
	return in.port, nil
}

// noteWholes tells of inputs of real numbers that casts make integers of.
func (b *builder) noteWholes() {
	for _, in := range b.inputs {
		if in.port != nil && in.DType.IsFloat() && in.port.Kind != plan.Reals {
			b.g.Notes = append(b.g.Notes, fmt.Sprintf("the input %q of real numbers is cast to integers: it takes whole numbers", in.Name))
		}
	}
}

func elements(kind plan.Element) string {
	if kind == plan.IDs {
		return "indices of a table"
	}
	return map[plan.Element]string{plan.Integers: "integers", plan.Booleans: "booleans", plan.Reals: "real numbers"}[kind]
}

// inputsInOrder puts the ports in the order of the file.
func (b *builder) inputsInOrder() {
	at := func(p ir.Port) int {
		return slices.IndexFunc(b.inputs, func(in *input) bool { return in.Name == p.Name })
	}
	slices.SortFunc(b.g.Inputs, func(x, y ir.Port) int { return at(x) - at(y) })
}

// maxInteger bounds integers that activations are computed of. What narrower types hold is compared where something is computed.
const maxInteger = 1<<31 - 1

// onIntegers are the operators that do on real numbers what ONNX says of integers and booleans, as long as nothing wraps around.
var onIntegers = map[string]bool{
	"Add": true, "Sub": true, "Mul": true, "Neg": true, "Sum": true, "Where": true, "Max": true, "Min": true, "Cast": true, "CastLike": true,
	"And": true, "Or": true, "Xor": true, "Not": true, "Equal": true, "ReduceMax": true, "ReduceMin": true, "MatMul": true, "ReduceSum": true, "Einsum": true,
	"Identity": true, "Dropout": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true, "Transpose": true, "Expand": true,
	"Tile": true, "Slice": true, "Split": true, "Gather": true, "GatherElements": true, "GatherND": true, "ScatterElements": true, "ScatterND": true,
	"Concat": true, "Trilu": true, "Shape": true, "Size": true, "EyeLike": true, "Pad": true,
	"Greater": true, "Less": true, "GreaterOrEqual": true, "LessOrEqual": true, "Sign": true, "CumSum": true, "OneHot": true,
	"TopK": true, "ArgMax": true, "ArgMin": true, "Div": true, "Mod": true, "Pow": true, "Abs": true, "Clip": true, "Relu": true, "ReduceMean": true, "ReduceSumSquare": true, "ReduceProd": true,
	"DequantizeLinear": true,
}

// computes are those of them whose results may be no operand's cells.
var computes = map[string]bool{"Add": true, "Sub": true, "Mul": true, "Neg": true, "Sum": true, "MatMul": true, "ReduceSum": true, "Einsum": true, "CumSum": true, "Div": true, "Mod": true, "Pow": true, "Abs": true,
	"ScatterElements": true, "ScatterND": true}

// typed refuses operators that round integers, before, and gives results their type, in which narrow ones wrap around, after the node is
// lowered.
func (c *call) typed(lower func() ([]*val, error)) ([]*val, error) {
	integer := slices.IndexFunc(c.in, func(v *val) bool { return v != nil && !v.inputFree() && v.input == nil && !v.dtype.IsFloat() })
	if integer < 0 {
		return lower()
	}
	if !onIntegers[c.key()] && (handlers[c.key()] != nil || spelled[c.key()] != nil) {
		return nil, c.unsupported("computes on %s that depend on an input; cast them to a floating-point type first", c.in[integer].dtype)
	}
	outs, err := lower()
	if err != nil {
		return nil, err
	}
	for k, o := range outs {
		if o == nil || o.unknown || o.inputFree() {
			continue
		}
		switch c.key() {
		case "Cast", "CastLike", "And", "Or", "Xor", "Not", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "DequantizeLinear":
		case "Where":
			o.dtype = c.in[1].dtype
		case "Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND":
			o.dtype = c.in[0].dtype
		case "OneHot":
			o.dtype = c.in[2].dtype
		case "TopK", "ArgMax", "ArgMin":
		case "Pow":
			o.dtype = c.in[0].dtype
		default:
			o.dtype = c.in[integer].dtype
		}
		if o.dtype.IsFloat() || o.indices || empty(o) {
			continue
		}
		i := c.b.integers(o.id)
		if k := slices.IndexFunc(c.in, func(v *val) bool { return v != nil && v.private && !v.dtype.IsFloat() }); i == nil && k >= 0 {
			return nil, c.hiddenIntegers(c.in[k])
		}
		if i == nil || !i.In(-maxInteger, maxInteger) {
			return nil, c.unsupported("its integers may be %s, and those beyond 2^31 may wrap around; cast to a floating-point type first", anyOf(i))
		}
		if computes[c.key()] && !(o.dtype == onnx.Bool && i.In(0, 1)) && !fits(*i, o.dtype) {
			if outs[k] = c.wrapped(o, *i, o.dtype); outs[k] == nil {
				return nil, c.unsupported("its integers may be %s, and those that %s does not hold wrap around; cast to int64 first", anyOf(i), o.dtype)
			}
		}
	}
	return outs, nil
}

// integers bounds the cells of a value of the graph that are all integers, computed of inputs, within their ranges, and of integer
// constants by sums of products; nil where nothing says that they are.
func (b *builder) integers(id ir.ValueID) *interval.Interval {
	if i, ok := b.intervals[id]; ok {
		return i
	}
	var i *interval.Interval
	known := func(x interval.Interval) { i = &x }
	switch v := b.g.Value(id); v.Def.Op {
	case ir.OpInput:
		if p := b.g.InputOf(id); p != nil && p.Kind != plan.Reals {
			known(between(p.Lo, p.Hi))
		}
	case ir.OpConst:
		if len(v.Data) > 0 && !slices.ContainsFunc(v.Data, func(x float64) bool { return !isInteger(x) }) {
			known(between(slices.Min(v.Data), slices.Max(v.Data)))
		}
	case ir.OpOneHot, ir.OpAffine, ir.OpStep:
		known(interval.Of(0, 1))
	case ir.OpMax:
		if x, y := b.integers(v.Def.In[0]), b.integers(v.Def.In[1]); x != nil && y != nil {
			known(x.Larger(*y))
		}
	case ir.OpEinsum:
		i = b.sumOfIntegers(v.Def)
	}
	b.intervals[id] = i
	return i
}

// anyOf says what integers may be.
func anyOf(i *interval.Interval) string {
	if i == nil {
		return "any"
	}
	return "anything in " + i.String()
}

// between is [lo, hi] of two integers of at most 64 bits.
func between(lo, hi float64) interval.Interval {
	return interval.Of(portable.Clamp(lo), portable.Clamp(hi))
}

// isInteger says that a number is an integer of which a float64 holds the neighbours too.
func isInteger(x float64) bool { return x == math.Trunc(x) && math.Abs(x) < 1<<53 }

// sumOfIntegers is integers of a sum of products.
func (b *builder) sumOfIntegers(n *ir.Node) *interval.Interval {
	sum := interval.Of(0, 0)
	for _, t := range n.Attr.(*ir.EinsumAttr).Terms {
		if !isInteger(t.Coef) {
			return nil
		}
		factors := make([]interval.Factor, len(t.In))
		for k, i := range t.In {
			x := b.integers(n.In[i])
			if x == nil {
				return nil
			}
			factors[k] = interval.Factor{Tensor: int(n.In[i]), Axes: t.Axes[k], Bounds: *x, Single: b.single(n.In[i])}
		}
		sum = sum.Plus(interval.Term(portable.Clamp(t.Coef), t.Extents, t.Out, factors))
	}
	return &sum
}

// single is interval.Factor's of a value of integers.
func (b *builder) single(id ir.ValueID) interval.Single {
	switch v := b.g.Value(id); v.Def.Op {
	case ir.OpOneHot:
		return interval.OneHot
	case ir.OpAffine:
		return interval.SolvedBy(b.g.AffineOf(id).Strides, v.Shape)
	case ir.OpConst:
		if b.singles[id] == nil {
			b.singles[id] = interval.SingleCells(v.Data, v.Shape)
		}
		return b.singles[id]
	}
	return nil
}

// isBit says that all cells of a value are 0 or 1.
func (b *builder) isBit(id ir.ValueID) bool {
	i := b.integers(id)
	return i != nil && i.In(0, 1)
}

// bit is an operand that is a boolean: a constant or an activation of zeros and ones. Booleans of the file beside computed ones, a causal mask
// beside one that is an input say, are a condition, and as public as the conditions of a Where; where numbers are made of them besides that
// make them a weight, they are private, and refused here.
func (c *call) bit(v *val) (factor, error) {
	if v.private {
		return factor{}, c.hiddenIntegers(v)
	}
	if v.c != nil && v.mark != nil && v.dtype == onnx.Bool && !v.mark.forced {
		v = constant(v.name, v.c)
	}
	f, err := c.factor(v)
	if err == nil && (f.id == none && f.coef != 0 && f.coef != 1 || f.id != none && !c.b.isBit(f.id)) {
		err = c.unsupported("computes with %q as a boolean, which may have cells other than 0 and 1; if its input has none, say so: --range NAME=0:1", v.called())
	}
	return f, err
}
