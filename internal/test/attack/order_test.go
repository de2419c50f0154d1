package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// copier is a model that reads all positions: its logits after position t are largest at token t+1, at the last at its own token.
// Whatever answer it is given, it predicts.
func copier(reveal circuit.Reveal) spec {
	text := witnesstest.Text{Name: "copier", Length: 3, Vocab: 5, Reveal: reveal, WeightBits: 4, WitnessBits: 5}
	return spec{
		cfg: text,
		build: func(b *circuit.Builder) {
			tokens := text.Tokens(b)
			later := b.Const("later", []int64{0, 1, 0, 0, 0, 1, 0, 0, 1}, 3, 3)
			e := gadget.Embed(b, "e", tokens, b.Weight("embedding", 5, 5, 5))
			h := gadget.Rescale(b, "h", b.Virtual("mixed", []int{3, 5}, b.Times(1, "ts,sd->td t=3 s=3 d=5", later, e)), 0, -16, 15)
			text.Logits(b, h)
		},
		weights: map[string][]int64{"embedding": {
			5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5,
		}},
		tokens: []int64{1, 4, 2}, next: 2,
	}
}

// Where outputs depend on later tokens, every answer can be one that the model gives after it read it: the circuit would be satisfied by
// contradictory answers to one prompt. So it cannot be built as one whose statements are generations.
func rejectAnswersThatTheModelReads(t *testing.T) {
	for _, reveal := range []circuit.Reveal{circuit.Argmax, circuit.Values} {
		s := copier(reveal)
		b := s.cfg.Builder()
		s.build(b)
		_, err := b.Finish()
		require.ErrorIs(t, err, circuit.ErrNotCausal)
	}
}
