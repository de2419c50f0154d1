package answering

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// counting is a text whose token t+1 follows from the sum of all embeddings up to t.
func counting(t testing.TB, length int) *circuit.Circuit {
	const vocab = 6
	text := witnesstest.Text{Name: "counting", Length: length, Vocab: vocab, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	lower := make([]int64, length*length)
	for i := range lower {
		if d := i/length - i%length; d >= 0 && d < 3 {
			lower[i] = 1
		}
	}
	embed, head := b.Weight("embed", 6, vocab, 4), b.Weight("head", 6, vocab, 4)
	x := gadget.Rescale(b, "x", gadget.Embed(b, "embedded", text.Tokens(b), embed), 1, -16, 15)
	y := b.Virtual("y", []int{length, 4}, b.Times(1, fmt.Sprintf("ts,sd->td t=%d s=%d d=4", length, length), b.Const("lower", lower, length, length), x))
	text.Logits(b, gadget.Rescale(b, "z", b.Virtual("logits", []int{length, vocab}, b.Times(1, fmt.Sprintf("td,vd->tv t=%d v=6 d=4", length), y, head)), 3, -256, 255))
	return witnesstest.Finish(t, b)
}

// plain answers one by one: each token is what a whole pass over those before says.
func plain(t *testing.T, k *engine.Key, prompt []int64, l Limits, length int) (answer []int64) {
	for len(prompt)+len(answer) <= length && (l.Most == 0 || len(answer) < l.Most) && (l.End == nil || !slices.Contains(answer, *l.End)) {
		logits, err := k.Logits(context.Background(), slices.Concat(prompt, answer))
		require.NoError(t, err)
		answer = append(answer, statement.Argmax(logits[len(logits)-6:]))
	}
	return answer
}

// Guesses change nothing of an answer: not its tokens, nor their order, nor where it ends; and the decoding has read its text and no more.
func TestContinue(t *testing.T) {
	ctx := t.Context()
	end, asked, right := int64(2), 0, 0
	for seed := range uint64(4) {
		f, err := circuit.NewFamily(counting(t, 9), counting(t, 24))
		require.NoError(t, err)
		k, _, err := engine.Setup(ctx, f, kit.Weights(f.Shortest(), seed, 2), engine.Options{Backend: cpu.New()})
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(seed, 7))
		for i, l := range []Limits{{}, {Most: 1}, {Most: 11}, {End: &end}} {
			prompt := make([]int64, 1+rng.IntN(12))
			for i := range prompt {
				prompt[i] = rng.Int64N(6)
			}
			d, err := k.Decode(len(prompt), map[bool]backend.Backend{true: cpu.New()}[i%2 == 0])
			require.NoError(t, err)
			var said [][]int64
			answer, err := Continue(ctx, d, prompt, l, func(answer []int64) { said = append(said, slices.Clone(answer)) })
			require.NoError(t, err)
			want := plain(t, k, prompt, l, 24)
			require.Equal(t, want, answer)
			require.Len(t, said, len(answer))
			for n, a := range said {
				require.Equal(t, answer[:n+1], a)
			}
			text := slices.Concat(prompt, answer)
			read := len(d.Logits()) / 6
			require.Equal(t, len(text)-1, read)
			for n := len(prompt) + 1; n < len(text); n++ {
				if g := guess(text[:n], 1); g != nil {
					asked++
					if g[0] == text[n] {
						right++
					}
				}
			}
			require.NoError(t, d.Close())
		}
	}
	require.Greater(t, right, 10)
	require.Greater(t, asked, right, "some guesses are wrong")
}

// A guess is what came after the longest run of last tokens, the last time; a circle is followed as long as it is asked for.
func TestGuess(t *testing.T) {
	for _, x := range []struct {
		text []int64
		most int
		want []int64
	}{
		{nil, 3, nil}, {[]int64{1}, 3, nil}, {[]int64{1, 2, 3}, 3, nil}, {[]int64{1, 1}, 3, []int64{1, 1, 1}}, {[]int64{1, 1}, 0, nil}, {[]int64{1, 1}, -1, nil},
		{[]int64{5, 7, 8, 5, 9, 8, 5}, 2, []int64{9, 8}}, {[]int64{7, 8, 5, 1, 8, 6, 8, 5}, 1, []int64{1}}, {[]int64{4, 1, 2, 1, 2}, 5, []int64{1, 2, 1, 2, 1}},
		{[]int64{1, 2, 3, 4, 6, 9, 2, 3, 4, 7, 2, 3, 4}, 2, []int64{7, 2}},
	} {
		require.Equal(t, x.want, guess(x.text, x.most), x.text)
	}
}
