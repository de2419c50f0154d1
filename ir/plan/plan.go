// Package plan is the inert description of a generated circuit: the sequence of calls to the circuit builder and its gadgets, with
// repeated layers folded into one block and a table of what differs between them. The planner makes it, codegen prints it, and a
// direct interpreter in codegen runs it; it computes nothing itself.
package plan

// Plan is one circuit. The steps of Prologue run once, those of Block Layers times, then those of Epilogue.
type Plan struct {
	Config   Config
	Prologue []Step
	Layers   int // 0: no block
	Block    []Step
	Carries  []Carry
	Columns  []Column
	Epilogue []Step

	Constants []Tensor // by index, see Step.Data
	Weights   []Tensor // in the order of the circuit's Weight tensors, with their full names
}

// Config is runtime/circuit.Config, without its dependency.
type Config struct {
	Name         string
	Length       int
	Vocab        int
	Pad          int64
	Causal       bool
	RevealArgmax bool
	PrivateInput bool
	WeightBits   int
	WitnessBits  int
}

// Tensor is a named box of integers, row-major.
type Tensor struct {
	Name   string
	Shape  []int
	Values []int64
}

// Op names a call of the builder or of a gadget. Its parameters are in Step.Params, in the order given here.
type Op string

// The calls.
const (
	Tokens       Op = "Tokens"       // the one-hot rows of the token ids
	Weight       Op = "Weight"       // bits
	Const        Op = "Const"        // none; Data
	Mask         Op = "Mask"         // none; Data: a Const that an Attn masks with, and checked to be a mask
	Embed        Op = "Embed"        // none; In one-hot, table
	Virtual      Op = "Virtual"      // none; Terms
	VirtualBound Op = "VirtualBound" // lo, hi; Terms, Why
	Rescale      Op = "Rescale"      // shift, lo, hi
	Table        Op = "Table"        // in scale, out scale; Fn
	RescaleTable Op = "RescaleTable" // shift, lo, hi, in scale, out scale; Fn; results x, y
	Rsqrt        Op = "Rsqrt"        // num, eps
	Attn         Op = "Attn"         // shift, d bits, e bits, inv bits; Unit; In scores [, mask]; results e, inv
	Reveal       Op = "Reveal"       // none; In logits
)

// Kind says what a parameter is, and so its Go type in the runtime.
type Kind string

// The kinds of parameters.
const (
	Size    Kind = "size"    // int: a number of bits
	Integer Kind = "integer" // int64: a cell, a bound or a coefficient
	Float   Kind = "float"   // float64
)

// Parameter describes one parameter of a call.
type Parameter struct {
	Name string
	Kind Kind
}

// Parameters describes the integer parameters of every call.
var Parameters = map[Op][]Parameter{
	Weight:       {{"Bits", Size}},
	VirtualBound: {{"Lo", Integer}, {"Hi", Integer}},
	Rescale:      {{"Shift", Size}, {"Lo", Integer}, {"Hi", Integer}},
	Table:        {{"InScale", Size}, {"OutScale", Size}},
	RescaleTable: {{"Shift", Size}, {"Lo", Integer}, {"Hi", Integer}, {"InScale", Size}, {"OutScale", Size}},
	Rsqrt:        {{"Num", Integer}, {"Eps", Integer}},
	Attn:         {{"Shift", Size}, {"DBits", Size}, {"EBits", Size}, {"InvBits", Size}},
}

// Results is the number of results of a call.
func (o Op) Results() int {
	switch o {
	case RescaleTable, Attn:
		return 2
	case Reveal:
		return 0
	}
	return 1
}

// Step is one call.
type Step struct {
	Op     Op
	Name   string // of the tensor; in the block without the layer's prefix
	Shape  []int  // of the (first) result
	In     []Ref
	Terms  []Term
	Params []Param
	Unit   Real
	Fn     string
	Why    string
	Data   int // Const, Mask: index into Plan.Constants
}

// Term is one term of a virtual tensor: coef times the product that Spec writes down, see circuit.Builder.Times.
type Term struct {
	Coef Param
	Spec string
	In   []int // indices into Step.In
}

// Param is an integer: Value, or the layer's entry of column Column if that is not negative.
type Param struct {
	Value  int64
	Column int
}

// Int is a constant parameter.
func Int(v int64) Param { return Param{Value: v, Column: -1} }

// Real is a floating-point parameter, as Param.
type Real struct {
	Value  float64
	Column int
}

// Column is what differs between the layers: one value per layer, Reals if the kind is Float, else Ints.
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

// Param returns the value of a parameter in a layer.
func (p *Plan) Param(v Param, layer int) int64 {
	if v.Column < 0 {
		return v.Value
	}
	return p.Columns[v.Column].Ints[layer]
}

// Real returns the value of a floating-point parameter in a layer.
func (p *Plan) Real(v Real, layer int) float64 {
	if v.Column < 0 {
		return v.Value
	}
	return p.Columns[v.Column].Reals[layer]
}
