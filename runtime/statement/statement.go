// Package statement is what proofs are about. A statement says of the public ports of a circuit what they hold. There are two kinds, each a
// package of its own, so that a verifier links those alone that it needs:
//
//   - function: these inputs gave these outputs
//   - generation: the model continues this prompt with this answer
//
// The circuit says which kind its statements are of; a statement of the other kind is refused.
package statement

import (
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/ints"
	"github.com/zkllmc/zkllmc/internal/format/stated"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Statement is the public part of a proof.
type Statement interface {
	// Check says whether the statement is one about the circuit. The other methods require that it returned nil.
	Check(c *circuit.Circuit) error
	// CheckInput is Check but for what is claimed of the outputs, which a prover learns from the model. Public requires no more.
	CheckInput(c *circuit.Circuit) error
	// CheckClaim says whether the statement claims something of the model that follows from what a proof shows.
	CheckClaim(c *circuit.Circuit) error
	// Unsaturated says whether the statement says that no value was clamped: every rescale of the model gave its rounded quotient.
	Unsaturated() bool
	// Bytes is the canonical encoding, which proofs absorb and which follows the header in a file: first the kind's number.
	Bytes() []byte
	// Public returns the cells of a public tensor, for the prover.
	Public(c *circuit.Circuit, id circuit.ID) *integer.Tensor
	// Eval evaluates the MLE of a public tensor, for the verifier.
	Eval(c *circuit.Circuit, id circuit.ID, point []field.Element) field.Element
}

// Kind is a kind of statements, as a verifier is given it.
type Kind struct {
	Name string // circuit.StatementKind of the circuits it is for
	// Decode reads the file of a statement about a circuit of the family, which it returns too.
	Decode func(f *circuit.Family, data []byte) (Statement, *circuit.Circuit, error)
	Errors []error // the kinds of errors (errors.Is) of Decode, Check and CheckClaim
}

// Why a statement is refused, whatever its kind.
var (
	ErrFormat = ints.ErrFormat
	ErrKind   = stated.ErrKind
	ErrCount  = ints.ErrCount
)

// Encode returns the file of a statement: the header of every artefact, then Bytes. It refuses a statement that is none about the circuit.
func Encode(c *circuit.Circuit, s Statement) ([]byte, error) {
	if err := s.Check(c); err != nil {
		return nil, err
	}
	w := format.NewWriter(format.MagicStatement, c.Digest())
	w.Raw(s.Bytes())
	return w.Bytes(), nil
}

// Argmax returns the first index of the maximum of a row of logits.
func Argmax(row []int64) int64 {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return int64(best)
}
