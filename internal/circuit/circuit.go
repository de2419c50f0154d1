// Package circuit describes an integer program as a constraint system: the one description from which the witness is computed,
// the proof made and the proof checked, so that the three cannot drift apart.
//
// A circuit has tensors, lookups and zero-checks, and ports: its named inputs and outputs, of which statements speak.
//
//   - Committed tensors (Weight, Witness) are boxes of integers whose rows are committed. Public, Const and Affine tensors are known
//     to the verifier. A Virtual tensor is a sum of einsum terms over earlier tensors and is never committed.
//   - A lookup says that every cell of a list of tensors of one shape is a line of a table.
//   - A zero-check says that a tensor is zero everywhere.
//   - A port is carried by a tensor. What a statement says of a port enters by Public tensors, its views.
//
// Every Witness tensor but multiplicities has a lookup over its whole box (Finish refuses a circuit where one has not), so that
// it holds small integers; bounds of virtual tensors follow by interval arithmetic, and none reaches 2^62, or 2^124 where sums and
// rescales alone take the tensor (Tensor.Wide): no equation wraps around the field.
package circuit

import (
	"fmt"
	"math/bits"
)

// ID names a tensor of a circuit.
type ID int32

// Kind says who knows a tensor and how it is bound.
type Kind uint8

// The kinds of tensors.
const (
	Weight  Kind = iota + 1 // committed at setup, private
	Witness                 // committed with the proof, private
	Public                  // computed from the statement by both sides
	Const                   // part of the circuit
	Virtual                 // defined by einsum terms
	Affine                  // part of the circuit: 1 where a linear equation between the indices holds, else 0
)

func (k Kind) String() string {
	if k < Weight || k > Affine {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return [...]string{"weight", "witness", "public", "const", "virtual", "affine"}[k-1]
}

// Known says whether the verifier knows the cells.
func (k Kind) Known() bool { return k == Public || k == Const || k == Affine }

// Tensor is one tensor of the circuit. Its multilinear extension is zero outside its box.
type Tensor struct {
	ID     ID
	Name   string
	Kind   Kind
	Shape  []int
	Lo, Hi int64 // every cell lies in [Lo, Hi]: looked up, declared, or by interval arithmetic; of a wide tensor they are ∓MaxBound

	View   View    // Public
	Port   int     // Public: of which port, 0 for all others
	Values []int64 // Const: the cells, row-major; Affine: the offset and the strides of the equation, see Builder.Affine
	Def    []Term  // Virtual
	Mult   bool    // Witness: the multiplicities of a table
	Why    string  // Virtual: the argument for a bound tighter than interval arithmetic, or empty
}

// Wide says that cells may not fit 62 bits: provers compute them in 128. Such a tensor is virtual, a factor of terms and an input of hints
// that divide and round, and nothing else (Builder.Finish). Its bounds, by interval arithmetic, are below 2^WideBits.
func (t *Tensor) Wide() bool { return t.Kind == Virtual && t.Lo == -MaxBound && t.Hi == MaxBound }

// Term is Coef · Σ_c Π_i Factors[i][…] as one summand of a virtual tensor. Labels 0..len(Extents)-1 are its index variables.
// Factors[i].Axes[a] lists the labels that axis a of the factor is made of, most significant first; Out[a] likewise for the
// axes of the result. All labels of an axis but the first have extents that are powers of two, so that a merged or split axis is
// a regrouping of a point's variables. A label not in Out is summed over and occurs in a factor; a label of Out in no factor
// broadcasts. No factor has a label twice.
type Term struct {
	Coef    int64
	Extents []int
	Factors []Factor
	Out     [][]int
}

// Factor is one operand of a term.
type Factor struct {
	T    ID
	Axes [][]int
}

// Table is a list of lines; column i of line j is Cols[i][j].
type Table struct {
	Name string // unique; says what the table holds
	Cols [][]int64
	Mult ID // the multiplicities, a Witness tensor of shape [lines]
}

// Lookup says that (Cols[0][x], Cols[1][x], …) is a line of the table for every x in the box of the tensors' common shape.
type Lookup struct {
	Table int
	Cols  []ID
}

// Hint tells the witness generator how committed tensors come about. It carries no soundness: whatever it yields is checked by
// lookups and zero-checks. Hints stand in an order in which every input is available.
type Hint struct {
	Kind   HintKind
	In     []ID
	Out    []ID
	Params []int64
	Table  int
}

// HintKind names a rule of the witness generator. What a rule takes and yields, and its parameters, stand in hints.go.
type HintKind uint8

// The rules of the witness generator.
const (
	HintRescale HintKind = iota + 1
	HintClamp
	HintLimbs
	HintTable
	HintRsqrt
	HintRecip
	HintAttn
	HintInput
	HintWide
)

// Config is what a circuit needs besides its tensors.
type Config struct {
	Name        string
	WeightBits  int // log2 of the row width of the weights' class
	WitnessBits int // log2 of the row width of the witness' class
}

// Circuit is a finished description. It is immutable.
type Circuit struct {
	Config
	Tensors []Tensor
	Tables  []Table
	Lookups []Lookup
	Zeros   []ID
	Hints   []Hint
	Ports   []Port // in the order in which they were declared
	// Generation is set in circuits whose statements are generations; those of all others are functions.
	Generation *Generation

	waves    []int // per tensor: the wave that discharges its product part, 0 if it has none
	nwaves   int
	times    []timing // per tensor; of a generation
	requests Requests
	digest   [32]byte

	classes   []ID
	unclassed error // why classes are not all
}

// Tensor returns the tensor with the given id.
func (c *Circuit) Tensor(id ID) *Tensor { return &c.Tensors[id] }

// Wave is the wave (from 1) that discharges the product part of a virtual tensor; 0 if all its terms pass claims through.
func (c *Circuit) Wave(id ID) int { return c.waves[id] }

// Waves is the number of waves.
func (c *Circuit) Waves() int { return c.nwaves }

// Weights lists the weights in the circuit's order, which is that of every file that holds them.
func (c *Circuit) Weights() []*Tensor {
	var out []*Tensor
	for i := range c.Tensors {
		if c.Tensors[i].Kind == Weight {
			out = append(out, &c.Tensors[i])
		}
	}
	return out
}

// Digest identifies the circuit: SHA-256 over its canonical encoding, which includes bounds, tables and hints' constraints.
func (c *Circuit) Digest() [32]byte { return c.digest }

// Size is the number of cells of a shape.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Bits is the number of variables of an axis of extent d: ⌈log2 d⌉.
func Bits(d int) int {
	if d <= 1 {
		return 0
	}
	return bits.Len(uint(d - 1))
}

// ShapeBits is the number of variables of a tensor of the given shape.
func ShapeBits(shape []int) int {
	n := 0
	for _, d := range shape {
		n += Bits(d)
	}
	return n
}
