package frontend

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// RNN, GRU and LSTM over a constant number of positions: every position's step is written out, and what a step does not depend on, the
// products of the inputs, is one product for all of them.

func init() {
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		spelled[op] = recurrent
	}
}

// recurrence is what the operators differ in: how many gates' weights stand one after the other, the usual activations of a direction, the
// inputs that are states, and the step.
type recurrence struct {
	gates  int
	usual  []string
	states int
	step   func(d *direction, x string, states []string) []string
}

var recurrences = map[string]recurrence{
	"RNN":  {1, []string{"Tanh"}, 1, rnnStep},
	"GRU":  {3, []string{"Sigmoid", "Tanh"}, 1, gruStep},
	"LSTM": {4, []string{"Sigmoid", "Tanh", "Tanh"}, 2, lstmStep},
}

// recurrentInputs are the inputs in order; the names of states are those of LSTM.
var recurrentInputs = []string{"x", "w", "r", "b", "lengths", "h", "c", "p"}

// direction is one of one or two: it walks from the first position on, or from the last one back.
type direction struct {
	c      *call
	s      *speller
	index  int // among the directions
	of     int // directions
	all    int // gates
	hidden int
	acts   []string
	rows   map[[3]any]string // of weights, as factors: see weights
}

func recurrent(c *call) (*onnx.Function, error) {
	kind := recurrences[c.n.Op]
	ways, acts, err := c.recurrentWays(kind)
	if err != nil {
		return nil, err
	}
	s := c.speller(recurrentInputs...)
	x, shape := "x", slices.Clone(c.in[0].shape)
	batchFirst := c.attrInt("layout", 0) != 0
	if batchFirst {
		x, shape[0], shape[1] = s.with(s.add("Transpose", x), intsOf("perm", 1, 0, 2)), shape[1], shape[0]
	}
	if err := c.chargeSteps(shape[0] * len(ways)); err != nil {
		return nil, err
	}
	if err := c.wholeLengths(shape[0]); err != nil {
		return nil, err
	}
	hidden := c.in[2].shape[2]
	all := make([][]string, shape[0]) // by position and direction
	last := make([][]string, kind.states)
	for k, backward := range ways {
		d := &direction{c: c, s: s, index: k, of: len(ways), all: kind.gates, hidden: hidden, acts: acts[k], rows: map[[3]any]string{}}
		inputs := d.plus(s.add("MatMul", x, d.weights("w", 0, kind.gates)), d.bias(0, kind.gates))
		states := d.initial(kind.states, batchFirst)
		for t := range shape[0] {
			if backward {
				t = shape[0] - 1 - t
			}
			at := s.add("Squeeze", s.slice(inputs, 0, t, t+1, 1), s.ints(0))
			states = kind.step(d, at, states)
			all[t] = append(all[t], s.add("Unsqueeze", states[0], s.ints(0, 1)))
		}
		for i, v := range states {
			last[i] = append(last[i], s.add("Unsqueeze", v, s.ints(0)))
		}
	}
	outputs := []string{s.recurrentRows(all, batchFirst)}
	for _, v := range last {
		v := s.joinedAlong(v, 0)
		if batchFirst {
			v = s.with(s.add("Transpose", v), intsOf("perm", 1, 0, 2))
		}
		outputs = append(outputs, v)
	}
	return s.function(outputs...)
}

// recurrentRows are the rows of all positions and directions.
func (s *speller) recurrentRows(all [][]string, batchFirst bool) string {
	var positions []string
	for _, of := range all {
		positions = append(positions, s.joinedAlong(of, 1))
	}
	y := s.joinedAlong(positions, 0)
	if batchFirst {
		y = s.with(s.add("Transpose", y), intsOf("perm", 2, 0, 1, 3))
	}
	return y
}

func (s *speller) joinedAlong(parts []string, axis int64) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return s.with(s.add("Concat", parts...), intOf("axis", axis))
}

