package asked

import (
	"context"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Verifier checks proofs of texts about one model. It is safe for concurrent use.
type Verifier struct {
	f     *circuit.Family
	key   *verifier.Key
	vocab tokens.Tokenizer
}

// NewVerifier returns a verifier for an accepted key of the family, with what makes the model's tokenizer.
func NewVerifier(f *circuit.Family, key *verifier.Key, vocab func() (tokens.Tokenizer, error)) (*Verifier, error) {
	t, err := reading.Vocabulary(f.Shortest().Generation.Vocab, "", vocab)
	if err == nil && t == nil {
		err = fmt.Errorf("%w: there is none", tokens.ErrVocabulary)
	}
	if err != nil {
		return nil, err
	}
	return &Verifier{f: f, key: key, vocab: t}, nil
}

// VerifyText returns nil if the proof shows the encoded statement, and the statement says that the model answers the prompt with the answer
// and ends there. Errors are those of Key.Verify, those of this package and tokens.ErrText; the context's where that ended. ErrUnfinished
// is returned only where all else holds: the model says so, and would go on.
func (v *Verifier) VerifyText(ctx context.Context, prompt, answer string, encoded, proof []byte) error {
	q, err := dialogue.Asked(v.f.Shortest(), v.vocab, prompt, answer)
	if err != nil {
		return err
	}
	return v.verify(ctx, q, encoded, proof)
}

// VerifyMessages is VerifyText where the model answered the last message of a conversation: a JSON list of messages with the members role and
// content, as clients of language models send them. The template of the model says how earlier turns are spelled.
func (v *Verifier) VerifyMessages(ctx context.Context, messages []byte, answer string, encoded, proof []byte) error {
	q, err := dialogue.Conversed(v.f.Shortest(), v.vocab, string(messages), answer)
	if err != nil {
		return err
	}
	return v.verify(ctx, q, encoded, proof)
}

// VerifyAnswer is VerifyText where the prompt is private, or where any will do: the statement's is not looked at.
func (v *Verifier) VerifyAnswer(ctx context.Context, answer string, encoded, proof []byte) error {
	q, err := dialogue.Told(v.f.Shortest(), v.vocab, answer)
	if err != nil {
		return err
	}
	return v.verify(ctx, q, encoded, proof)
}

func (v *Verifier) verify(ctx context.Context, q *dialogue.Question, encoded, proof []byte) error {
	st, c, err := generation.Decode(v.f, encoded)
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if err := v.key.VerifyStatementContext(ctx, c, st, proof); err != nil {
		return err
	}
	return q.Settle(c, v.vocab, st)
}
