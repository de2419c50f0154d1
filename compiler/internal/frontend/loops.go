package frontend

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// Loop and Scan are unrolled: how often their bodies run is known when the model is compiled, or they are refused. The iterations, one behind the
// other, are a function of the loop's inputs and of what its body takes from outside; so all that looks at who uses a tensor sees them.

// graphs are the operators that have graphs of their own.
var graphs = map[string]handler{}

func init() {
	register(graphs, map[string]handler{"If": (*call).branch, "Loop": (*call).loop, "Scan": (*call).scan})
}

// body is the graph of a loop, and the function that its iterations become.
type body struct {
	*onnx.Graph
	c          *call
	number     int // of the loop, among all of the model
	made       int // names
	iterations int
	unroll     onnx.Function
	in         []*val
	names      map[string]bool   // of the body's own tensors
	now        map[string]string // what these are called in this iteration
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

// iteration appends the body once more, where its inputs are these, and returns what its outputs are called.
func (b *body) iteration(inputs []string) (outputs []string) {
	for name, varies := range b.names {
		if varies {
			b.now[name] = b.fresh(name, "iteration", b.iterations)
		}
	}
	for i, in := range b.Inputs {
		b.now[in.Name] = inputs[i]
	}
	b.iterations++
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

// stack joins what the iterations yield along a new axis.
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

// unrolledNode is how many nodes one that is written down for an iteration counts as, beside itself if something comes of it.
const unrolledNode = 4

// charge pays for writing so many iterations down, before it is done.
func (b *body) charge(iterations int) error {
	left, each := &b.c.b.left.nodes, 1+count(b.Nodes)
	switch {
	case iterations == math.MaxInt:
		return b.c.unsupported("nothing ends it: it has no number of iterations, and its condition is always true")
	case iterations > *left/(unrolledNode*each):
		return b.c.unsupported("its %d iterations of %d nodes are too many: all loops of a model run up to %d nodes", iterations, each-1, maxNodes/(1+unrolledNode))
	}
	*left -= iterations * unrolledNode * each
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
	b.unroll.Nodes = b.c.b.softmaxes(nil, b.unroll.Opsets, b.unroll.Nodes, outputs)
	of := *b.c
	of.in = b.in
	return of.inline(&b.unroll)
}

// loop unrolls a Loop: its body takes the number of the iteration, whether to go on, and what it carries, and yields the latter two and one part of
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
	iterations, err := b.trips()
	if err != nil {
		return nil, err
	}
	if err := b.charge(iterations); err != nil {
		return nil, err
	}
	var state []string
	for i := range carried {
		state = append(state, b.given(2+i))
	}
	parts := make([][]string, len(b.Outputs)-1-carried)
	for t := range iterations {
		outs := b.iteration(append([]string{b.scalar(0, onnx.Int64, int64(t)), b.scalar(1, onnx.Bool, 1)}, state...))
		state = outs[1 : 1+carried]
		for k, name := range outs[1+carried:] {
			parts[k] = append(parts[k], name)
		}
	}
	for _, p := range parts {
		if len(p) == 0 {
			return nil, c.unsupported("it runs no iteration, so that what it would stack has no shape")
		}
		state = append(slices.Clone(state), b.stack(p, 0))
	}
	return b.lower(state)
}
