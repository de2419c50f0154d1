// Package frontend turns a decoded ONNX model into the compiler's primitive graph.
//
// The primitive graph is an ir.Graph in ir.StagePrim. It has the leaves of the IR (Input, Weight, Const, OneHot), Einsum for
// everything linear or multilinear, Norm and Softmax where the model has them as operators, and Unary with a few more functions
// than the IR knows (see package passes): normalisations and activations that the model spells out stay spelled out. Shapes are
// those of the ONNX file, axes of extent 1 included. Package passes recognises the patterns and removes what is not IR.
//
// Everything that does not depend on the graph's input is computed here, except private weights: those may be moved and scaled,
// which becomes part of the Einsum that uses them, and a computation on them that is more than that gives a new private weight.
package frontend

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// Options says how to read a model.
type Options struct {
	// Dims gives symbolic dimensions a value, by symbol; "input[1]" names axis 1 of an input whose dimension has no symbol.
	Dims map[string]int
	// Public and Private override the class of initializers, and of Constant nodes by the name of their output.
	Public, Private []string
	// Fix gives graph inputs a value at compile time: they become public constants.
	Fix map[string]*onnx.Tensor
	// Fill does so without a tensor.
	Fill map[string]Fill
	// Ranges bounds the elements of inputs of integers and of real numbers, by name.
	Ranges map[string]Range
	// Outputs names the graph outputs to compile, in this order; none: all.
	Outputs []string
	// Budget is what the compilation may cost; nil: one of its own, with the usual limits.
	Budget *budget.Budget
}

// ErrName marks options that name what the model lacks.
var ErrName = errors.New("no such name")

// Unsupported is the error for a model that is well-formed but outside of what the compiler handles.
type Unsupported = ir.Unsupported

// val is what is known about one ONNX tensor. Exactly one of the following holds: c is set (a constant, public unless its mark
// says that this is undecided); private is set (input-free, with private cells: force computes them); neither (an activation,
// value id of the graph).
type val struct {
	name     string
	shape    []int
	dtype    onnx.DType
	c        *onnx.Tensor
	private  bool
	w        *onnx.Tensor                 // a private tensor, if known already; the file may have its cells
	thunk    func() (*onnx.Tensor, error) // computes them
	single   *onnx.Tensor                 // an input-free tensor as its type holds it, nil if c or w is that, see folded
	thin     func() (*onnx.Tensor, error) // computes single of a private tensor, once
	id       ir.ValueID                   // in the graph, none until it is used there
	padded   *padded                      // what it is with zeros around it, nil if it is not that
	input    *input                       // an input of the model, up to axes of extent 1, of which no activation has been made
	narrow   *narrowing                   // of an input: the cast behind it that keeps the fewest integers, nil if there is none
	parts    []*val                       // of what was joined along the last axis: the columns, of one cell each
	whole    bool                         // of an input of real numbers: a cast to integers is behind it, so that its elements are to be whole
	unsigned *narrowing                   // of an input: the first cast behind it to a type without negative numbers, nil if there is none
	mark     *mark                        // the tensors behind an input-free value, nil if all are public
	moved    bool                         // with a mark: its cells are those of one tensor of the file, in other places at most
	rest     bool                         // what is left of such a tensor whose masks are public, see partMasks
	over     *partedMask                  // what it is the sum of, where a condition says which cells mask, see overlay
	unknown  bool                         // it is of a node that is refused, or that uses one
	unmade   error                        // of an output that its operator's lowering does not compute: the refusal of who uses it
	list     *[]*val                      // of a sequence: its tensors
	masked   *maskedSum                   // of scores: them and the constant that masks them, nil if there is none
	last     *val                         // the bits of cells that an order puts behind all others, nil if there are none, see behind
	emptied  *emptied                     // of scores: the mask that may leave nothing of a row
	nan      *emptied                     // of a softmax, and of what asks where it is no number: that of its scores
	by       string                       // the node that its name is of, if it has one
	indices  bool                         // it stands for the index of its greatest cell in every row, and is an output and nothing else
}

const none = ir.ValueID(-1)

func (v *val) inputFree() bool { return v.c != nil || v.private }

// force returns the cells of an input-free tensor.
func (v *val) force() (*onnx.Tensor, error) {
	if v.c != nil {
		return v.c, nil
	}
	t, err := v.tensor()
	if err != nil {
		return nil, err
	}
	return t.Loaded()
}

