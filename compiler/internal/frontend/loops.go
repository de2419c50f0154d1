package frontend

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// Loop and Scan are unrolled: how often their bodies run is known when the model is compiled, or they are refused. The turns, one behind the
// other, are a function of the loop's inputs and of what its body takes from outside; so all that looks at who uses a tensor sees them.

// graphs are the operators that have graphs of their own.
var graphs = map[string]handler{}

func init() {
	register(graphs, map[string]handler{"If": (*call).branch, "Loop": (*call).loop, "Scan": (*call).scan})
}

// body is the graph of a loop, and the function that its turns become.
type body struct {
	*onnx.Graph
	c      *call
	number int // of the loop, among all of the model
	made   int // names
	turns  int
	unroll onnx.Function
	in     []*val
	names  map[string]bool   // of the body's own tensors
	now    map[string]string // what these are called in this turn
}

// body reads the attribute body.
func (c *call) body() (*body, error) {
	a := c.attr("body")
	if a == nil || a.G == nil {
		return nil, fmt.Errorf("attribute body is missing")
	}
	c.b.loops++
	b := &body{Graph: a.G, c: c, number: c.b.loops, names: map[string]bool{}, now: map[string]string{}}
	b.unroll = onnx.Function{Name: c.n.Op, Defaults: c.fnAttrs, Opsets: c.opsets}
	for i, v := range c.in {
		b.take(b.given(i), v)
	}
	constants := &scope{vals: map[string]*val{}}
	if err := c.b.initializers(constants, a.G); err != nil {
		return nil, err
	}
	constant := map[string]bool{}
	for _, t := range a.G.Initializers {
		b.take(t.Name, constants.vals[t.Name])
		constant[t.Name] = true
	}
	for _, n := range a.G.Nodes {
		if constantNode(n) {
			b.unroll.Nodes = append(b.unroll.Nodes, n) // once: it may be a weight
			constant[n.Outputs[0]] = true
		}
	}
	for name := range defined(a.G) {
		b.names[name] = !constant[name]
	}
	b.capture()
	return b, nil
}

// fresh makes a name that no other tensor has: no file has such names, and no two loops of a model one number.
func (b *body) fresh(name, what string, i int) string {
	return fmt.Sprintf("%s%s%d, %s %d)", name, onnx.OfLoop, b.number, what, i)
}

// given is what input i of the loop is called.
func (b *body) given(i int) string { return b.fresh("", "input", i) }

// defined are the names that a graph gives to tensors of its own.
func defined(g *onnx.Graph) map[string]bool {
	names := map[string]bool{}
	for _, in := range g.Inputs {
		names[in.Name] = true
	}
	for _, t := range g.Initializers {
		names[t.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			names[o] = true
		}
	}
	delete(names, "") // what is left out
	return names
}

func constantNode(n *onnx.Node) bool {
	return n.Op == "Constant" && n.Domain == "" && len(n.Outputs) == 1
}

// take makes a value an input of the function.
func (b *body) take(name string, v *val) {
	if v != nil {
		b.unroll.Inputs, b.in = append(b.unroll.Inputs, name), append(b.in, v)
	}
}

// capture takes what the body uses from outside.
func (b *body) capture() {
	var used []string
	for _, n := range b.Nodes {
		used = append(used, onnx.Uses(n)...)
	}
	for _, o := range b.Outputs {
		used = append(used, o.Name)
	}
	for _, name := range used {
		if _, own := b.names[name]; !own && !slices.Contains(b.unroll.Inputs, name) {
			b.take(name, b.c.s.get(name))
		}
	}
}

// turn appends the body once more, where its inputs are these, and returns what its outputs are called.
func (b *body) turn(inputs []string) (outputs []string) {
	for name, varies := range b.names {
		if varies {
			b.now[name] = b.fresh(name, "turn", b.turns)
		}
	}
	for i, in := range b.Inputs {
		b.now[in.Name] = inputs[i]
	}
	b.turns++
	for _, n := range b.Nodes {
		if !constantNode(n) {
			b.unroll.Nodes = append(b.unroll.Nodes, renamed(n, b.now))
		}
	}
	for _, o := range b.Outputs {
		outputs = append(outputs, called(o.Name, b.now))
	}
	return outputs
}

// called is what a tensor is called now, where some have other names than in the file.
func called(name string, now map[string]string) string {
	if to, is := now[name]; is {
		return to
	}
	return name
}

