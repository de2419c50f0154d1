// Package ir holds the compiler's intermediate representation: one graph type with two meanings.
//
// In StageFloat a value is a real tensor and the graph means what the ONNX file means. In StageInt a value is an integer
// tensor, real ≈ q·2^(-Scale), and the graph is the integer program that a proof is about: deterministic, total on its declared
// input ranges, every operation with exactly one result.
//
// The representation is small on purpose. Everything linear or multilinear (matrix products, elementwise products and sums,
// transposes, reshapes, broadcasts, reductions, embeddings) is one operation, Einsum: a sum of terms, each a product of operands
// over named labels. What is left is the operations that need a lookup: see Ops.
package ir

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Stage says which meaning a graph has.
type Stage uint8

// The stages of a graph.
const (
	StageFloat Stage = iota + 1
	StageInt

	// StagePrim is what the frontend delivers: the meaning is that of StageFloat, shapes are still those of the file, see package frontend.
	StagePrim Stage = 16
)

// Op names an operation of the op table.
type Op string

// The operations. Their entries in the op table, see OpInfo, describe them.
const (
	OpInput   Op = "Input"
	OpWeight  Op = "Weight"
	OpConst   Op = "Const"
	OpOneHot  Op = "OneHot"
	OpEinsum  Op = "Einsum"
	OpUnary   Op = "Unary"
	OpNorm    Op = "Norm"
	OpSoftmax Op = "Softmax"
	OpRescale Op = "Rescale"
	OpTable   Op = "Table"
	OpRsqrt   Op = "Rsqrt"
	OpZkAttn  Op = "ZkAttn"
)

// ValueID indexes Graph.Values.
type ValueID int

// Value is one tensor of the graph.
type Value struct {
	ID    ValueID
	Name  string
	Shape []int

	// Scale, Lo and Hi are set in StageInt: real ≈ q·2^(-Scale) and Lo ≤ q ≤ Hi for every input in range, by the interval
	// rules of the op table.
	Scale  int
	Lo, Hi int64

	// Far bounds a wide value, nil for all others: one whose cells may reach 2^62, so that Lo and Hi do not hold its bounds; see SetBounds.
	// Sums take it, and operations that rescale. An evaluation has two words for each of its cells: the lower ones of all, with sign, and then
	// the upper ones, of which each counts 2^64.
	Far *interval.Interval

	// Data (StageFloat) and Ints (StageInt) are set on Weight and Const values only, row-major. Weights may have Stored in place of Data, and
	// Short in place of Ints: there are many, and who needs their cells reads them, some at a time.
	Data   []float64
	Ints   []int64
	Stored weights.Reals
	Short  weights.Integers

	// Def is the node that computes the value.
	Def *Node
}

// Reals are the cells of a Weight or Const of StageFloat.
func (v *Value) Reals() weights.Reals {
	if v.Stored == nil {
		return weights.Held[float64](v.Data)
	}
	return v.Stored
}

// few is up to how many cells a weight keeps in Data.
const few = 1 << 10

// Hold gives a weight of StageFloat cells that were computed.
func (v *Value) Hold(cells []float64) {
	if v.Data, v.Stored = cells, nil; len(cells) > few {
		v.Data, v.Stored = nil, weights.Compact(cells)
	}
}

// Wide says whether cells may reach 2^62.
func (v *Value) Wide() bool { return v.Far != nil }

// Bounds are the bounds of a value in StageInt.
func (v *Value) Bounds() interval.Interval {
	if v.Wide() {
		return *v.Far
	}
	return interval.Of(v.Lo, v.Hi)
}

// SetBounds sets the bounds of a value in StageInt, wide or not.
func (v *Value) SetBounds(b interval.Interval) {
	const limit = 1 << 62
	if b.In(1-limit, limit-1) {
		v.Lo, v.Hi, v.Far = b.Lo.Int64(), b.Hi.Int64(), nil
		return
	}
	v.Lo, v.Hi, v.Far = -limit, limit, &b
}