// tensor is force without the cells where the file has them.
func (v *val) tensor() (*onnx.Tensor, error) {
	if v.c != nil {
		return v.c, nil
	}
	if v.w == nil {
		t, err := v.thunk()
		if err != nil {
			return nil, err
		}
		v.w = t
	}
	return v.w, nil
}

// builder builds the primitive graph of one model.
type builder struct {
	g        *ir.Graph
	m        *onnx.Model
	opts     Options
	class    *classes
	inputs   []*input
	main     *scope // of the model
	depth    int
	loops    int // written out so far
	left     *purse
	weightOf map[*onnx.Tensor]ir.ValueID
	names    map[string]int

	functions  map[functionName]*onnx.Function
	joined     map[*onnx.Function]*onnx.Function // see together
	rowsNoted  bool                              // a note says that an input says how many rows count
	hidden     map[any]bool                      // undecided tensors that an earlier run found to be weights
	found      []any                             // those that this run found
	refusals   []error
	weightMark map[ir.ValueID]*mark
	restMark   map[ir.ValueID]*mark // weightMark of what is left of parted tensors
	masks      []pattern
	parted     map[*onnx.Tensor]*partedMask
	intervals  map[ir.ValueID]*interval.Interval
	emptied    []*emptied
	compared   []*call                        // comparisons of real numbers
	divided    []*call                        // divisions of integers by what may be 0
	scattered  []*call                        // updates by indices that depend on an input
	singles    map[ir.ValueID]interval.Single // see single, of constants
	mosts      map[ir.ValueID]float64         // see most
	greats     map[ir.ValueID]float64         // see greatest
	leasts     map[ir.ValueID]float64         // see least
}

// scope maps tensor names to values; subgraphs see the names around them. outs are what it gives: inside of a function or a branch, what
// the outputs of the node caller become.
type scope struct {
	vals   map[string]*val
	parent *scope
	nodes  []*onnx.Node
	outs   []string
	caller *call

	users map[string][]*onnx.Node // of nodes, by what they use; made when first asked for
	feeds map[string]bool         // tensors of which feedsSoftmax knows
	// summands are tensors of which onlyMasks knows
	summands map[string]bool
	written  map[string]bool // tensors of which written knows
}

// get is the value of a tensor, nil if there is none.
func (s *scope) get(name string) *val {
	v, _ := s.find(name)
	return v
}

