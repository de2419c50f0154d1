package frontend

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// call is one node on its way into the graph.
type call struct {
	b       *builder
	n       *onnx.Node
	s       *scope
	in      []*val // nil where an optional input is absent
	opset   int64
	opsets  []onnx.Opset
	fnAttrs []*onnx.Attr
}

// handler lowers one operator on activations. It returns the node's outputs; outputs that it does not compute are nil.
type handler func(c *call) ([]*val, error)

// handlers holds the operators that may stand on activations, by "domain.op", or "op" for the standard domain.
var handlers = map[string]handler{}

// folder computes one operator on constants.
type folder func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error)

// folders holds the operators that may stand on constants.
var folders = map[string]folder{}

// movements are the operators that a private weight may pass through without becoming another weight: they turn into axes and
// coefficients of the Einsum that uses it.
var movements = map[string]bool{"Identity": true, "Cast": true, "Transpose": true, "Reshape": true, "Squeeze": true,
	"Unsqueeze": true, "Flatten": true, "Expand": true, "Neg": true, "Dropout": true}

func register(m map[string]handler, hs map[string]handler) {
	for k, h := range hs {
		m[k] = h
	}
}

func (c *call) key() string {
	if c.n.Domain == "" {
		return c.n.Op
	}
	return c.n.Domain + "." + c.n.Op
}

// unsupported refuses the node.
func (c *call) unsupported(format string, args ...any) error {
	return ir.Refuse(c.n.Name, c.operatorName(), format, args...)
}

// operatorName is the operator's, of one that the file does not have that of the operator that is made of it.
func (c *call) operatorName() string {
	if up := c.s.caller; up != nil && (c.n.Domain == ownDomain || c.n.Name == up.n.Name && c.s.parent == nil && up.function() == nil) {
		return up.operatorName()
	}
	return c.key()
}

// wrap names the node in an error that does not.
func (c *call) wrap(err error) error {
	var u *Unsupported
	if errors.As(err, &u) {
		return err
	}
	return ir.RefuseFor(c.n.Name, c.operatorName(), err)
}

// safely lowers the node; a node that breaks rules of ONNX which the handlers take for granted (a list where the operator has a
// scalar, an element type that it does not take) is an error of the model and not a crash of the compiler.
func (c *call) safely() (outs []*val, err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := caught(r); ok {
				outs, err = nil, e
				return
			}
			outs, err = nil, fmt.Errorf("the node is malformed: %v", r)
		}
	}()
	return c.lower()
}

func (c *call) lower() ([]*val, error) {
	if f := c.function(); f != nil {
		if err := c.callable(f); err != nil {
			return nil, err
		}
		return c.inline(c.b.together(f))
	}
	if c.n.Overload != "" {
		return nil, c.unsupported("calls the function's overload %q, which the model does not have", c.n.Overload)
	}
	if h := c.onSequences(); h != nil {
		return h(c)
	}
	if f := spelled[c.key()]; f != nil {
		return f.handle(c)
	}
	if h := graphs[c.key()]; h != nil {
		return h(c)
	}
	if err := c.numbers(); err != nil {
		return nil, err
	}
	return c.typed(c.operator)
}

// operator lowers a node that is no call of a function and has no graph.
func (c *call) operator() ([]*val, error) {
	if err := c.guard(); err != nil {
		return nil, err
	}
	free, private := true, false
	for _, v := range c.in {
		free = free && (v == nil || v.inputFree())
		private = private || v != nil && v.private
	}
	h, f := handlers[c.key()], folders[c.key()]
	if f == nil && h != nil {
		f = foldLowered(h)
	}
	var outs []*val
	discrete, err := false, error(nil)
	if free && private && h != nil {
		if discrete, err = c.discrete(); err != nil {
			return nil, err
		}
	}
	switch {
	case free && !private && folders[c.key()] == nil && h != nil && slices.ContainsFunc(c.in, empty):
		outs, err = c.ofNothing(h)
	case free && !private:
		outs, err = c.fold(f)
	case free && (h == nil || discrete || !movements[c.key()] && !c.scaling()):
		outs, err = c.derive(f)
	case h == nil && f != nil:
		return nil, c.unsupported("is supported on constants only, and one of its inputs depends on an input of the model")
	case h == nil:
		return nil, c.missing()
	default:
		outs, err = c.handle(h, f, free)
	}
	if err == nil && free {
		c.trace(outs, private)
	}
	if err == nil && free && private && c.key() == "Where" {
		err = c.overlay(outs[0])
	}
	return outs, err
}

