// Package planner turns an integer program into a plan: it orders the nodes, translates each into the builder or gadget call that
// proves it, and folds isomorphic layers into a block that is written once.
package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Options are what a plan needs besides the program.
type Options struct {
	Generation  bool  // statements are generations, of a causal language model; else functions
	Pad         int64 // of a generation
	WeightBits  int   // log2 of the row width of the weights
	WitnessBits int   // of the witness
}

// Plan makes the plan of a program. Its ports say what statements reveal of them.
func Plan(p *quant.Program, o Options) (*plan.Plan, error) {
	if o.Generation && !(p.Int.IsLanguageModel() && p.Int.Causal) {
		return nil, fmt.Errorf("planner: %s is no causal language model", p.Int.Name)
	}
	g, err := refine(p.Int)
	if err != nil {
		return nil, err
	}
	e := newEmitter(g.Graph, g.why(p.Why), o)
	e.source = g.source
	if err := e.emit(); err != nil {
		return nil, err
	}
	c := plan.Config{Name: g.Name, Generation: o.Generation, Pad: o.Pad, WeightBits: o.WeightBits, WitnessBits: o.WitnessBits}
	pl := &plan.Plan{Config: c, Ports: e.ports, Constants: e.constants}
	fold(pl, e.steps)
	return pl, nil
}

// ref is a result of a step of the linear sequence.
type ref struct{ step, out int }

// lstep is a step of the linear sequence, before layers are folded; its references are in refs.
type lstep struct {
	plan.Step
	refs   []ref
	values weights.Integers // Weight: the cells
	value  ir.ValueID
	from   plan.Origin
	files  []string // of a weight: tensors of the model file
}

type emitter struct {
	g         *ir.Graph
	o         Options
	now       *ir.Node // whose steps are added
	why       map[ir.ValueID]string
	T         int // positions and vocabulary of a language model, else 0
	vocab     int
	steps     []lstep
	constants []plan.Tensor
	ports     []plan.Port
	hot       map[ir.ValueID]ref        // the one-hot rows that carry inputs of ids
	source    map[ir.ValueID]ir.ValueID // of values that refinement added: the program's own
	maps      map[string]ref            // maps of indices, by equation and shape
	at        map[ir.ValueID]ref
	uses      []int
	fused     map[ir.ValueID]bool // results of a Rescale that its Table takes in
	masks     map[ir.ValueID]bool // what a ZkAttn masks with
	order     []*ir.Node
}

func newEmitter(g *ir.Graph, why map[ir.ValueID]string, o Options) *emitter {
	e := &emitter{g: g, o: o, why: why, at: map[ir.ValueID]ref{}, hot: map[ir.ValueID]ref{}, maps: map[string]ref{}}
	if g.IsLanguageModel() {
		e.T, e.vocab = g.Inputs[0].Shape[0], g.Vocab()
	}
	return e
}

// emit translates the graph into the linear sequence: constants and weights with several uses first (they belong to no layer), then
// everything in the order in which the output needs it. That order follows the data, not the file, so that layers come out alike
// and one after the other.
func (e *emitter) emit() error {
	e.sort()
	e.findFused()
	for _, pass := range []bool{true, false} {
		for _, n := range e.order {
			if (n.Op == ir.OpConst || n.Op == ir.OpAffine || n.Op == ir.OpWeight && e.uses[n.Out[0]] > 1) != pass {
				continue
			}
			if err := e.node(n); err != nil {
				return err
			}
		}
	}
	for i := range e.g.Outputs {
		if err := e.output(&e.g.Outputs[i]); err != nil {
			return err
		}
	}
	return nil
}

// inputs adds the calls of all inputs, in the order of the graph, where the first of them is used.
func (e *emitter) inputs() error {
	for i := range e.g.Inputs {
		p := &e.g.Inputs[i]
		v := e.g.Value(p.Value)
		e.now = v.Def
		if size := v.Hi - v.Lo; p.Reveal == plan.Nothing && p.Kind != plan.IDs && size >= 1<<gadget.LimbBits {
			return v.Def.Errorf("the input %q is private and has the range [%d, %d]; 2^%d values are supported: give a narrower one, --range %s=LO:HI", p.Name, v.Lo, v.Hi, gadget.LimbBits, p.Name)
		}
		c := plan.Port{Name: e.portName(p), Kind: p.Kind, Shape: p.Shape, Lo: v.Lo, Hi: v.Hi, Scale: v.Scale, Reveal: p.Reveal}
		s := plan.Step{Op: plan.Input, Name: v.Name, Shape: p.Shape, Data: e.port(c)}
		if p.Kind == plan.IDs {
			s.Shape = []int{p.Shape[0], p.Vocab()}
			if e.T > 0 {
				s.Name = "tokens"
			}
		}
		at := ref{e.add(s, nil), 0}
		if p.Kind == plan.IDs {
			e.hot[v.ID] = at
			continue
		}
		e.at[v.ID] = at
		if err := e.view(v.Def, v.ID, v.Name+".shaped", p.Shape, boxOf(v)); err != nil {
			return err
		}
	}
	return nil
}