// WideCell is cell i of a wide value, of which an evaluation has the given words.
func WideCell(words []int64, i int) *big.Int {
	x := new(big.Int).Lsh(big.NewInt(words[len(words)/2+i]), 64)
	return x.Add(x, big.NewInt(words[i]))
}

// CopyBounds gives a value the bounds of another one.
func (v *Value) CopyBounds(of *Value) { v.Lo, v.Hi, v.Far = of.Lo, of.Hi, of.Far }

// Node is one operation. Its outputs are in Out (two for ZkAttn, one for every other op).
type Node struct {
	Op     Op
	Origin string // name of the ONNX node it comes from, for errors and inspect
	// Operator is that node's operator. Where passes make one operation of several nodes it is, with Origin, the one that computes most:
	// a product rather than the bias or the transpose behind it.
	Operator string
	Tensors  []string // of a Weight: the tensors of the model file that its cells are computed from, sorted
	In       []ValueID
	Out      []ValueID
	Attr     Attr
}

// Attr is one of the *Attr types of this package, the one that belongs to the node's Op; nil for ops without attributes.
type Attr interface{ text() string } // as Graph.String prints them

// Term is one product of an Einsum:
//
//	out[f] += Coef · Σ_c Π_i operand_i[…]
//
// Labels 0..len(Extents)-1 are the term's index variables. Axes[i][a] lists the labels that axis a of operand i is made of,
// most significant first (an axis of extent 6 with labels of extents 2, 3 is a merged axis; an empty list is an axis of extent
// 1); Out[a] likewise for axis a of the result. A label that is not in Out is summed over. A label of Out that no operand has
// broadcasts. No operand has a label twice. For every axis the product of its labels' extents is the axis' extent.
type Term struct {
	Coef    float64 // StageFloat
	ICoef   int64   // StageInt
	Extents []int
	In      []int // indices into Node.In, one per operand of the product; empty: the constant 1
	Axes    [][][]int
	Out     [][]int
}

// Port is a named input or output of a graph. Its elements are the cells of a value.
type Port struct {
	Name  string
	Value ValueID
	Kind  plan.Element
	// Lo and Hi bound the elements of an input, as real numbers: ids are in [0, Hi], booleans in [0, 1]. In StageInt the value's own
	// bounds say it.
	Lo, Hi float64
	// Shape is that of the model's file: the value's but for axes of extent 1. Ids have one axis; the file has them in Rows rows, of 0 in one.
	Shape  []int
	Rows   int
	Reveal plan.Reveal // what statements tell of the port; set before a circuit is planned
	// Indices says of an output that the file has the index of the greatest cell of every row, the first of several, in place of its cells:
	// an ArgMax at its end. So has data that comes with expected outputs.
	Indices bool
}

// Vocab is the number of ids of a port of that kind.
func (p *Port) Vocab() int { return int(portable.Clamp(p.Hi)) + 1 }

// Graph is a program: nodes in topological order. Every Input node is one of Inputs.
type Graph struct {
	Name    string
	Stage   Stage
	Values  []*Value
	Nodes   []*Node
	Inputs  []Port
	Outputs []Port
	// Causal is set by the compiler when the graph maps ids to one row per id, and the output at position t provably depends on the ids
	// at positions ≤ t only.
	Causal bool
	// Notes say where the program's meaning is one of several that the file allows, with the node's name, for people.
	Notes []string
}

// AddInput appends an input and its node, whose value has the port's shape. It is public.
func (g *Graph) AddInput(p Port) *Value {
	v := g.Add(OpInput, "", p.Name, p.Shape, nil, nil)
	p.Value, p.Reveal = v.ID, plan.Values
	g.Inputs = append(g.Inputs, p)
	return v
}

// AddIDs appends an input of T ids of a vocabulary of n.
func (g *Graph) AddIDs(name string, T, n int) *Value {
	return g.AddInput(Port{Name: name, Kind: plan.IDs, Hi: float64(n - 1), Shape: []int{T}})
}

