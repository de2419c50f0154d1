// Package circuit is what generated code describes a model with: it declares the tensors of an integer program, with named inputs and
// outputs (ports), through a builder, whose Finish checks what all proofs rest on. See the README for how a circuit comes about;
// generated code is the place to see one. The names here are those of the package internal/circuit, which documents fields and methods
// and what Finish derives.
package circuit

import (
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format/constants"
)

type (
	// Builder declares a circuit, tensor by tensor in the order of the computation.
	Builder = circuit.Builder
	// Circuit is a finished circuit. It is immutable and safe for concurrent use.
	Circuit = circuit.Circuit
	// Family is one or more circuits of one model, for sequences of different lengths. One pair of keys serves them all.
	Family = circuit.Family
	// Config is a circuit's name and how wide the rows of its commitments are.
	Config = circuit.Config
	// ID names a tensor of a circuit.
	ID = circuit.ID
	// Term is a summand of a virtual tensor or of a zero-check: a coefficient and factors whose axes carry labels.
	Term = circuit.Term
	// Port is a named input or output of a circuit: its shape, the kind and range of its elements, and what statements say of it.
	Port = circuit.Port
	// Element is what the elements of a port are.
	Element = circuit.Element
	// Reveal is what a statement says of a port.
	Reveal = circuit.Reveal
)

// What the elements of a port are.
const (
	IDs      = circuit.IDs      // integers in [0, Hi], which select
	Integers = circuit.Integers // integers in [Lo, Hi]
	Booleans = circuit.Booleans // 0 or 1
	Reals    = circuit.Reals    // real numbers in [Lo, Hi]·2^(-Scale), as multiples of 2^(-Scale)
)

// What a statement says of a port.
const (
	Nothing = circuit.Nothing // the port is private
	Values  = circuit.Values  // every element
	Argmax  = circuit.Argmax  // of an output: the place of the greatest element of every row along the last axis
)

// Why Finish refuses a circuit.
var (
	ErrUnbound   = circuit.ErrUnbound   // a port is not tied to what a statement says of it
	ErrNotCausal = circuit.ErrNotCausal // a generation's logits depend on later tokens
)

// NewBuilder begins a circuit.
func NewBuilder(c Config) *Builder { return circuit.NewBuilder(c) }

// NewFamily makes the family of circuits that differ in the length of their sequences alone, the shortest first. It refuses any others.
func NewFamily(members ...*Circuit) (*Family, error) { return circuit.NewFamily(members...) }

// Constants returns the cells of every constant tensor of a generated circuit (rotary angles, masks) from its constants file, which is
// embedded in the code and has this digest (SHA-256, hexadecimal). It refuses any other file.
func Constants(file []byte, digest string) ([][]int64, error) {
	return constants.Decode(file, digest)
}