// output adds the call of an output.
func (e *emitter) output(p *ir.Port) error {
	v := e.g.Value(p.Value)
	e.now = v.Def
	before := e.at[v.ID]
	if err := e.view(v.Def, v.ID, v.Name+".shaped", boxOf(v), p.Shape); err != nil {
		return err
	}
	c := plan.Port{Name: e.portName(p), Out: true, Kind: p.Kind, Reveal: p.Reveal}
	if p.Kind == plan.Reals {
		c.Scale = v.Scale
	}
	e.add(plan.Step{Op: plan.Output, Name: "reveal", Data: e.port(c)}, []ir.ValueID{v.ID})
	e.at[v.ID] = before
	return nil
}

// portName is the file's name of a port. A generation has the ports ids and logits, whatever the file calls them.
func (e *emitter) portName(p *ir.Port) string {
	if e.o.Generation {
		return e.g.Value(p.Value).Name
	}
	return p.Name
}

// view adds a virtual tensor of the name with the cells of a value, of which one shape differs from the other by axes of extent 1 alone;
// nothing if they are equal.
func (e *emitter) view(n *ir.Node, id ir.ValueID, name string, from, to []int) error {
	if slices.Equal(from, to) {
		return nil
	}
	in, extents := ir.IdentityAxes(from)
	out, _ := ir.IdentityAxes(to)
	spec, err := e.spec(n, &ir.Term{ICoef: 1, Extents: extents, In: []int{0}, Axes: [][][]int{in}, Out: out})
	if err != nil {
		return err
	}
	s := plan.Step{Op: plan.Virtual, Name: name, Shape: to, Terms: []plan.Term{{Coef: plan.Int(1), Spec: spec, In: []int{0}}}}
	e.at[id] = ref{e.add(s, []ir.ValueID{id}), 0}
	return nil
}

// sort lists the nodes that the outputs depend on in depth-first post-order.
func (e *emitter) sort() {
	seen := make([]bool, len(e.g.Values))
	type frame struct {
		n    *ir.Node
		next int
	}
	// An explicit stack: a deep model has a deep graph.
	visit := func(root ir.ValueID) {
		stack := []frame{{n: e.g.Value(root).Def}}
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.next == len(f.n.In) {
				e.order = append(e.order, f.n)
				stack = stack[:len(stack)-1]
				continue
			}
			id := f.n.In[f.next]
			f.next++
			if d := e.g.Value(id).Def; !seen[d.Out[0]] {
				seen[d.Out[0]] = true
				stack = append(stack, frame{n: d})
			}
		}
	}
	for _, p := range e.g.Outputs {
		if d := e.g.Value(p.Value).Def; !seen[d.Out[0]] {
			seen[d.Out[0]] = true
			visit(p.Value)
		}
	}
}

// findFused marks every Rescale whose one use is a Table, and every mask.
func (e *emitter) findFused() {
	e.uses, e.fused, e.masks = make([]int, len(e.g.Values)), map[ir.ValueID]bool{}, map[ir.ValueID]bool{}
	for _, n := range e.order {
		for _, id := range n.In {
			e.uses[id]++
		}
		if n.Op == ir.OpZkAttn && len(n.In) > 1 {
			e.masks[n.In[1]] = true
		}
	}
	for _, p := range e.g.Outputs {
		e.uses[p.Value]++
	}
	for _, n := range e.order {
		if n.Op == ir.OpTable {
			if d := e.g.Value(n.In[0]).Def; d.Op == ir.OpRescale && e.uses[n.In[0]] == 1 {
				e.fused[n.In[0]] = true
			}
		}
	}
}

// add appends a step and returns its index.
func (e *emitter) add(s plan.Step, in []ir.ValueID) int {
	l := lstep{Step: s, value: -1, from: plan.Origin{Node: e.now.Origin, Operator: e.now.Named(), Call: s.Op}}
	if s.Op != plan.Input && s.Op != plan.Output { // whose ports have theirs
		l.from.Scale = e.g.Value(e.now.Out[0]).Scale
	}
	for _, id := range in {
		l.refs = append(l.refs, e.at[id])
	}
	e.steps = append(e.steps, l)
	return len(e.steps) - 1
}