// empty says that a tensor has no cells.
func empty(v *val) bool { return v != nil && ir.Size(v.shape) == 0 }

// ofNothing lowers an operator that no constants are folded by, on a tensor without cells. What it has been made of is not used.
func (c *call) ofNothing(h handler) ([]*val, error) {
	outs, err := h(c)
	if err == nil && slices.ContainsFunc(outs, func(o *val) bool { return o != nil && !empty(o) }) {
		err = c.unsupported("it makes cells of a tensor that has none")
	}
	return outs, err
}

// handle lowers the operator by its handler. Results on private weights alone are weights again, computed only if needed.
func (c *call) handle(h handler, f folder, free bool) ([]*val, error) {
	outs, err := c.apartFromMask(h, f)
	if outs == nil && err == nil {
		outs, err = h(c)
	}
	if err != nil {
		return nil, err
	}
	if free && f != nil {
		for i, o := range outs {
			if o != nil && !o.inputFree() {
				o.private, o.thunk, o.thin = true, c.thunk(f, i), c.thin(f, i)
			}
		}
	}
	return outs, nil
}

// scaling says whether the node multiplies or divides a private weight by a public scalar.
func (c *call) scaling() bool {
	if c.n.Op != "Mul" && c.n.Op != "Div" || len(c.in) != 2 {
		return false
	}
	scalar := func(v *val) bool { return v.c != nil && v.c.Len() == 1 }
	return scalar(c.in[1]) || c.n.Op == "Mul" && scalar(c.in[0])
}

func (c *call) fold(f folder) ([]*val, error) {
	if f == nil {
		return nil, c.unsupported("the operator is not supported on constants")
	}
	in := make([]*onnx.Tensor, len(c.in))
	for i, v := range c.in {
		if v != nil {
			in[i] = v.c
		}
	}
	single, err := c.singles(false)
	if err != nil {
		return nil, err
	}
	ts, ss, err := c.folded(f, in, single)
	if err != nil {
		return nil, err
	}
	if c.key() == "Constant" && len(c.n.Outputs) > 0 {
		return one(c.b.given(c.n.Outputs[0], ts[0], c.constantKey(), false))
	}
	outs := make([]*val, len(ts))
	for i, t := range ts {
		if t != nil {
			outs[i] = constant("", t)
			outs[i].single = ss[i]
		}
	}
	return outs, nil
}

// derive computes an operator on private weights at compile time. The result is private too, whatever its type; only shapes are
// not.
func (c *call) derive(f folder) ([]*val, error) {
	if f == nil {
		return nil, c.unsupported("the operator is not supported on weights")
	}
	if err := c.publicShape(); err != nil {
		return nil, err
	}
	ts, _, err := c.forced(f, c.decides())
	if err != nil {
		return nil, err
	}
	outs := make([]*val, len(ts))
	for i, t := range ts {
		switch {
		case t == nil:
		case c.shapeOnly():
			outs[i] = constant("", t)
		default:
			outs[i] = &val{name: c.derivedName(i), shape: t.Shape, dtype: t.DType, private: true, w: t, id: none, thin: c.thin(f, i)}
		}
	}
	return outs, nil
}

// derivedName calls a derived weight after the weight that it comes from and the tensor that it is.
func (c *call) derivedName(i int) string {
	for _, v := range c.in {
		if v != nil && v.private && i < len(c.n.Outputs) {
			return v.name + "/" + c.n.Outputs[i]
		}
	}
	return c.n.Name
}

