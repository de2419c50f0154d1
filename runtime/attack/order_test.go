package attack

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

// copier is a model that reads all positions: its logits after position t are largest at token t+1, at the last at its own token.
// Whatever answer it is given, it predicts.
func copier(reveal circuit.Reveal) spec {
	return spec{
		cfg: circuit.Config{Name: "copier", Length: 3, Vocab: 5, Reveal: reveal, WeightBits: 4, WitnessBits: 5},
		build: func(b *circuit.Builder) {
			tokens := b.Public("tokens", circuit.TokenOneHot, 0, 1)
			later := b.Const("later", []int64{0, 1, 0, 0, 0, 1, 0, 0, 1}, 3, 3)
			e := gadget.Embed(b, "e", tokens, b.Weight("embedding", 5, 5, 5))
			h := gadget.Rescale(b, "h", b.Virtual("mixed", []int{3, 5}, b.Times(1, "ts,sd->td t=3 s=3 d=5", later, e)), 0, -16, 15)
			if reveal == circuit.RevealLogits {
				gadget.RevealLogits(b, h)
			} else {
				gadget.RevealArgmax(b, h)
			}
		},
		weights: map[string][]int64{"embedding": {
			5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5,
		}},
		tokens: []int64{1, 4, 2}, next: 2,
	}
}

// Where outputs depend on later tokens, every answer can be one that the model gives after it read it: the circuit is satisfied by
// contradictory answers to one prompt. So nothing is an answer there but what follows all tokens.
func rejectAnswersThatTheModelReads(t *testing.T) {
	for _, reveal := range []circuit.Reveal{circuit.RevealArgmax, circuit.RevealLogits} {
		u := newSubject(t, copier(reveal))
		u.control(t)
		for answer := range int64(5) {
			st := &statement.Statement{Tokens: []int64{0, answer, answer}, Prompt: 1, Next: statement.Unclaimed}
			if reveal == circuit.RevealLogits {
				st.Logits = make([]int64, 3*5)
				for i := range 3 {
					st.Logits[5*i+int(answer)] = 5
				}
			}
			publics := func(id circuit.ID) kernel.Tensor { return *st.Public(u.c, id) }
			_, err := witness.Generate(context.Background(), u.c, u.weights, publics, nil)
			require.NoError(t, err, "the circuit alone does not refuse the answer %d", answer)

			_, err = u.key.Prove(context.Background(), &prover.Input{Statement: *st}, prover.Options{Backend: backend})
			require.ErrorIs(t, err, statement.ErrPrompt)
			require.ErrorIs(t, u.vk.VerifyStatement(st, nil), statement.ErrPrompt)
			w := format.NewWriter(format.MagicStatement, u.c.Digest())
			w.Raw(st.Bytes())
			require.ErrorIs(t, u.vk.Verify(w.Bytes(), nil), statement.ErrPrompt)
		}
	}
}