// port appends a port and returns its index.
func (e *emitter) port(p plan.Port) int {
	e.ports = append(e.ports, p)
	return len(e.ports) - 1
}

func (e *emitter) node(n *ir.Node) error {
	e.now = n
	v := e.g.Value(n.Out[0])
	for _, id := range n.In {
		if p := e.g.InputOf(id); n.Op != ir.OpOneHot && p != nil && p.Kind == plan.IDs {
			return n.Errorf("computes with token ids as numbers; they can only choose lines of a table")
		}
	}
	if e.fused[v.ID] {
		return nil
	}
	s := plan.Step{Name: v.Name, Shape: boxOf(v)}
	in, result, ok := n.In, 0, false
	if a, is := n.Attr.(*ir.EinsumAttr); is {
		var err error
		if s, err = e.einsum(n, v, a); err != nil {
			return err
		}
	} else if s.Op, s.Args, ok = ir.Lower(n); !ok {
		return e.leaf(n, v)
	}
	if n.Op == ir.OpTable && e.fused[n.In[0]] {
		rescale := e.g.Value(n.In[0]).Def
		_, args, _ := ir.Lower(rescale)
		s.Op, s.Args, in, result = plan.RescaleTable, append(args, s.Args...), rescale.In, 1
	}
	if n.Op == ir.OpZkAttn && len(v.Shape) == 1 {
		return e.oneRow(n, v, s)
	}
	e.put(n, v, s, in, result)
	return nil
}

// put appends the step of a node, whose first result is v. result is the number of v among what the step returns.
func (e *emitter) put(n *ir.Node, v *ir.Value, s plan.Step, in []ir.ValueID, result int) {
	i := e.add(s, in)
	e.steps[i].value = v.ID
	if s, ok := e.source[v.ID]; ok {
		e.steps[i].value = s
	}
	for o, id := range n.Out {
		e.at[id] = ref{i, o + result}
	}
}

// oneRow is a softmax over all cells of a value: zkAttn normalises the rows of a matrix, so that the scores get an axis of rows and their
// exponentials v lose it again. The reciprocal is a scalar's box either way.
func (e *emitter) oneRow(n *ir.Node, v *ir.Value, s plan.Step) error {
	row := append([]int{1}, v.Shape...)
	whole := e.at[n.In[0]]
	if err := e.view(n, n.In[0], v.Name+".row", v.Shape, row); err != nil {
		return err
	}
	s.Shape = row
	e.put(n, v, s, n.In, 0)
	e.at[n.In[0]] = whole
	return e.view(n, v.ID, v.Name+".flat", row, v.Shape)
}

// boxOf is the shape of a value's tensor in the circuit, where every tensor has an axis: a scalar is a box of one cell.
func boxOf(v *ir.Value) []int {
	if len(v.Shape) == 0 {
		return []int{1}
	}
	return v.Shape
}

// leaf translates the nodes without operands.
func (e *emitter) leaf(n *ir.Node, v *ir.Value) error {
	s := plan.Step{Name: v.Name, Shape: boxOf(v)}
	switch n.Op {
	case ir.OpInput:
		if len(e.ports) == 0 {
			return e.inputs()
		}
	case ir.OpOneHot:
		e.at[v.ID] = e.hot[n.In[0]]
	case ir.OpWeight:
		s.Op, s.Args = plan.Weight, []plan.Arg{plan.Size("bits", bitsOf(v))}
		i := e.add(s, nil)
		e.steps[i].values, e.steps[i].files = v.Short, n.Tensors
		e.at[v.ID] = ref{i, 0}
	case ir.OpConst:
		if a, ok := equation(v.Ints, s.Shape); ok && !e.masks[v.ID] {
			e.affine(v, a)
			return nil
		}
		e.constant(v, v.Ints)
	case ir.OpAffine:
		e.affine(v, e.g.AffineOf(v.ID))
	default:
		return n.Errorf("has no translation into a circuit")
	}
	return nil
}

// constant adds a constant of the circuit, or a mask.
func (e *emitter) constant(v *ir.Value, cells []int64) {
	s := plan.Step{Op: plan.Const, Name: v.Name, Shape: boxOf(v), Data: len(e.constants)}
	if e.masks[v.ID] {
		s.Op = plan.Mask
	}
	e.constants = append(e.constants, plan.Tensor{Name: v.Name, Shape: s.Shape, Values: cells})
	e.at[v.ID] = ref{e.add(s, nil), 0}
}

