// Package function is the plain kind of statement: these inputs gave these outputs.
//
// A statement holds a list of integers per port of the circuit, in the circuit's order: of a public input all elements, of an output
// whose values are revealed all elements, of an output whose arg-max is revealed one index per row along the last axis (the first one,
// where several elements are the greatest), of a private port none. What an integer stands for is said by the port; how a real number
// becomes one by Element.
package function

import (
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format/ints"
	"github.com/zkllmc/zkllmc/internal/format/stated"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// Kind is the kind of these statements.
var Kind = statement.Kind{
	Name: kindName,
	Decode: func(f *circuit.Family, data []byte) (statement.Statement, *circuit.Circuit, error) {
		s, c, err := Decode(f, data)
		if err != nil {
			return nil, nil, err
		}
		return s, c, nil
	},
	Errors: []error{statement.ErrFormat, statement.ErrKind, statement.ErrCount, ErrPorts, ErrValue, ErrPrivate, ErrVacuous},
}

// The kind's name, and its number in a file.
const (
	kindName = "function"
	number   = 1
)

// Statement is the public part of a proof.
type Statement struct {
	Ports        [][]int64 // per port of the circuit; nil where it is private
	NoSaturation bool      // no value was clamped
}

// Why Check refuses a statement.
var (
	ErrPorts   = errors.New("statement: another number of ports than the circuit has")
	ErrValue   = errors.New("statement: a value is outside the range of its port")
	ErrPrivate = errors.New("statement: a private port must not be told")
	ErrVacuous = errors.New("statement: the circuit reveals nothing of its outputs")
)

// count is the number of integers that a statement tells of a port.
func count(p *circuit.Port) int {
	switch p.Reveal {
	case circuit.Values:
		return circuit.Size(p.Shape)
	case circuit.Argmax:
		return p.Rows()
	}
	return 0
}

// Check implements statement.Statement: the number of values of every port, and their ranges, for v and v+p are one field element.
func (s *Statement) Check(c *circuit.Circuit) error { return s.check(c, true) }

// CheckInput implements statement.Statement. Outputs may be missing.
func (s *Statement) CheckInput(c *circuit.Circuit) error { return s.check(c, false) }

func (s *Statement) check(c *circuit.Circuit, outputs bool) error {
	if err := stated.CheckKind(c, kindName, s.NoSaturation); err != nil {
		return err
	}
	if len(s.Ports) != len(c.Ports) {
		return fmt.Errorf("%w: %d, want %d", ErrPorts, len(s.Ports), len(c.Ports))
	}
	for i := range c.Ports {
		p := &c.Ports[i]
		if p.Out && !outputs {
			continue
		}
		if err := checkPort(p, s.Ports[i]); err != nil {
			return fmt.Errorf("port %q: %w", p.Name, err)
		}
	}
	return nil
}

func checkPort(p *circuit.Port, values []int64) error {
	if !p.Public() && len(values) > 0 {
		return ErrPrivate
	}
	if len(values) != count(p) {
		return fmt.Errorf("%w: %d, want %d", statement.ErrCount, len(values), count(p))
	}
	lo, hi := p.Lo, p.Hi
	if p.Reveal == circuit.Argmax {
		lo, hi = 0, int64(p.Shape[len(p.Shape)-1])-1
	}
	for k, v := range values {
		if v < lo || v > hi {
			return fmt.Errorf("%w: element %d is %d, not in [%d, %d]", ErrValue, k, v, lo, hi)
		}
	}
	return nil
}

// CheckClaim implements statement.Statement.
func (s *Statement) CheckClaim(c *circuit.Circuit) error {
	if !c.HasClaim() {
		return ErrVacuous
	}
	return nil
}

// Unsaturated implements statement.Statement.
func (s *Statement) Unsaturated() bool { return s.NoSaturation }

// Bytes implements statement.Statement: 1, or 65 where no value was clamped, then a list per port.
func (s *Statement) Bytes() []byte {
	out := []byte{ints.First(number, s.NoSaturation)}
	for _, values := range s.Ports {
		out = ints.AppendList(out, values)
	}
	return out
}

// Decode reads the file of a statement about a circuit of the family, which it returns too, and checks it. Lengths are the circuit's,
// compared before anything is allocated.
func Decode(f *circuit.Family, data []byte) (*Statement, *circuit.Circuit, error) {
	return stated.Decode(f, data, kindName, number, read)
}

func read(r *stated.File) (*Statement, error) {
	c := r.Circuit
	s := &Statement{Ports: make([][]int64, len(c.Ports)), NoSaturation: r.NoSaturation}
	for i := range c.Ports {
		var err error
		if s.Ports[i], err = r.List(count(&c.Ports[i])); err != nil {
			return nil, fmt.Errorf("port %q: %w", c.Ports[i].Name, err)
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	if err := s.Check(c); err != nil {
		return nil, err
	}
	return s, nil
}

// Public implements statement.Statement. The claims of an output that are not known yet count as none.
func (s *Statement) Public(c *circuit.Circuit, id circuit.ID) *integer.Tensor {
	t := c.Tensor(id)
	out := &integer.Tensor{Shape: t.Shape, V: make([]int64, circuit.Size(t.Shape))}
	values := s.Ports[t.Port]
	width := t.Shape[len(t.Shape)-1]
	for k, v := range values {
		switch t.View {
		case circuit.PortValues:
			out.V[k] = v
		case circuit.OneHot, circuit.ArgmaxAt:
			out.V[k*width+int(v)] = 1
		case circuit.ArgmaxBelow:
			for j := range int(v) {
				out.V[k*width+j] = 1
			}
		}
	}
	return out
}

// Eval implements statement.Statement. The point has the tensor's number of variables, those of the last axis lowest.
func (s *Statement) Eval(c *circuit.Circuit, id circuit.ID, point []field.Element) field.Element {
	t := c.Tensor(id)
	if len(point) != circuit.ShapeBits(t.Shape) {
		panic("statement: the point does not suit the tensor's shape") // a defect of the caller: no length comes from a proof
	}
	values, last := s.Ports[t.Port], len(t.Shape)-1
	if t.View == circuit.PortValues {
		return poly.EvalInts(values, t.Shape, point)
	}
	low := circuit.Bits(t.Shape[last])
	weights := rows(t.Shape[:last], point[low:])
	var sum, v field.Element
	for k, id := range values {
		at := poly.EqIndex(point[:low], uint64(id))
		if t.View == circuit.ArgmaxBelow {
			at = poly.Valid(point[:low], int(id))
		}
		sum.Add(&sum, v.Mul(&at, &weights[k]))
	}
	return sum
}

// rows lists eq(point, row) of the rows of a box, row-major.
func rows(shape []int, point []field.Element) []field.Element {
	out := []field.Element{field.One()}
	for a := len(shape) - 1; a >= 0; a-- {
		n := circuit.Bits(shape[a])
		axis := poly.Eq(point[:n])[:shape[a]]
		point = point[n:]
		next := make([]field.Element, 0, len(axis)*len(out))
		for i := range axis {
			for j := range out {
				var v field.Element
				next = append(next, *v.Mul(&axis[i], &out[j]))
			}
		}
		out = next
	}
	return out
}

// Fill sets what the statement says of a revealed output from the output's elements.
func (s *Statement) Fill(c *circuit.Circuit, port int, elements []int64) {
	p := &c.Ports[port]
	switch p.Reveal {
	case circuit.Values:
		s.Ports[port] = append([]int64(nil), elements...)
	case circuit.Argmax:
		width := p.Shape[len(p.Shape)-1]
		s.Ports[port] = nil
		for r := range p.Rows() {
			s.Ports[port] = append(s.Ports[port], statement.Argmax(elements[r*width:(r+1)*width]))
		}
	}
}
