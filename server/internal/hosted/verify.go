package hosted

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Promised is the digest of what the statement about an answer is going to say, as Verify compares it.
func (m *Model) Promised(prompt, answer []int64) string {
	c := m.f.Smallest(len(prompt) + len(answer) - 1)
	return digest(c, answering.Claim(c, prompt, answer).Hide(c))
}

// digest is that of a circuit and of the statement about it, without what is known with the proof alone: the logits of a generation, which
// customers do not get with the answer, and whether a value was clamped.
func digest(c *circuit.Circuit, st statement.Statement) string {
	var said statement.Statement
	switch st := st.(type) {
	case *generation.Statement:
		plain := *st
		plain.Logits, plain.NoSaturation = nil, false
		said = &plain
	case *function.Statement:
		plain := *st
		plain.NoSaturation = false
		said = &plain
	}
	h, of := sha256.New(), c.Digest()
	h.Write(of[:])
	h.Write(said.Bytes())
	return fmt.Sprintf("%x", h.Sum(nil))
}

// ErrNotProved says that statement and proof are not what was promised. All that lies between worker and server could have changed them.
var ErrNotProved = errors.New("what a worker has handed in does not prove the answer")

// Verify checks statement and proof as a customer does, and that the statement says what was promised: ErrNotProved, or the context's error.
func (m *Model) Verify(ctx context.Context, encoded, proof []byte, promised string) error {
	st, c, err := engine.Kind(m.f.Shortest()).Decode(m.f, encoded)
	if err == nil {
		err = m.vk.VerifyStatementContext(ctx, c, st, proof)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotProved, err)
	case digest(c, st) != promised:
		return fmt.Errorf("%w: the statement says something else", ErrNotProved)
	}
	return nil
}