// AddOutput makes a value an output of real numbers, whose values statements tell.
func (g *Graph) AddOutput(name string, id ValueID, shape []int) {
	g.Outputs = append(g.Outputs, Port{Name: name, Value: id, Kind: plan.Reals, Shape: shape, Reveal: plan.Values})
}

// Return makes a value the only output.
func (g *Graph) Return(id ValueID) {
	g.Outputs = nil
	g.AddOutput(g.Value(id).Name, id, g.Value(id).Shape)
}

// InputOf returns the input whose value that is, nil if it is none.
func (g *Graph) InputOf(id ValueID) *Port {
	for i := range g.Inputs {
		if g.Inputs[i].Value == id {
			return &g.Inputs[i]
		}
	}
	return nil
}

// In is the value of the first input, -1 if there is none.
func (g *Graph) In() ValueID { return first(g.Inputs) }

// Out is the value of the first output, -1 if there is none.
func (g *Graph) Out() ValueID { return first(g.Outputs) }

func first(ports []Port) ValueID {
	if len(ports) == 0 {
		return -1
	}
	return ports[0].Value
}

// Vocab is the number of ids of the first input, 0 where that is not of ids.
func (g *Graph) Vocab() int {
	if len(g.Inputs) == 0 || g.Inputs[0].Kind != plan.IDs {
		return 0
	}
	return g.Inputs[0].Vocab()
}

// IsLanguageModel says that the graph maps T ids to one row per id, [T, V] for ids of the same vocabulary: what may be said to predict the
// next id.
func (g *Graph) IsLanguageModel() bool {
	if len(g.Inputs) != 1 || len(g.Outputs) != 1 || g.Vocab() < 2 {
		return false
	}
	in, out := g.Value(g.In()).Shape, g.Value(g.Out()).Shape
	return len(in) == 1 && len(out) == 2 && out[0] == in[0] && out[1] == g.Vocab()
}

// NewValue appends a value without a definition.
func (g *Graph) NewValue(name string, shape []int) *Value {
	v := &Value{ID: ValueID(len(g.Values)), Name: name, Shape: append([]int(nil), shape...)}
	g.Values = append(g.Values, v)
	return v
}

// Add appends a node that computes one new value and returns that value.
func (g *Graph) Add(op Op, origin, name string, shape []int, in []ValueID, attr Attr) *Value {
	v := g.NewValue(name, shape)
	n := &Node{Op: op, Origin: origin, In: append([]ValueID(nil), in...), Out: []ValueID{v.ID}, Attr: attr}
	v.Def = n
	g.Nodes = append(g.Nodes, n)
	return v
}

// Derive is Add for a node that comes from the same ONNX node as another.
func (g *Graph) Derive(from *Node, op Op, name string, shape []int, in []ValueID, attr Attr) *Value {
	v := g.Add(op, from.Origin, name, shape, in, attr)
	v.Def.Operator = from.Operator
	if op == OpWeight {
		v.Def.Tensors = from.Tensors
	}
	return v
}

// Adopt makes a node come from the same ONNX node as another, whose work it does from now on.
func (n *Node) Adopt(from *Node) { n.Origin, n.Operator = from.Origin, from.Operator }

// Value returns the value with the given id.
func (g *Graph) Value(id ValueID) *Value { return g.Values[id] }

// Size is the number of cells of a shape.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func (o Op) String() string { return string(o) }

// Errorf refuses the model for a node, in a sentence "reason; remedy": see Refuse.
func (n *Node) Errorf(format string, args ...any) error {
	return Refuse(n.Origin, n.Named(), format, args...)
}

// Named is what errors call the operation: the ONNX node's operator, or the name in the op table where it comes from no ONNX node.
func (n *Node) Named() string {
	if n.Operator != "" {
		return n.Operator
	}
	return string(n.Op)
}
