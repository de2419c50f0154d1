// Package messages is, for tests, the one list of what a proof consists of: every message of the protocol with its parts, how many there
// are and how long, and the reason why it tells nothing. Whoever adds a message says so here, and extends the simulator (package veil,
// export_test.go).
package messages

import (
	"regexp"
	"slices"

	"github.com/zkllmc/zkllmc/internal/veil"
)

// Part says how one part of a message keeps its secret, or that it has none.
type Part uint8

const (
	Commitment Part = iota + 1 // points that hide what they commit to
	Padded                     // each scalar plus a pad that is used once
	Vector                     // a prover's values, which are not sent: the commitment that follows hides them
	Masked                     // scalars sent as they are: blinded by the mask d, or uniform by construction
)

// Reason says why an element of a proof tells nothing.
type Reason string

const (
	Hiding  Reason = "a commitment with a blinder of its own"
	Vectors Reason = "a commitment with a blinder of its own, to a vector"
	Padding Reason = "a scalar plus a uniform pad that is used once"
	Mask    Reason = "follows from uniform values and public ones by the final equation"
	Uniform Reason = "uniform by construction, independent of the witness"
	Folded  Reason = "computed from the masked vector and public values"
)

// Sizes are what the lengths of messages follow from.
type Sizes struct {
	Rows, Layers, Columns int // rows of the witness, layers of the fraction tree, column variables over all classes
	Counts                veil.Counts
}

// Message is one line of the list. Rule gives how many there are in a proof, and the length of each; where it is nil, other rules and
// the totals determine both.
type Message struct {
	Label  string // numbers in it are written as #
	Parts  []Part // in order
	Reason Reason
	Rule   func(s Sizes) (messages, length int)
}

// All lists every message of the protocol.
var All = []Message{
	{"pads", []Part{Commitment}, Hiding, func(Sizes) (int, int) { return 1, 1 }},
	{"witness rows", []Part{Commitment}, Hiding, func(s Sizes) (int, int) { return 1, s.Rows }},
	{"lookup root", []Part{Padded}, Padding, func(Sizes) (int, int) { return 1, 7 }},
	{"lookup layer first", []Part{Padded}, Padding, func(s Sizes) (int, int) { return s.Layers, 1 }},
	{"lookup layer round", []Part{Padded}, Padding, func(s Sizes) (int, int) { return s.Layers * (s.Layers - 1) / 2, 2 }},
	{"lookup layer claims", []Part{Padded}, Padding, func(s Sizes) (int, int) { return s.Layers, 5 }},
	{"leaf evaluations", []Part{Vector, Commitment}, Vectors, func(s Sizes) (int, int) { return 1, s.Counts.Vectors[0] }},
	{"wave #", []Part{Padded}, Padding, nil},
	{"wave # evaluations", []Part{Vector, Commitment}, Vectors, nil},
	{"columns", []Part{Padded}, Padding, func(s Sizes) (int, int) { return s.Columns, 2 }},
	{"product block", []Part{Vector, Commitment}, Vectors, func(s Sizes) (int, int) { return 1, s.Counts.Products + 3 }},
	{"f(c), g(c)", []Part{Masked}, Uniform, func(Sizes) (int, int) { return 1, 2 }}, // f(0), g(0) are uniform and enter with factors that are not zero
	{"D", []Part{Commitment}, Mask, func(Sizes) (int, int) { return 1, 1 }},
	{"t_D", []Part{Masked}, Mask, func(Sizes) (int, int) { return 1, 1 }},
	{"phi", []Part{Masked}, Uniform, func(Sizes) (int, int) { return 1, 1 }}, // e·ρ_P + ρ_D
	{"L, R", []Part{Commitment}, Folded, nil},
	{"rest", []Part{Masked}, Folded, nil}, // z = e·u + d is uniform
}

var number = regexp.MustCompile(`\d+`)

// Find returns the line that a message's label belongs to, or -1.
func Find(label string) int {
	kind := number.ReplaceAllString(label, "#")
	return slices.IndexFunc(All, func(m Message) bool { return m.Label == kind })
}

// Points says whether the message's elements in a proof are points, as opposed to scalars.
func (m *Message) Points() bool { return m.Parts[len(m.Parts)-1] == Commitment }