// allCalled are the names of tensors now.
func allCalled(names []string, now map[string]string) []string {
	out := slices.Clone(names)
	for i, name := range out {
		out[i] = called(name, now)
	}
	return out
}

// renamed is a node under these names, with the graphs that it has. What a graph gives a name to is its own, whatever else is called so.
func renamed(n *onnx.Node, now map[string]string) *onnx.Node {
	of := *n
	of.Inputs, of.Outputs, of.Attrs = allCalled(n.Inputs, now), allCalled(n.Outputs, now), slices.Clone(n.Attrs)
	for i, a := range of.Attrs {
		if a.G == nil {
			continue
		}
		within := maps.Clone(now)
		for name := range defined(a.G) {
			delete(within, name)
		}
		g := *a.G
		g.Nodes, g.Outputs = slices.Clone(g.Nodes), slices.Clone(g.Outputs)
		for k := range g.Nodes {
			g.Nodes[k] = renamed(g.Nodes[k], within)
		}
		for k := range g.Outputs {
			g.Outputs[k].Name = called(g.Outputs[k].Name, within)
		}
		inner := *a
		inner.G, of.Attrs[i] = &g, &inner
	}
	return &of
}

// add adds a node of its own to the function.
func (b *body) add(op string, inputs []string, attrs ...*onnx.Attr) string {
	b.made++
	out := b.fresh(op, "node", b.made)
	n := &onnx.Node{Name: b.c.n.Name, Op: op, Inputs: inputs, Outputs: []string{out}, Attrs: attrs}
	if op == "Constant" {
		n.Domain = ownDomain
	}
	b.unroll.Nodes = append(b.unroll.Nodes, n)
	return out
}

// constant adds a constant.
func (b *body) constant(t *onnx.Tensor) string {
	return b.add("Constant", nil, &onnx.Attr{Name: "value", Type: onnx.AttrTensor, T: t})
}

// scalar adds an integer, of one axis where input i of the body is declared so.
func (b *body) scalar(i int, kind onnx.DType, v int64) string {
	t := &onnx.Tensor{DType: kind, Shape: []int{}, I: []int64{v}}
	if in := b.Inputs[i]; in.HasShape && len(in.Dims) == 1 {
		t.Shape = []int{1}
	}
	return b.constant(t)
}

// stack joins what the turns yield along a new axis.
func (b *body) stack(parts []string, axis int64) string {
	parts = slices.Clone(parts)
	for i, p := range parts {
		if b.c.opset < 13 {
			parts[i] = b.add("Unsqueeze", []string{p}, intsOf("axes", axis))
		} else {
			parts[i] = b.add("Unsqueeze", []string{p, b.constant(ints([]int{1}, axis))})
		}
	}
	return b.add("Concat", parts, intOf("axis", axis))
}

// unrolledNode is how many nodes one that is written down for a turn counts as, beside itself if something comes of it.
const unrolledNode = 4

// charge pays for writing so many turns down, before it is done.
func (b *body) charge(turns int) error {
	left, each := &b.c.b.left.nodes, 1+count(b.Nodes)
	switch {
	case turns == math.MaxInt:
		return b.c.unsupported("nothing ends it: it has no number of turns, and its condition is always true")
	case turns > *left/(unrolledNode*each):
		return b.c.unsupported("its %d turns of %d nodes are too many: all loops of a model run up to %d nodes", turns, each-1, maxNodes/(1+unrolledNode))
	}
	*left -= turns * unrolledNode * each
	return nil
}

// count is the number of nodes, those of their graphs included.
func count(nodes []*onnx.Node) int {
	n := len(nodes)
	for _, node := range nodes {
		for _, a := range node.Attrs {
			if a.G != nil {
				n += count(a.G.Nodes)
			}
		}
	}
	return n
}

// lower lowers the function.
func (b *body) lower(outputs []string) ([]*val, error) {
	b.unroll.Outputs = outputs
	b.unroll.Nodes = needed(b.c.b.softmaxes(nil, b.unroll.Opsets, b.unroll.Nodes), outputs)
	of := *b.c
	of.in = b.in
	return of.inline(&b.unroll)
}

