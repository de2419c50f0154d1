package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// How often the body of a Loop runs, where it is known when the model is compiled.

// trips is how often the body of a Loop runs.
func (b *body) trips() (int, error) {
	most, err := b.c.constInts(0, "the number of iterations", []int64{math.MaxInt})
	if err != nil {
		return 0, err
	}
	begin, err := b.c.constInts(1, "the condition", []int64{1})
	switch {
	case err != nil:
		return 0, err
	case len(most) != 1 || len(begin) != 1:
		return 0, fmt.Errorf("%d numbers of iterations and %d conditions", len(most), len(begin))
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

// counted computes the condition iteration by iteration, and nothing that does not take part in it.
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
			return 0, b.c.unsupported("it runs more than %d iterations", t)
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
			return 0, b.c.unsupported("whether it runs another iteration follows from real numbers (%q), whose roundings decide it; only integers are computed exactly here", real)
		case goesOn == nil:
			return 0, fmt.Errorf("output %q of the body does not exist", want[0])
		case goesOn.private:
			return 0, b.c.secret(goesOn, "the condition")
		case goesOn.c == nil || len(goesOn.c.I) != 1:
			return 0, b.c.unsupported("whether it runs another iteration, output %q of its body, must not depend on an input of the model", want[0])
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
