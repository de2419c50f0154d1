// Package texts verifies proofs of what a model makes of a text that it reads whole: its embedding, its class. Generated verifiers of such
// models with a vocabulary use it.
package texts

import (
	"context"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Why a text makes no sense, or a proof that holds is not accepted.
var (
	ErrHidden = passage.ErrHidden
	ErrText   = passage.ErrText
)

// Verifier checks proofs of texts about one model. It is safe for concurrent use.
type Verifier struct {
	f      *circuit.Family
	key    *verifier.Key
	reader *passage.Reader
}

// NewVerifier returns a verifier for an accepted key of the family, with what makes the model's tokenizer.
func NewVerifier(f *circuit.Family, key *verifier.Key, vocab func() (tokens.Tokenizer, error)) (*Verifier, error) {
	reader, err := passage.NewReader(f, vocab)
	if err != nil {
		return nil, err
	}
	return &Verifier{f: f, key: key, reader: reader}, nil
}

// VerifyText returns nil if the proof shows the encoded statement, and the inputs that the statement tells of are the text's, as the prover
// encodes it. What the model makes of it is in the statement. Errors are those of Key.Verify, those of this package and tokens.ErrText; the
// context's where that ended.
func (v *Verifier) VerifyText(ctx context.Context, text string, encoded, proof []byte) error {
	if v.reader.Hidden() {
		return ErrHidden
	}
	t, err := v.reader.Read(text)
	if err != nil {
		return fmt.Errorf("text: %w", err)
	}
	st, c, err := function.Decode(v.f, encoded)
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if err := v.key.VerifyStatementContext(ctx, c, st, proof); err != nil {
		return err
	}
	_, err = t.Compare(c, st.Ports)
	return err
}