// loop unrolls a Loop: its body takes the number of the turn, whether to go on, and what it carries, and yields the latter two and one part of
// every tensor that is stacked.
func (c *call) loop() ([]*val, error) {
	b, err := c.body()
	if err != nil {
		return nil, err
	}
	carried := len(c.in) - 2
	if carried < 0 || len(b.Inputs) != 2+carried || len(b.Outputs) < 1+carried {
		return nil, fmt.Errorf("%d inputs, and a body of %d inputs and %d outputs", len(c.in), len(b.Inputs), len(b.Outputs))
	}
	if i := slices.Index(c.in[2:], nil); i >= 0 {
		return nil, fmt.Errorf("input %d is missing", 2+i)
	}
	turns, err := b.trips()
	if err != nil {
		return nil, err
	}
	if err := b.charge(turns); err != nil {
		return nil, err
	}
	var state []string
	for i := range carried {
		state = append(state, b.given(2+i))
	}
	parts := make([][]string, len(b.Outputs)-1-carried)
	for t := range turns {
		outs := b.turn(append([]string{b.scalar(0, onnx.Int64, int64(t)), b.scalar(1, onnx.Bool, 1)}, state...))
		state = outs[1 : 1+carried]
		for k, name := range outs[1+carried:] {
			parts[k] = append(parts[k], name)
		}
	}
	for _, p := range parts {
		if len(p) == 0 {
			return nil, c.unsupported("it runs no turn, so that what it would stack has no shape")
		}
		state = append(slices.Clone(state), b.stack(p, 0))
	}
	return b.lower(state)
}

// trips is how often the body of a Loop runs.
func (b *body) trips() (int, error) {
	most, err := b.c.constInts(0, "the number of turns", []int64{math.MaxInt})
	if err != nil {
		return 0, err
	}
	begin, err := b.c.constInts(1, "the condition", []int64{1})
	switch {
	case err != nil:
		return 0, err
	case len(most) != 1 || len(begin) != 1:
		return 0, fmt.Errorf("%d numbers of turns and %d conditions", len(most), len(begin))
	case begin[0] == 0 || most[0] < 1:
		return 0, nil
	case b.always():
		return int(most[0]), nil
	}
	return b.counted(int(most[0]))
}

// always says that the body hands the condition on.
func (b *body) always() bool {
	name := b.Outputs[0].Name
	for i := len(b.Nodes) - 1; i >= 0; i-- {
		if n := b.Nodes[i]; slices.Contains(n.Outputs, name) && standard(n, b.c.b.functions) && n.Op == "Identity" && len(n.Inputs) == 1 {
			name = n.Inputs[0]
		}
	}
	return name == b.Inputs[1].Name
}

// counted computes the condition turn by turn, and nothing that does not take part in it.
func (b *body) counted(most int) (int, error) {
	want := []string{b.Outputs[0].Name}
	var nodes []*onnx.Node
	for n := 0; n < len(want); {
		n, nodes = len(want), needed(b.Nodes, want)
		used := append([]string(nil), want...)
		for _, node := range nodes {
			used = append(used, onnx.Uses(node)...)
		}
		for i, in := range b.Inputs[2:] {
			if out := b.Outputs[1+i].Name; slices.Contains(used, in.Name) && !slices.Contains(want, out) {
				want = append(want, out)
			}
		}
	}
	fixed := &scope{vals: map[string]*val{}, parent: b.c.s}
	for i, name := range b.unroll.Inputs {
		fixed.vals[name] = b.in[i]
	}
	alone := *b.c // whose results nobody uses
	node := *alone.n
	node.Outputs, alone.n = nil, &node
	state := b.c.in[2:]
	for t := range most {
		if b.c.b.left.nodes--; b.c.b.left.nodes < 0 {
			return 0, b.c.unsupported("it runs more than %d turns", t)
		}
		s := &scope{vals: map[string]*val{}, parent: fixed, nodes: nodes, outs: want, caller: &alone}
		s.vals[b.Inputs[0].Name], s.vals[b.Inputs[1].Name] = constant("", ints([]int{}, int64(t))), constant("", &onnx.Tensor{DType: onnx.Bool, Shape: []int{}, I: []int64{1}})
		for i, in := range b.Inputs[2:] {
			s.vals[in.Name] = state[i]
		}
		if err := b.c.b.nodes(s, nodes, want, b.c.opsets, b.c.fnAttrs); err != nil {
			return 0, err
		}
		goesOn := s.get(want[0])
		switch real := realOf(s, nodes); {
		case real != "":
			return 0, b.c.unsupported("whether it runs another turn follows from real numbers (%q), whose roundings decide it; only integers are computed exactly here", real)
		case goesOn == nil:
			return 0, fmt.Errorf("output %q of the body does not exist", want[0])
		case goesOn.private:
			return 0, b.c.secret(goesOn, "the condition")
		case goesOn.c == nil || len(goesOn.c.I) != 1:
			return 0, b.c.unsupported("whether it runs another turn, output %q of its body, must not depend on an input of the model", want[0])
		case goesOn.c.I[0] == 0:
			return t + 1, nil
		}
		next := make([]*val, len(state))
		for i := range next {
			if out := b.Outputs[1+i].Name; slices.Contains(want, out) {
				next[i] = s.get(out)
			}
		}
		state = next
	}
	return most, nil
}

