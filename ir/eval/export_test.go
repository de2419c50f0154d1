package eval

import "github.com/zkllmc/zkllmc/ir"

// GradientsOfParts is Gradients by parts of so many nodes, whatever the size of the values.
func GradientsOfParts(g *ir.Graph, length int, in, outputs [][][]float64, f func(run int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64)) error {
	return gradients(nil, g, partsOfLength(g, length), in, outputs, f)
}
