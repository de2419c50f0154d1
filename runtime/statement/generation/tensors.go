package generation

import (
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// row is one line of a [T,V] tensor, as a set of tokens: one of them, or all below a bound.
type row struct {
	token int64 // -1: the line is zero
	below bool  // all j < token, instead of j = token alone
}

// tokenRow returns line t of OneHot, ArgmaxAt or ArgmaxBelow.
func (s *Statement) tokenRow(c *circuit.Circuit, view circuit.View, selected []bool, t int) row {
	switch {
	case view == circuit.OneHot:
		return row{token: s.token(c, t)}
	case !selected[t]:
		return row{token: -1}
	}
	return row{token: s.next(t), below: view == circuit.ArgmaxBelow}
}

// flag returns cell t of Selected or Known.
func (s *Statement) flag(view circuit.View, selected []bool, t int) bool {
	if view == circuit.Known {
		return t >= s.Prompt
	}
	return selected[t]
}

// Public returns the values of a public tensor of the circuit, for the prover.
func (s *Statement) Public(c *circuit.Circuit, id circuit.ID) *integer.Tensor {
	t := c.Tensor(id)
	out := &integer.Tensor{Shape: t.Shape, V: make([]int64, circuit.Size(t.Shape))}
	selected := s.Selected(c)
	switch t.View {
	case circuit.Selected, circuit.Known:
		for i := range out.V {
			if s.flag(t.View, selected, i) {
				out.V[i] = 1
			}
		}
	case circuit.PortValues:
		copy(out.V[(s.Prompt-1)*c.Generation.Vocab:], s.Logits)
	default:
		for i := 0; i < c.Generation.Length; i++ {
			s.tokenRow(c, t.View, selected, i).fill(out.V[i*c.Generation.Vocab : (i+1)*c.Generation.Vocab])
		}
	}
	return out
}

// fill writes the line.
func (r row) fill(line []int64) {
	switch {
	case r.token < 0:
	case r.below:
		for j := range line[:r.token] {
			line[j] = 1
		}
	default:
		line[r.token] = 1
	}
}

// at evaluates the line's MLE.
func (r row) at(point []field.Element) field.Element {
	switch {
	case r.token < 0:
		return field.Element{}
	case r.below:
		return poly.Valid(point, int(r.token))
	}
	return poly.EqIndex(point, uint64(r.token))
}

// Eval evaluates the MLE of a public tensor, for the verifier, from its non-zero lines alone. The point has the tensor's number
// of variables, the token's lowest.
func (s *Statement) Eval(c *circuit.Circuit, id circuit.ID, point []field.Element) field.Element {
	t := c.Tensor(id)
	if len(point) != circuit.ShapeBits(t.Shape) {
		panic("statement: the point does not suit the tensor's shape") // a defect of the caller: no length comes from a proof
	}
	view, selected := t.View, s.Selected(c)
	var sum, v field.Element
	if view == circuit.Selected || view == circuit.Known {
		lines := poly.Eq(point)
		for t := range selected {
			if s.flag(view, selected, t) {
				sum.Add(&sum, &lines[t])
			}
		}
		return sum
	}
	low := circuit.Bits(c.Generation.Vocab)
	lines := poly.Eq(point[low:])
	if view == circuit.PortValues {
		return s.logitsAt(c, lines, point[:low])
	}
	// Lines repeat (the pad id, above all): equal neighbours share one evaluation.
	var last row
	var at field.Element
	for t := range selected {
		r := s.tokenRow(c, view, selected, t)
		if t == 0 || r != last {
			last, at = r, r.at(point[:low])
		}
		sum.Add(&sum, v.Mul(&at, &lines[t]))
	}
	return sum
}

// logitsAt evaluates Logits from the rows that are revealed.
func (s *Statement) logitsAt(c *circuit.Circuit, lines, low []field.Element) field.Element {
	weights := poly.Eq(low)[:c.Generation.Vocab]
	var sum, v field.Element
	for i := range len(s.Logits) / c.Generation.Vocab { // none where logits are not revealed
		v = field.DotInt64(s.Logits[i*c.Generation.Vocab:(i+1)*c.Generation.Vocab], weights)
		sum.Add(&sum, v.Mul(&v, &lines[s.Prompt-1+i]))
	}
	return sum
}
