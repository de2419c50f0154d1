package frontend

// maskThreshold separates masks from biases: an additive cell of at most this much makes a softmax weight vanish.
const maskThreshold = -1e3

// maskOr returns a private or undecided tensor as a public constant if it is a mask: its cells are 0 or at most maskThreshold,
// both occur, and the node's result feeds a Softmax. Of such a tensor only the pattern becomes public. A Where has the pattern in
// its condition, so its sides may lack the zeros.
func (c *call) maskOr(v *val) (*val, error) {
	hidden := v.private || v.c != nil && v.mark != nil
	if !hidden || len(v.shape) < 1 || c.b.class.forced[v.name] || v.mark != nil && v.mark.forced || !c.feedsSoftmax() {
		return v, nil
	}
	t, err := v.force()
	if err != nil {
		return nil, err
	}
	var zeros, masked int
	for _, x := range floats(t) {
		switch {
		case x == 0:
			zeros++
		case x <= maskThreshold:
			masked++
		default:
			return v, nil
		}
	}
	if zeros == 0 && c.n.Op != "Where" || masked == 0 {
		return v, nil
	}
	return constant(v.name, t), nil
}

// vanishing says whether a value is a public constant of which all cells make softmax weights vanish.
func vanishing(v *val) bool {
	if v.c == nil || v.mark != nil || v.c.Len() == 0 {
		return false
	}
	for _, x := range floats(v.c) {
		if !(x <= maskThreshold) {
			return false
		}
	}
	return true
}

// feedsSoftmax says whether the node's result reaches a Softmax through elementwise operators and movement only.
func (c *call) feedsSoftmax() bool {
	type place struct {
		s    *scope
		name string
	}
	seen := map[place]bool{}
	var todo []place
	leave := func(s *scope, outs []string) {
		for _, o := range outs {
			if p := (place{s, o}); o != "" && !seen[p] {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
	leave(c.s, c.n.Outputs)
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i, o := range p.s.outs {
			if o == p.name && i < len(p.s.caller.n.Outputs) { // out of a function or a branch
				leave(p.s.caller.s, p.s.caller.n.Outputs[i:i+1])
			}
		}
		for _, n := range p.s.nodes {
			uses := false
			for _, in := range n.Inputs {
				uses = uses || in == p.name
			}
			if !uses || n.Domain != "" {
				continue
			}
			switch n.Op {
			case "Softmax":
				return true
			case "Add", "Sub", "Mul", "Div", "Where", "Reshape", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Expand", "Identity":
				leave(p.s, n.Outputs)
			}
		}
	}
	return false
}
