package engine

import (
	"fmt"
	"strings"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
)

// Clamped says how many cells of a tensor a rescale has clamped: their rounded quotients lay outside of its range.
type Clamped struct {
	Tensor string `json:"tensor"`
	Cells  int    `json:"cells"`
	Of     int    `json:"of"`
}

func (c Clamped) String() string {
	return fmt.Sprintf("%d of %d cells of %s", c.Cells, c.Of, c.Tensor)
}

// clamped counts the cells whose class is not zero, tensor by tensor, those with none left out. A tensor that is not computed yet has none.
func clamped(c *circuit.Circuit, value func(circuit.ID) *backend.Tensor) []Clamped {
	classes, _ := c.Classes() // those that are known; statements that need all ask themselves
	var out []Clamped
	for _, id := range classes {
		v := value(id)
		if v == nil {
			continue
		}
		n := 0
		for _, class := range v.V {
			if class != 0 {
				n++
			}
		}
		if n > 0 {
			out = append(out, Clamped{Tensor: strings.TrimSuffix(c.Tensor(id).Name, ".class"), Cells: n, Of: len(v.V)})
		}
	}
	return out
}
