// Package plan is the inert description of a generated circuit: the sequence of calls to the circuit builder and its gadgets, with
// repeated layers folded into one block and a table of what differs between them. The planner makes it, codegen prints it, and a
// direct interpreter in codegen runs it; it computes nothing itself.
package plan

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/weights"
)

// Plan is one circuit. The steps of Prologue run once, those of Block Layers times, then those of Epilogue.
type Plan struct {
	Config   Config
	Length   int `json:",omitempty"` // that tells it from the other circuits of its family; 0 where it stands alone
	Prologue []Step
	Layers   int // 0: no block
	Block    []Step
	Carries  []Carry
	Columns  []Column
	Epilogue []Step

	Ports     []Port   // by index, see Step.Data
	Constants []Tensor // by index, see Step.Data
	Weights   []Tensor // in the order of the circuit's Weight tensors, with their full names

	// Values says which value of the program, by its number there, a step computes, by the full name of the circuit's tensor. It is for
	// messages about circuits and no part of the generated code.
	Values map[string]int `json:"-"`
	// Origins says which ONNX node a step comes from, by the full name of the step's tensor, for the same errors and for reports.
	Origins map[string]Origin `json:"-"`
}

// Origin is an ONNX node and its operator, the call that was made of it, and the scale of the result: real ≈ integer·2^-Scale.
type Origin struct {
	Node, Operator string
	Call           Op
	Scale          int
}

// Config is runtime/circuit.Config, without its dependency.
type Config struct {
	Name        string
	Generation  bool  // statements are generations, else functions
	Pad         int64 // of a generation
	WeightBits  int
	WitnessBits int
}

// Port is runtime/circuit.Port, without its dependency; kinds and what is revealed are named as there. Shape and range of an output are
// those of the tensor that carries it.
type Port struct {
	Name   string
	Out    bool
	Kind   Element
	Shape  []int
	Lo, Hi int64
	Scale  int
	Reveal Reveal
}

// Element is a kind of a port's elements.
type Element string

// The kinds of elements.
const (
	IDs      Element = "IDs"
	Integers Element = "Integers"
	Booleans Element = "Booleans"
	Reals    Element = "Reals"
)

// Reveal says what statements tell of a port.
type Reveal string

// What statements tell of a port.
const (
	Nothing Reveal = "Nothing"
	Values  Reveal = "Values"
	Argmax  Reveal = "Argmax"
)

// Tensor is a named box of integers, row-major.
type Tensor struct {
	Name   string
	Shape  []int
	Values []int64          // of a constant
	Short  weights.Integers `json:"-"` // of a weight
	Files  []string         `json:"-"` // of a weight: the tensors of the model file that it is computed from, for people
}

// Op names a call of the builder or of a gadget. Which function that is and where its arguments stand is said once, in codegen's table of
// calls, from which code is printed and circuits are built.
type Op string

// The calls that the planner itself chooses. What the operations of a program become is said by their entries in the op table of ir.
const (
	Input        Op = "Input"        // Data: the port; result the one-hot rows of ids, or the elements
	Weight       Op = "Weight"       // bits
	Const        Op = "Const"        // Data
	Affine       Op = "Affine"       // where: a linear equation between indices, see circuit.Builder.Affine
	Mask         Op = "Mask"         // Data: a Const that an Attn masks with, and checked to be a mask
	Embed        Op = "Embed"        // operands one-hot rows, table
	Virtual      Op = "Virtual"      // Terms
	VirtualBound Op = "VirtualBound" // lo, hi, why; Terms
	Rescale      Op = "Rescale"      // shift, lo, hi
	Table        Op = "Table"        // fn, inScale, outScale
	RescaleTable Op = "RescaleTable" // those of Rescale and of Table; results x, y
	Rsqrt        Op = "Rsqrt"        // num, eps
	Attn         Op = "Attn"         // Shift, DBits, EBits, InvBits, Unit; operands scores [, mask]; results e, inv
	Output       Op = "Output"       // Data: the port; operand what carries it
)

// Kind says what a parameter is, and so its Go type in the runtime.
type Kind string