// recurrentWays checks a call: it says of every direction whether it goes backwards, and which activations it has.
func (c *call) recurrentWays(kind recurrence) (ways []bool, acts [][]string, err error) {
	if err := c.args(3); err != nil {
		return nil, nil, err
	}
	switch way := c.attrString("direction", "forward"); way {
	case "forward", "reverse":
		ways = []bool{way == "reverse"}
	case "bidirectional":
		ways = []bool{false, true}
	default:
		return nil, nil, fmt.Errorf("direction %q", way)
	}
	x, w, r := c.in[0].shape, c.in[1].shape, c.in[2].shape
	if len(x) != 3 || len(w) != 3 || len(r) != 3 || x[0] < 1 || x[1] < 1 {
		return nil, nil, fmt.Errorf("shapes %v, %v and %v", x, w, r)
	}
	hidden := r[2]
	if rows := kind.gates * hidden; w[0] != len(ways) || w[1] != rows || w[2] != x[2] || r[0] != len(ways) || r[1] != rows || int(c.attrInt("hidden_size", int64(hidden))) != hidden {
		return nil, nil, fmt.Errorf("%d directions, inputs of shape %v, and weights of shapes %v and %v", len(ways), x, w, r)
	}
	if c.attr("clip") != nil || c.attrInt("input_forget", 0) != 0 {
		return nil, nil, c.unsupported("clip and input_forget are not supported; export the model without them")
	}
	acts, err = c.recurrentActs(kind, len(ways))
	return ways, acts, err
}

// plainActs are the activations that take no parameters.
var plainActs = []string{"Sigmoid", "Tanh", "Relu", "Softsign", "Softplus"}

// recurrentActs are the activations of every direction.
func (c *call) recurrentActs(kind recurrence, ways int) (acts [][]string, err error) {
	names := slices.Repeat(kind.usual, ways)
	if a := c.attr("activations"); a != nil {
		names = slices.Clone(a.Strings)
	}
	if len(names) != ways*len(kind.usual) {
		return nil, fmt.Errorf("%d activations", len(names))
	}
	for i, name := range names {
		k := slices.IndexFunc(plainActs, func(s string) bool { return strings.EqualFold(s, name) })
		if k < 0 {
			return nil, c.unsupported("the activation %s is not supported, but %s are", name, strings.Join(plainActs, ", "))
		}
		names[i] = plainActs[k]
	}
	return slices.Collect(slices.Chunk(names, len(kind.usual))), nil
}

// recurrentNodes is how many nodes a step has at most.
const recurrentNodes = 64

// chargeSteps pays for so many steps, as for the iterations of a loop.
func (c *call) chargeSteps(steps int) error {
	if left := &c.b.left.nodes; steps <= *left/(unrolledNode*recurrentNodes) {
		*left -= steps * unrolledNode * recurrentNodes
		return nil
	}
	return c.unsupported("its %d steps are too many; give it a shorter sequence", steps)
}

// wholeLengths refuses sequences that end before the last position.
func (c *call) wholeLengths(n int) error {
	lengths, err := c.constInts(4, "sequence_lens", nil)
	if err == nil && slices.ContainsFunc(lengths, func(x int64) bool { return x != int64(n) }) {
		err = c.unsupported("its sequences have lengths %v of %d; only whole ones are supported, cut the others off", lengths, n)
	}
	return err
}

// mine is a tensor with an axis of directions, 0 where nothing else is said, without it.
func (d *direction) mine(name string, axis int) string {
	if d.of > 1 {
		name = d.s.slice(name, axis, d.index, d.index+1, 1)
	}
	return d.s.add("Squeeze", name, d.s.ints(int64(axis)))
}

// weights are the weights of the gates from one on up to another, transposed: what rows are multiplied with.
func (d *direction) weights(name string, from, to int) string {
	key := [3]any{name, from, to}
	if d.rows[key] == "" {
		v := d.mine(name, 0)
		if to-from < d.all {
			v = d.s.slice(v, 0, from*d.hidden, to*d.hidden, 1)
		}
		d.rows[key] = d.s.with(d.s.add("Transpose", v), intsOf("perm", 1, 0))
	}
	return d.rows[key]
}

