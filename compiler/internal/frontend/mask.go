package frontend

// maskThreshold separates masks from biases: an additive cell of at most this much makes a softmax weight vanish.
const maskThreshold = -1e3

// maskOr returns a private tensor as a public constant if it is a mask: its cells are 0 or at most maskThreshold, both occur, and
// the node's result feeds a Softmax. Of such an initializer only the pattern becomes public.
func (c *call) maskOr(v *val) (*val, error) {
	if !v.private || len(v.shape) < 1 || c.b.class.forced[v.name] || !c.feedsSoftmax() {
		return v, nil
	}
	t, err := v.force()
	if err != nil {
		return nil, err
	}
	var zeros, masked int
	for _, x := range t.F {
		switch {
		case x == 0:
			zeros++
		case x <= maskThreshold:
			masked++
		default:
			return v, nil
		}
	}
	if zeros == 0 || masked == 0 {
		return v, nil
	}
	return constant(v.name, t), nil
}

// feedsSoftmax says whether the node's result reaches a Softmax through elementwise operators and movement only.
func (c *call) feedsSoftmax() bool {
	seen := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
		for _, n := range c.b.m.Graph.Nodes {
			uses := false
			for _, in := range n.Inputs {
				uses = uses || in == name
			}
			if !uses {
				continue
			}
			switch n.Op {
			case "Softmax":
				return true
			case "Add", "Sub", "Mul", "Div", "Where", "Reshape", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Expand", "Identity":
				for _, o := range n.Outputs {
					if visit(o) {
						return true
					}
				}
			}
		}
		return false
	}
	for _, o := range c.n.Outputs {
		if visit(o) {
			return true
		}
	}
	return false
}