// find is the value of a tensor, and whether its name is known: that of an optional input that a call leaves out is, and has no value.
func (s *scope) find(name string) (*val, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vals[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// Build returns the primitive graph of a model.
func Build(m *onnx.Model, opts Options) (*ir.Graph, error) {
	opts, err := opts.filled(m)
	if err != nil {
		return nil, err
	}
	fs, err := functions(m)
	if err != nil {
		return nil, err
	}
	class, err := classify(m, opts, fs)
	if err != nil {
		return nil, err
	}
	// Every run that finds weights among undecided tensors is repeated; a run's finds are private in the next, so this ends.
	hidden := map[any]bool{}
	left := newPurse(m, opts)
	for range maxRuns {
		left.held = 0
		b := &builder{g: &ir.Graph{Name: m.Graph.Name, Stage: ir.StagePrim}, m: m, opts: opts, class: class,
			intervals: map[ir.ValueID]*interval.Interval{}, singles: map[ir.ValueID]interval.Single{}, weightOf: map[*onnx.Tensor]ir.ValueID{},
			joined: map[*onnx.Function]*onnx.Function{}, parted: map[*onnx.Tensor]*partedMask{}, names: map[string]int{}, hidden: hidden,
			weightMark: map[ir.ValueID]*mark{}, restMark: map[ir.ValueID]*mark{}, left: left, functions: fs}
		g, err := b.build()
		if len(b.found) == 0 {
			return g, err
		}
		for _, key := range b.found {
			hidden[key] = true
		}
	}
	return nil, ir.Refuse(m.Graph.Name, "graph", "what are weights is not settled after %d rounds; name them: --private", maxRuns)
}

func (b *builder) build() (*ir.Graph, error) {
	m := b.m
	outs, err := b.outputs()
	if err != nil {
		return nil, err
	}
	s := &scope{vals: map[string]*val{}, nodes: b.softmaxes(m.Graph.Initializers, m.Opsets, needed(m.Graph.Nodes, outs), outs), outs: outs}
	b.main = s
	if err := b.leaves(s, m.Graph); err != nil {
		return nil, err
	}
	b.left.Model(b.left.file, b.tokens())
	if err := b.nodes(s, s.nodes, outs, m.Opsets, nil); err != nil {
		return nil, err
	}
	if err := b.refused(); err != nil {
		return nil, err
	}
	if err := b.results(s, outs); err != nil {
		return nil, err
	}
	if err := b.patterns(); err != nil {
		return nil, err
	}
	b.inputsInOrder()
	b.noteMasks()
	b.noteWholes()
	b.noteComparisons()
	b.noteScatters()
	b.noteDivisions()
	return b.g, nil
}

// Constant is the refusal of a model of which no output depends on an input.
type Constant struct {
	outputs []*val
	refusal error
}

// Error says what the refusal does.
func (c *Constant) Error() string { return c.refusal.Error() }

// Unwrap returns the refusal.
func (c *Constant) Unwrap() error { return c.refusal }

// Gives compares the outputs' cells with those given, numbers up to 2^-10 of their magnitude or of 1.
func (c *Constant) Gives(outputs [][]float64) error {
	if len(outputs) != len(c.outputs) {
		return fmt.Errorf("%d outputs are folded, and %d expected", len(c.outputs), len(outputs))
	}
	for i, v := range c.outputs {
		t, err := v.force()
		if err != nil {
			return err
		}
		if t.Len() != len(outputs[i]) || !alike(floats(t), outputs[i]) {
			return fmt.Errorf("the output %q is folded to other values than those expected", v.name)
		}
	}
	return nil
}

func alike(a, b []float64) bool {
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !(d <= math.Ldexp(math.Max(1, math.Abs(b[i])), -10)) && a[i] != b[i] {
			return false
		}
	}
	return true
}

// results makes values outputs of the graph.
func (b *builder) results(s *scope, names []string) error {
	constants := &Constant{}
	for _, name := range names {
		v := s.get(name)
		if v == nil {
			return fmt.Errorf("graph output %q is not produced by any node", name)
		}
		if v.inputFree() {
			constants.outputs = append(constants.outputs, v)
		}
	}
	for _, name := range names {
		err := b.result(s.get(name), name)
		if constants.refusal = err; err != nil && len(constants.outputs) == len(names) {
			return constants
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// result makes a value an output of the graph.
func (b *builder) result(v *val, name string) error {
	if v.inputFree() {
		return ir.Refuse(name, "output", "is not computed from an input; there is nothing to prove: choose other outputs, --logits NAME")
	}
	if v.input != nil { // as it is
		var err error
		if v, err = (&call{b: b, n: &onnx.Node{Name: name, Op: "Identity"}, s: b.main}).number(v); err != nil {
			return err
		}
	}
	id, err := b.use(v, "output")
	if err != nil {
		return err
	}
	for _, o := range b.g.Outputs {
		if o.Value == id {
			return ir.Refuse(name, "output", "tells of the same cells as the output %q, and statements tell of each once: choose one of the two, --logits NAME", o.Name)
		}
	}
	b.g.AddOutput(name, id, v.shape)
	b.g.Outputs[len(b.g.Outputs)-1].Indices = v.indices
	return nil
}

// outputs chooses the graph outputs to compile.
func (b *builder) outputs() ([]string, error) {
	var names []string
	for _, o := range b.m.Graph.Outputs {
		names = append(names, o.Name)
	}
	for _, want := range b.opts.Outputs {
		if !slices.Contains(names, want) {
			return nil, fmt.Errorf("%w: the model has no output %q; it has %s", ErrName, want, strings.Join(names, ", "))
		}
	}
	if len(b.opts.Outputs) > 0 {
		return b.opts.Outputs, nil
	}
	return names, nil
}

// needed returns the nodes that the outputs depend on, in order.
func needed(all []*onnx.Node, outs []string) []*onnx.Node {
	want := map[string]bool{}
	for _, out := range outs {
		want[out] = true
	}
	keep := make([]bool, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		n := all[i]
		for _, o := range n.Outputs {
			keep[i] = keep[i] || o != "" && want[o]
		}
		if keep[i] {
			for _, in := range onnx.Uses(n) {
				want[in] = true
			}
		}
	}
	var nodes []*onnx.Node
	for i, n := range all {
		if keep[i] {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// leaves enters the initializers and the inputs of the main graph.
func (b *builder) leaves(s *scope, g *onnx.Graph) error {
	if err := b.initializers(s, g); err != nil {
		return err
	}
	var open []*openDim
	for _, in := range g.Inputs {
		if s.vals[in.Name] != nil {
			continue // an initializer that is listed as input: a default nobody overrides
		}
		if t := b.opts.Fix[in.Name]; t != nil {
			s.vals[in.Name] = constant(in.Name, t)
			continue
		}
		var o *openDim
		if err := b.enter(s, in); errors.As(err, &o) {
			open = append(open, o)
		} else if err != nil {
			return err
		}
	}
	if len(open) > 0 {
		return openDims(open)
	}
	return nil
}

func (b *builder) initializers(s *scope, g *onnx.Graph) error {
	for _, t := range g.Initializers {
		var v *val
		var err error
		if b.class.trig[t] && !b.class.forced[t.Name] {
			v, err = loaded(t.Name, t)
		} else {
			v, err = b.given(t.Name, t, t, t.DType.IsFloat())
		}
		if err != nil {
			return err
		}
		s.vals[t.Name] = v
	}
	return nil
}

// maxTokens bounds the extents of the input.
const maxTokens = 1 << 20

// inputShape gives the symbolic dimensions of an input their value. A symbolic first axis of several is a batch of 1.
func (b *builder) inputShape(in onnx.ValueInfo) ([]int, error) {
	if !in.HasShape {
		return nil, ir.Refuse(in.Name, "input", "has no declared shape; export the model with one")
	}
	var shape []int
	for i, d := range in.Dims {
		key := fmt.Sprintf("%s[%d]", in.Name, i)
		n, ok := b.opts.Dims[key]
		if !ok && d.Param != "" {
			n, ok = b.opts.Dims[d.Param]
		}
		switch {
		case d.Value >= 0 && d.Param == "" && d.Value <= maxTokens:
			n = int(d.Value)
		case d.Value > maxTokens:
			return nil, ir.Refuse(in.Name, "input", "axis %d has extent %d, at most %d is supported", i, d.Value, maxTokens)
		case ok && n >= 0 && n <= maxTokens:
		case ok:
			return nil, fmt.Errorf("input %q: axis %d cannot have extent %d", in.Name, i, n)
		case i == 0 && len(in.Dims) >= 2:
			n = 1
		default:
			if d.Param != "" {
				key = d.Param
			}
			return nil, &openDim{in.Name, i, key}
		}
		shape = append(shape, n)
	}
	return shape, nil
}

// nodes lowers a list of nodes whose results are outs; attrs are the attributes of the function that they belong to. Constants are
// dropped after their last use.
func (b *builder) nodes(s *scope, nodes []*onnx.Node, outs []string, opsets []onnx.Opset, attrs []*onnx.Attr) error {
	dead := lastUses(nodes, outs)
	for at, n := range nodes {
		c := &call{b: b, n: n, s: s, opsets: opsets, fnAttrs: attrs}
		for _, o := range opsets {
			if o.Domain == n.Domain {
				c.opset = o.Version
			}
		}
		for _, name := range n.Inputs {
			v, ok := s.find(name)
			if name != "" && !ok {
				return fmt.Errorf("node %q (%s): input %q does not exist", n.Name, n.Op, name)
			}
			c.in = append(c.in, v)
		}
		if b.left.nodes--; b.left.nodes < 0 {
			return c.unsupported("the model has more than %d nodes, those of functions counted at every call", maxNodes)
		}
		outs, err := c.tried()
		if err != nil {
			return err
		}
		for i, name := range n.Outputs {
			if name == "" {
				continue
			}
			if i >= len(outs) || outs[i] == nil {
				outs = append(outs, make([]*val, i+1-min(len(outs), i+1))...)
				outs[i] = &val{name: name, id: none, dtype: -1, unmade: c.unsupported("its output %q is used, of which no circuit is made; export the model without it", name)}
			}
			if outs[i].name == "" {
				outs[i].name, outs[i].by = name, n.Name
			}
			s.vals[name] = outs[i]
		}
		for _, name := range dead[at] {
			if v := s.vals[name]; v != nil && v.c != nil {
				delete(s.vals, name)
			}
		}
	}
	return nil
}

// lastUses lists for every node the tensors that no later one uses, the results apart.
func lastUses(nodes []*onnx.Node, outs []string) [][]string {
	at := map[string]int{}
	for i, n := range nodes {
		for _, name := range append(onnx.Uses(n), n.Outputs...) {
			at[name] = i
		}
	}
	for _, name := range outs {
		delete(at, name)
	}
	dead := make([][]string, len(nodes))
	for name, i := range at {
		dead[i] = append(dead[i], name)
	}
	return dead
}

// sizes refuses activations of more cells than anyone could prove. What has none depends on nothing, and is a constant.
func (c *call) sizes(outs []*val) error {
	for i, o := range outs {
		switch {
		case o == nil || o.c != nil:
			continue
		case empty(o):
			outs[i] = noCells(o.name, o.dtype, o.shape)
			continue
		case o.private:
			continue
		}
		if n, ok := size(1, o.shape...); !ok || n > c.b.maxActive() {
			return c.unsupported("an activation of shape %v has more than %d cells, the bound for this number of tokens and size of the file; if the model is honest, raise all limits: --budget 4", o.shape, c.b.maxActive())
		}
	}
	return nil
}

// noCells is a tensor of a shape that has none.
func noCells(name string, d onnx.DType, shape []int) *val {
	return constant(name, &onnx.Tensor{Name: name, DType: d, Shape: shape})
}

// constant wraps a public tensor.
func constant(name string, t *onnx.Tensor) *val {
	return &val{name: name, shape: t.Shape, dtype: t.DType, c: t, id: none}
}

// loaded is constant of a tensor whose cells the file may have.
func loaded(name string, t *onnx.Tensor) (*val, error) {
	t, err := t.Loaded()
	return constant(name, t), err
}

// floats returns the cells of a tensor as real numbers.
func floats(t *onnx.Tensor) []float64 { return t.Reals() }

// use returns the graph value of a tensor, adding its leaf to the graph on first use.
func (b *builder) use(v *val, origin string) (ir.ValueID, error) {
	if v.id != none {
		return v.id, nil
	}
	switch {
	case v.unmade != nil:
		return none, v.unmade
	case !v.inputFree(): // what else has no cells
		return none, ir.Refuse(v.called(), "sequence", "is a sequence of tensors where a tensor is used or given; give its tensors one by one")
	}
	t, err := v.tensor()
	if err != nil {
		return none, err
	}
	if v.private {
		if id, ok := b.weightOf[t]; ok {
			v.id = id
			return id, nil
		}
	}
	b.commit(v)
	op := ir.OpConst
	if v.private {
		op = ir.OpWeight
		if err := b.finite(v, t); err != nil {
			return none, err
		}
	}
	if !t.DType.IsFloat() {
		if err := b.left.Cells(t.Len()); err != nil {
			if b.left.Poll() != nil {
				return none, err
			}
			return none, ir.RefuseFor(origin, "constant", fmt.Errorf("input %q of shape %v: %w", v.called(), t.Shape, err))
		}
	}
	x := b.g.Add(op, origin, b.unique(v.name), t.Shape, nil, nil)
	switch {
	case t.Stored != nil:
		x.Stored = t.Stored
	case v.private && t.DType.IsFloat():
		x.Hold(t.F)
	default:
		x.Data = floats(t)
	}
	v.id = x.ID
	if v.private {
		b.weightOf[t] = x.ID
		if bits, ok := widths[t.DType]; ok && bits <= 16 { // what the type holds is known, whatever the cells are
			least, most, _ := limits(t.DType)
			b.intervals[x.ID] = new(interval.Of(least, most))
		}
		if v.rest {
			b.restMark[x.ID] = v.mark
		} else {
			b.weightMark[x.ID] = v.mark
		}
		x.Def.Tensors = v.mark.leaves()
	}
	return v.id, nil
}

// finite refuses a weight with a cell that is no finite number.
func (b *builder) finite(v *val, t *onnx.Tensor) error {
	is, err := b.allFinite(t)
	if is || err != nil {
		return err
	}
	if t, err = t.Loaded(); err != nil {
		return err
	}
	i := slices.IndexFunc(t.F, notFinite)
	return ir.Refuse(v.called(), "initializer", "cell %d is %g, which is not finite and no mask of a Softmax either; store a finite number, -1e4 for -Inf say", i, t.F[i])
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// allFinite says whether all cells of a tensor are finite numbers.
func (b *builder) allFinite(t *onnx.Tensor) (bool, error) {
	if t.Stored == nil {
		return !slices.ContainsFunc(t.F, notFinite), nil
	}
	largest, err := t.Stored.Largest(b.left.Poll)
	return !math.IsInf(largest, 1), err
}

// unique gives every leaf its own name.
func (b *builder) unique(name string) string {
	b.names[name]++
	if k := b.names[name]; k > 1 {
		return fmt.Sprintf("%s#%d", name, k)
	}
	return name
}