// shapeOnly says whether the operator's result does not depend on the cells of its input.
func (c *call) shapeOnly() bool { return c.n.Op == "Shape" || c.n.Op == "Size" }

// forced computes an operator on weights; and its results as their types hold them, and all decisions by that, if these are asked for.
func (c *call) forced(f folder, single bool) (ts, ss []*onnx.Tensor, err error) {
	in := make([]*onnx.Tensor, len(c.in))
	for i, v := range c.in {
		if v == nil {
			continue
		}
		if in[i], err = v.force(); err != nil {
			return nil, nil, err
		}
	}
	if !single {
		ts, err = c.run(f, in)
		return ts, make([]*onnx.Tensor, len(ts)), err
	}
	held, err := c.singles(true)
	if err != nil {
		return nil, nil, err
	}
	return c.folded(f, in, held)
}

// run calls a folder. Everyone after it relies on shapes that fit the cells, and what folders get is not theirs to trust.
func (c *call) run(f folder, in []*onnx.Tensor) (ts []*onnx.Tensor, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := caught(r)
			if !ok {
				panic(r)
			}
			ts, err = nil, e
		}
	}()
	if ts, err = f(c, in); err != nil {
		return nil, err
	}
	for i, t := range ts {
		if t == nil {
			continue
		}
		cells := len(t.I)
		if t.DType.IsFloat() {
			cells = len(t.F)
		}
		if _, ok := size(1, t.Shape...); !ok || ir.Size(t.Shape) != cells {
			return nil, fmt.Errorf("result %d of shape %v has %d cells", i, t.Shape, t.Len())
		}
	}
	return ts, nil
}

func (c *call) thunk(f folder, i int) func() (*onnx.Tensor, error) {
	return func() (*onnx.Tensor, error) {
		ts, _, err := c.forced(f, false)
		if err != nil {
			return nil, c.wrap(err)
		}
		return ts[i], nil
	}
}

// branch lowers the branch of an If whose condition is known.
func (c *call) branch() ([]*val, error) {
	if len(c.in) == 1 && c.in[0] != nil && c.in[0].private {
		return nil, c.secret(c.in[0], "the condition")
	}
	if len(c.in) != 1 || c.in[0] == nil || c.in[0].c == nil || c.in[0].c.Len() != 1 {
		return nil, c.unsupported("the condition must be a constant")
	}
	name := "else_branch"
	if c.in[0].c.I[0] != 0 {
		name = "then_branch"
	}
	a := c.attr(name)
	if a == nil || a.G == nil {
		return nil, fmt.Errorf("attribute %s is missing", name)
	}
	var names []string
	for _, o := range a.G.Outputs {
		names = append(names, o.Name)
	}
	s := &scope{vals: map[string]*val{}, parent: c.s, nodes: a.G.Nodes, outs: names, caller: c}
	if err := c.b.initializers(s, a.G); err != nil {
		return nil, err
	}
	if err := c.b.nodes(s, a.G.Nodes, names, c.opsets, c.fnAttrs); err != nil {
		return nil, err
	}
	return c.results(s, names)
}

// attrs returns the node's attributes with references to the function's attributes resolved.
func (c *call) attrs() []*onnx.Attr {
	var out []*onnx.Attr
	for _, a := range c.n.Attrs {
		if a.Ref == "" {
			out = append(out, a)
			continue
		}
		for _, f := range c.fnAttrs {
			if f.Name == a.Ref {
				r := *f
				r.Name = a.Name
				out = append(out, &r)
				break
			}
		}
	}
	return out
}

