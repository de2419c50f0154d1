package frontend

import (
	"fmt"
	"slices"
)

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
	in, iterations, err := c.walks(carried)
	if err != nil {
		return nil, err
	}
	out := walks{c.attrList("scan_output_axes", len(b.Outputs)-carried), c.attrList("scan_output_directions", len(b.Outputs)-carried)}
	if err := b.charge(iterations); err != nil {
		return nil, err
	}
	var state []string
	for i := range carried {
		state = append(state, b.given(i))
	}
	parts := make([][]string, len(b.Outputs)-carried)
	for t := range iterations {
		inputs := slices.Clone(state)
		for i := range walked {
			at := b.constant(ints([]int{}, int64(in.at(i, t, iterations))))
			inputs = append(inputs, b.add("Gather", []string{b.given(carried + i), at}, intOf("axis", in.axes[i])))
		}
		outs := b.iteration(inputs)
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

// at is the index of tensor i in an iteration.
func (w walks) at(i, iteration, iterations int) int {
	if w.backward[i] != 0 {
		return iterations - 1 - iteration
	}
	return iteration
}

// walks reads how a Scan walks along its inputs behind those that it carries, and the number of indices, of all the same.
func (c *call) walks(carried int) (w walks, iterations int, err error) {
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
		if i > 0 && iterations != x.shape[a] {
			return w, 0, fmt.Errorf("axes of %d and %d indices are walked along together", iterations, x.shape[a])
		}
		w.axes[i], iterations = int64(a), x.shape[a]
	}
	if iterations == 0 {
		return w, 0, c.unsupported("it walks along an axis of no index, so that what it would stack has no shape")
	}
	return w, iterations, nil
}

// attrList is an attribute of n integers, zeros if it is absent; what is missing is zero, too.
func (c *call) attrList(name string, n int) []int64 {
	v := make([]int64, n)
	if a := c.attr(name); a != nil {
		copy(v, a.Ints)
	}
	return v
}
