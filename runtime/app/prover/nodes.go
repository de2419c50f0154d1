package prover

import (
	"strings"

	"github.com/zkllmc/zkllmc/internal/engine"
)

// named says of which ONNX nodes clamped tensors are, as far as Nodes does.
func (m *Model) named(list []engine.Clamped) []engine.Clamped {
	for line := range strings.Lines(m.Nodes) {
		of := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i := range list {
			if len(of) == 3 && of[0] == list[i].Tensor {
				list[i].Node, list[i].Op = of[1], of[2]
			}
		}
	}
	return list
}