// bias is that of gates, of which those of the inputs stand before those of the states, "" if there is none.
func (d *direction) bias(from, to int) string {
	if !d.c.has(3) {
		return ""
	}
	return d.rowsOf("b", from, to)
}

// rowsOf are as many numbers of a tensor as gates from one on up to another have.
func (d *direction) rowsOf(name string, from, to int) string {
	key := [3]any{name, from, to}
	if d.rows[key] == "" {
		d.rows[key] = d.s.slice(d.mine(name, 0), 0, from*d.hidden, to*d.hidden, 1)
	}
	return d.rows[key]
}

// initial are the states before the first step, "" where they are zero.
func (d *direction) initial(n int, batchFirst bool) []string {
	states := make([]string, n)
	for i := range states {
		if axis := 0; d.c.has(5 + i) {
			if batchFirst {
				axis = 1
			}
			states[i] = d.mine(recurrentInputs[5+i], axis)
		}
	}
	return states
}

// plus is a sum, of which any summand may be missing.
func (d *direction) plus(x, y string) string {
	if x == "" || y == "" {
		return x + y
	}
	return d.s.add("Add", x, y)
}

// times is a product, which is missing where a factor is.
func (d *direction) times(x, y string) string {
	if x == "" || y == "" {
		return ""
	}
	return d.s.add("Mul", x, y)
}

// gates is what gates from one on up to another get of a state.
func (d *direction) gates(state string, from, to int) string {
	y := ""
	if state != "" {
		y = d.s.add("MatMul", state, d.weights("r", from, to))
	}
	return d.plus(y, d.bias(d.all+from, d.all+to))
}

// gate is one of those that stand side by side.
func (d *direction) gate(x string, i int) string {
	if x == "" {
		return ""
	}
	return d.s.slice(x, -1, i*d.hidden, (i+1)*d.hidden, 1)
}

func (d *direction) act(i int, x string) string { return d.s.add(d.acts[i], x) }

// rnnStep is H = f(X·Wᵀ + H·Rᵀ + b).
func rnnStep(d *direction, x string, states []string) []string {
	return []string{d.act(0, d.plus(x, d.gates(states[0], 0, 1)))}
}

// gruStep is H = (1 − z)·h + z·H for the gates z, r and h, of which r stands before or behind the product with the state.
func gruStep(d *direction, x string, states []string) []string {
	h := states[0]
	zr := d.gates(h, 0, 2)
	z := d.act(0, d.plus(d.gate(x, 0), d.gate(zr, 0)))
	r := d.act(0, d.plus(d.gate(x, 1), d.gate(zr, 1)))
	var of string
	if d.c.attrInt("linear_before_reset", 0) != 0 {
		of = d.times(r, d.gates(h, 2, 3))
	} else {
		of = d.gates(d.times(r, h), 2, 3)
	}
	next := d.act(1, d.plus(d.gate(x, 2), of))
	kept := d.times(d.s.add("Sub", d.s.floats(1), z), next)
	return []string{d.plus(kept, d.times(z, h))}
}

// lstmStep is C = f·C + i·c and H = o·h(C) for the gates i, o, f and c, whose peepholes look at C.
func lstmStep(d *direction, x string, states []string) []string {
	h, c := states[0], states[1]
	x = d.plus(x, d.gates(h, 0, 4))
	peeks := func(i, k int, c string) string { // gate i of the weights, k of the peepholes
		v := d.gate(x, i)
		if c != "" && d.c.has(7) {
			v = d.plus(v, d.times(c, d.rowsOf("p", k, k+1)))
		}
		return d.act(0, v)
	}
	next := d.times(peeks(0, 0, c), d.act(1, d.gate(x, 3)))
	if c != "" {
		next = d.plus(next, d.times(peeks(2, 2, c), c))
	}
	return []string{d.s.add("Mul", peeks(1, 1, next), d.act(2, next)), next}
}
