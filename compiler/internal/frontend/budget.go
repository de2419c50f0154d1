package frontend

import (
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// What lowering one model may cost. A node of a few bytes can ask for any amount of memory (Expand, Gather, Concat of a tensor with
// itself), and k functions for 2^k nodes, so everything whose size the model only names is paid for out of a budget before it is made.

const (
	baseCells    = 1 << 26 // cells of 8 bytes that any model may make: masks and position tables of a few thousand tokens
	cellsPerCell = 16      // and for every cell of the file: quantised weights are copied by every operator on their way
	maxNodes     = 1 << 20 // nodes lowered, those of functions once per call
	maxRuns      = 64      // of the search for weights, see Build
	maxCells     = 1 << 28 // of a shape that the model spells out
)

// budget is what is left, and the number of cells in the file.
type budget struct{ cells, nodes, file int }

func newBudget(m *onnx.Model, opts Options) *budget {
	n := graphCells(m.Graph)
	for _, f := range m.Functions {
		n += nodeCells(f.Nodes)
		for _, a := range f.Defaults {
			n += attrCells(a)
		}
	}
	for _, t := range opts.Fix {
		n += t.Len()
	}
	return &budget{cells: baseCells + cellsPerCell*n, nodes: maxNodes, file: n}
}

// maxActive bounds an activation, whose cells calibration computes. T tokens make at most T rows as wide as the weights, and maps of
// attention with T² cells a head; 2^24 leave room for what is cheap anyway.
func (b *builder) maxActive() int {
	T := 1
	if b.ids != nil {
		T = b.ids.shape[len(b.ids.shape)-1]
	}
	return min(1<<29, 1<<24+256*T*T+T*b.left.file)
}

// graphCells counts the cells that a graph of the file holds, in branches too.
func graphCells(g *onnx.Graph) int {
	n := nodeCells(g.Nodes)
	for _, t := range g.Initializers {
		n += t.Len()
	}
	return n
}

func nodeCells(nodes []*onnx.Node) int {
	n := 0
	for _, x := range nodes {
		for _, a := range x.Attrs {
			n += attrCells(a)
		}
	}
	return n
}

func attrCells(a *onnx.Attr) int {
	n := len(a.Floats) + len(a.Ints)
	if a.T != nil {
		n += a.T.Len()
	}
	if a.G != nil {
		n += graphCells(a.G)
	}
	return n
}

// size is the number of cells of several tensors of a shape, and whether it is a number. An extent 0 counts as 1: loops over the
// other axes run all the same.
func size(copies int, shape ...int) (int, bool) {
	n := copies
	for _, d := range shape {
		if d = max(d, 1); n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

func (b *budget) take(copies int, shape ...int) bool {
	n, ok := size(copies, shape...)
	if !ok || n > b.cells {
		return false
	}
	b.cells -= n
	return true
}

// charge pays for a number of tensors of a shape.
func (c *call) charge(copies int, shape ...int) error {
	if !c.b.left.take(copies, shape...) {
		return c.unsupported("computes a tensor of shape %v at compile time; the constants of a model may take %d cells and %d for each cell of the file, and %d are left",
			shape, baseCells, cellsPerCell, c.b.left.cells)
	}
	return nil
}

// copied counts the tensors among ts whose cells floats copies.
func copied(ts ...*onnx.Tensor) int {
	n := 0
	for _, t := range ts {
		if !t.DType.IsFloat() {
			n++
		}
	}
	return n
}