func (c *call) attr(name string) *onnx.Attr {
	for _, a := range c.attrs() {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func (c *call) attrInt(name string, def int64) int64 {
	if a := c.attr(name); a != nil {
		return a.I
	}
	return def
}

func (c *call) attrFloat(name string, def float64) float64 {
	if a := c.attr(name); a != nil {
		return a.F
	}
	return def
}

func (c *call) attrString(name, def string) string {
	if a := c.attr(name); a != nil {
		return a.S
	}
	return def
}

// arg returns input i, an error if it is absent.
func (c *call) arg(i int) (*val, error) {
	if i >= len(c.in) || c.in[i] == nil {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	return c.in[i], nil
}

func (c *call) has(i int) bool { return i < len(c.in) && c.in[i] != nil }

// args returns the first k inputs, all of which must be there.
func (c *call) args(k int) error {
	for i := 0; i < k; i++ {
		if _, err := c.arg(i); err != nil {
			return err
		}
	}
	return nil
}

// constInts returns input i, which must be a constant of integers; def if it is absent.
func (c *call) constInts(i int, what string, def []int64) ([]int64, error) {
	if !c.has(i) {
		return def, nil
	}
	v := c.in[i]
	if v.private {
		return nil, c.secret(v, what)
	}
	if v.c == nil {
		return nil, c.unsupported("%s (input %q) must be a constant", what, v.called())
	}
	if v.c.DType.IsFloat() {
		return nil, fmt.Errorf("%s (input %q) must be integers", what, v.called())
	}
	return v.c.I, nil
}

// intsAttrOr returns an integer list that is an attribute in older opsets and input i in newer ones, and whether it is there.
func (c *call) intsAttrOr(name string, i int) ([]int64, bool, error) {
	if a := c.attr(name); a != nil {
		return a.Ints, true, nil
	}
	v, err := c.constInts(i, name, nil)
	return v, err == nil && c.has(i), err
}

// axis normalises a possibly negative axis.
func axis(a int64, rank int) (int, error) {
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside of rank %d", a, rank)
	}
	return int(a), nil
}

// alongAxis is the first operand, with the axis that the attribute of this name says, or the usual one.
func (c *call) alongAxis(usual int64) (*val, int, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, 0, err
	}
	a, err := axis(c.attrInt("axis", usual), len(x.shape))
	return x, a, err
}

// axisSet normalises a list of axes into marks.
func axisSet(axes []int64, rank int) ([]bool, error) {
	set := make([]bool, rank)
	for _, a := range axes {
		k, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		if set[k] {
			return nil, fmt.Errorf("axis %d is listed twice", k)
		}
		set[k] = true
	}
	return set, nil
}

// add adds an operation that the node becomes.
func (c *call) add(op ir.Op, name string, shape []int, in []ir.ValueID, attr ir.Attr) *ir.Value {
	v := c.b.g.Add(op, c.n.Name, name, shape, in, attr)
	v.Def.Operator = c.operatorName()
	return v
}

// use returns the graph value of a tensor, see builder.use. A leaf comes from the node that uses it first.
func (c *call) use(v *val) (ir.ValueID, error) {
	before := len(c.b.g.Nodes)
	id, err := c.b.use(v, c.n.Name)
	for _, n := range c.b.g.Nodes[before:] {
		n.Operator = c.operatorName()
	}
	return id, err
}

// einsum adds an Einsum whose terms name values, and returns it as a float activation.
func (c *call) einsum(shape []int, terms ...ir.Term) *val {
	for i := range terms {
		terms[i] = terms[i].Clone() // the axes of handlers' terms may share slices
		terms[i].Normalise()
	}
	in, attr := ir.Bind(terms)
	v := c.add(ir.OpEinsum, "", shape, in, attr)
	return &val{shape: v.Shape, dtype: onnx.Float32, id: v.ID}
}

// unary adds an elementwise function.
func (c *call) unary(fn string, x *val) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	v := c.add(ir.OpUnary, "", x.shape, []ir.ValueID{id}, &ir.UnaryAttr{Fn: fn})
	return &val{shape: v.Shape, dtype: onnx.Float32, id: v.ID}, nil
}

// public adds a constant made by the frontend.
func (c *call) public(name string, shape []int, data []float64) ir.ValueID {
	v := c.add(ir.OpConst, c.b.unique(name), shape, nil, nil)
	v.Data = data
	return v.ID
}

// one wraps a handler's only result.
func one(v *val, err error) ([]*val, error) {
	if err != nil {
		return nil, err
	}
	return []*val{v}, nil
}