// The kinds of parameters.
const (
	KindSize    Kind = "size"    // int: a number of bits
	KindInteger Kind = "integer" // int64: a cell, a bound or a coefficient
	KindFloat   Kind = "float"   // float64
	KindText    Kind = "text"    // string: the same in all layers
)

// Step is one call.
type Step struct {
	Op    Op
	Name  string // of the tensor; in the block without the layer's prefix
	Shape []int  // of the (first) result
	In    []Ref  // the operands, in the order in which the table of calls names them
	Terms []Term
	Args  []Arg
	Data  int // Const, Mask: index into Plan.Constants; Input, Output: into Plan.Ports
}

// Arg is an argument of a call, by the name that the table of calls gives it.
type Arg struct {
	Name string
	Param
}

// Arg returns the argument of the given name.
func (s *Step) Arg(name string) (Param, bool) {
	for i := range s.Args {
		if s.Args[i].Name == name {
			return s.Args[i].Param, true
		}
	}
	return Param{}, false
}

// Term is one term of a virtual tensor: coef times the product that Spec writes down, see circuit.Builder.Times.
type Term struct {
	Coef Param
	Spec string
	In   []int // indices into Step.In
}

// Param is a value: Int, Real or Text, as its kind says, or the layer's entry of column Column if that is not negative.
type Param struct {
	Kind   Kind
	Int    int64   `json:",omitempty"` // KindSize, KindInteger
	Real   float64 `json:",omitempty"`
	Text   string  `json:",omitempty"`
	Column int
}

// Int is a constant integer.
func Int(v int64) Param { return Param{Kind: KindInteger, Int: v, Column: -1} }

// Size is an argument that counts bits.
func Size(name string, v int) Arg {
	return Arg{name, Param{Kind: KindSize, Int: int64(v), Column: -1}}
}

// Integer is an argument that is a cell, a bound or a coefficient.
func Integer(name string, v int64) Arg { return Arg{name, Int(v)} }

// Float is an argument that is a real number.
func Float(name string, v float64) Arg { return Arg{name, Param{Kind: KindFloat, Real: v, Column: -1}} }

// Text is an argument that is a text.
func Text(name, v string) Arg { return Arg{name, Param{Kind: KindText, Text: v, Column: -1}} }

// Column is what differs between the layers: one value per layer, Reals if the kind is KindFloat, else Ints.
type Column struct {
	Name  string
	Kind  Kind
	Ints  []int64
	Reals []float64
}

// Place says where the step of a Ref stands.
type Place uint8

// The places.
const (
	InPrologue Place = iota + 1
	InBlock          // the same layer; from a block step only
	InEpilogue
	Carried // Index is a carry: in the block its value before the layer, in the epilogue its value after the last
)

// Ref is result Out of a step, or a carry.
type Ref struct {
	Place Place
	Index int
	Out   int
}

// Carry is a value that a layer hands to the next: Init before the first, Next, of the block, after each.
type Carry struct {
	Name string
	Init Ref
	Next Ref
}

// Value returns what a parameter is in a layer.
func (p *Plan) Value(v Param, layer int) Param {
	if v.Column < 0 {
		return v
	}
	r := Param{Kind: v.Kind, Column: -1}
	if v.Kind == KindFloat {
		r.Real = p.Columns[v.Column].Reals[layer]
	} else {
		r.Int = p.Columns[v.Column].Ints[layer]
	}
	return r
}

// Repeat makes the plan one of n layers, as many as there are at least. Those that are added are as the last one.
func (p *Plan) Repeat(n int) error {
	if p.Layers == 0 || n < p.Layers {
		return fmt.Errorf("the model has %d repeated layers; there can be more of them, and not %d", p.Layers, n)
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		c.Ints, c.Reals = lengthened(c.Ints, n), lengthened(c.Reals, n)
	}
	p.Layers = n
	return nil
}

// lengthened is a list with its last item repeated; an empty one stays so.
func lengthened[T any](list []T, n int) []T {
	for len(list) > 0 && len(list) < n {
		list = append(list[:len(list):len(list)], list[len(list)-1])
	}
	return list
}