// realOf is a real number that nodes compute, by its name; "" if there is none.
func realOf(s *scope, nodes []*onnx.Node) string {
	for _, n := range nodes {
		for _, o := range n.Outputs {
			if v := s.vals[o]; v != nil && v.c != nil && v.c.DType.IsFloat() {
				return o
			}
		}
	}
	return ""
}

// scan unrolls a Scan: its body takes what it carries and one index of the axes that are walked along, and yields the former anew and one
// part of every tensor that is stacked.
func (c *call) scan() ([]*val, error) {
	if c.opset < 9 {
		return nil, c.unsupported("Scan of opset 8 has a batch axis and lengths of sequences; convert the model to opset 9 or newer")
	}
	b, err := c.body()
	if err != nil {
		return nil, err
	}
	walked := int(min(c.attrInt("num_scan_inputs", 0), int64(len(c.in))))
	carried := len(c.in) - walked
	if walked < 1 || len(b.Inputs) != len(c.in) || len(b.Outputs) < carried {
		return nil, fmt.Errorf("%d inputs, %d of them walked along, and a body of %d inputs and %d outputs", len(c.in), walked, len(b.Inputs), len(b.Outputs))
	}
	in, turns, err := c.walks(carried)
	if err != nil {
		return nil, err
	}
	out := walks{c.attrList("scan_output_axes", len(b.Outputs)-carried), c.attrList("scan_output_directions", len(b.Outputs)-carried)}
	if err := b.charge(turns); err != nil {
		return nil, err
	}
	var state []string
	for i := range carried {
		state = append(state, b.given(i))
	}
	parts := make([][]string, len(b.Outputs)-carried)
	for t := range turns {
		inputs := slices.Clone(state)
		for i := range walked {
			at := b.constant(ints([]int{}, int64(in.at(i, t, turns))))
			inputs = append(inputs, b.add("Gather", []string{b.given(carried + i), at}, intOf("axis", in.axes[i])))
		}
		outs := b.turn(inputs)
		state = outs[:carried]
		for k, name := range outs[carried:] {
			parts[k] = append(parts[k], name)
		}
	}
	for k, p := range parts {
		if out.backward[k] != 0 {
			slices.Reverse(p)
		}
		state = append(slices.Clone(state), b.stack(p, out.axes[k]))
	}
	return b.lower(state)
}

// walks say along which axes tensors are walked, and which of them from behind.
type walks struct{ axes, backward []int64 }

// at is the index of tensor i in a turn.
func (w walks) at(i, turn, turns int) int {
	if w.backward[i] != 0 {
		return turns - 1 - turn
	}
	return turn
}

// walks reads how a Scan walks along its inputs behind those that it carries, and the number of indices, of all the same.
func (c *call) walks(carried int) (w walks, turns int, err error) {
	n := len(c.in) - carried
	w = walks{c.attrList("scan_input_axes", n), c.attrList("scan_input_directions", n)}
	for i := range n {
		x, err := c.arg(carried + i)
		if err != nil {
			return w, 0, err
		}
		a, err := axis(w.axes[i], len(x.shape))
		if err != nil {
			return w, 0, err
		}
		if i > 0 && turns != x.shape[a] {
			return w, 0, fmt.Errorf("axes of %d and %d indices are walked along together", turns, x.shape[a])
		}
		w.axes[i], turns = int64(a), x.shape[a]
	}
	if turns == 0 {
		return w, 0, c.unsupported("it walks along an axis of no index, so that what it would stack has no shape")
	}
	return w, turns, nil
}

// attrList is an attribute of n integers, zeros if it is absent; what is missing is zero, too.
func (c *call) attrList(name string, n int) []int64 {
	v := make([]int64, n)
	if a := c.attr(name); a != nil {
		copy(v, a.Ints)
	}
	return v
}