// affine adds a map of indices, once for all values with one equation and shape. Where its cells are cheaper it is a constant.
func (e *emitter) affine(v *ir.Value, a *ir.AffineAttr) {
	shape := boxOf(v)
	strides := a.Strides
	if len(strides) == 0 {
		strides = []int64{0}
	}
	where := circuit.Linear(a.Offset, strides)
	key := fmt.Sprint(where, shape)
	at, ok := e.maps[key]
	switch {
	case ok:
	case poly.AffineWork(a.Offset, strides, shape) >= int64(ir.Size(shape)):
		e.constant(v, poly.AffineCells(a.Offset, strides, shape))
		at = e.at[v.ID]
	default:
		at = ref{e.add(plan.Step{Op: plan.Affine, Name: v.Name, Shape: shape, Args: []plan.Arg{plan.Text("where", where)}}, nil), 0}
	}
	e.maps[key], e.at[v.ID] = at, at
}

// bitsOf is the number of bits of a weight's declared range.
func bitsOf(v *ir.Value) int {
	n := 1
	for v.Hi>>(n-1) != 0 {
		n++
	}
	return n
}

func (e *emitter) einsum(n *ir.Node, v *ir.Value, a *ir.EinsumAttr) (plan.Step, error) {
	s := plan.Step{Op: plan.Virtual, Name: v.Name, Shape: boxOf(v)}
	if e.isEmbed(n, a) {
		s.Op = plan.Embed
		return s, nil
	}
	for i := range a.Terms {
		t := &a.Terms[i]
		spec, err := e.spec(n, t)
		if err != nil {
			return s, err
		}
		s.Terms = append(s.Terms, plan.Term{Coef: plan.Int(t.ICoef), Spec: spec, In: t.In})
	}
	if why := e.why[v.ID]; why != "" {
		s.Op, s.Args = plan.VirtualBound, []plan.Arg{plan.Integer("lo", v.Lo), plan.Integer("hi", v.Hi), plan.Text("why", why)}
	}
	return s, nil
}

// isEmbed recognises Σ_v onehot[t,v]·table[v,d].
func (e *emitter) isEmbed(n *ir.Node, a *ir.EinsumAttr) bool {
	if len(a.Terms) != 1 || len(n.In) != 2 || e.g.Value(n.In[0]).Def.Op != ir.OpOneHot || e.g.Value(n.In[1]).Def.Op != ir.OpWeight {
		return false
	}
	t := &a.Terms[0]
	if t.ICoef != 1 || len(t.In) != 2 || t.In[0] != 0 || len(t.Axes[1]) != 2 || len(t.Out) != 2 || len(t.Extents) != 3 {
		return false
	}
	want := func(axis []int, label int) bool { return len(axis) == 1 && axis[0] == label }
	h, w := t.Axes[0], t.Axes[1]
	return len(h[0]) == 1 && len(h[1]) == 1 && len(w[1]) == 1 && want(w[0], h[1][0]) && want(t.Out[0], h[0][0]) && want(t.Out[1], w[1][0])
}

// Letters for labels: positions, vocabulary, everything else.
const (
	lettersT = "tsuw"
	lettersV = "v"
	letters  = "dijkhemnopqrxyzabcfgl"
)

// spec writes a term as text, see circuit.Builder.Times.
func (e *emitter) spec(n *ir.Node, t *ir.Term) (string, error) {
	name := make([]byte, len(t.Extents))
	pools := [3]string{lettersT, lettersV, letters}
	for l, x := range t.Extents {
		k := 2
		if x == e.T {
			k = 0
		} else if x == e.vocab {
			k = 1
		}
		for pools[k] == "" && k < 2 {
			k++
		}
		if pools[k] == "" {
			return "", n.Errorf("a term has %d indices, more than there are letters; reshape it to fewer axes", len(t.Extents))
		}
		name[l], pools[k] = pools[k][0], pools[k][1:]
	}
	var b strings.Builder
	for k, axes := range t.Axes {
		if k > 0 {
			b.WriteByte(',')
		}
		writeAxes(&b, axes, name)
	}
	b.WriteString("->")
	writeAxes(&b, t.Out, name)
	for l, x := range t.Extents {
		fmt.Fprintf(&b, " %c=%s", name[l], strconv.Itoa(x))
	}
	return b.String(), nil
}

func writeAxes(b *strings.Builder, axes [][]int, name []byte) {
	if len(axes) == 0 { // a scalar, see boxOf
		b.WriteByte('.')
	}
	for _, ls := range axes {
		switch len(ls) {
		case 0:
			b.WriteByte('.')
		case 1:
			b.WriteByte(name[ls[0]])
		default:
			b.WriteByte('(')
			for _, l := range ls {
				b.WriteByte(name[l])
			}
			b.WriteByte(')')
		}
	}
}
