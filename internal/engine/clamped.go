package engine

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// Clamped says how many cells of a tensor a rescale has clamped: their rounded quotients lay outside of its range.
type Clamped struct {
	Tensor string `json:"tensor"` // the tensor, by its name in the circuit
	Cells  int    `json:"cells"`  // how many of its cells are clamped
	Of     int    `json:"of"`     // how many it has

	// prove: how many of the clamped ones lie behind what the answer was made from, where it does not depend on them
	Padding int `json:"padding,omitempty"`

	Node string `json:"node,omitempty"` // the ONNX node that the tensor comes from, where it is known
	Op   string `json:"op,omitempty"`   // its operator
}

func (c Clamped) String() string {
	s := fmt.Sprintf("%d of %d cells of %s", c.Cells, c.Of, c.Tensor)
	if c.Node != "" {
		s += fmt.Sprintf(" (node %q, %s)", c.Node, c.Op)
	}
	if c.Padding > 0 {
		s += fmt.Sprintf(", %d of them behind the text", c.Padding)
	}
	return s
}

// Saturation is why a statement that no value was clamped is refused where some were: the detail of a Refusal.
type Saturation struct{ Clamped []Clamped }

func (s *Saturation) Error() string {
	return fmt.Sprintf("the statement says that no value is clamped: %v", s.Clamped[0])
}

// clamped counts the cells whose class is not zero, tensor by tensor, those with none left out. A tensor that is not computed yet has none.
func clamped(c *circuit.Circuit, nonzero func(circuit.ID) (n, of int)) []Clamped {
	classes, _ := c.Classes() // those that are known; statements that need all ask themselves
	var out []Clamped
	names := c.Clamped()
	for i, id := range classes {
		if n, of := nonzero(id); n > 0 {
			out = append(out, Clamped{Tensor: names[i], Cells: n, Of: of})
		}
	}
	return out
}
