package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// crossed is a text whose positions cannot be computed by themselves: a matrix over pairs of positions is needed by rows and by columns.
func crossed(t testing.TB) *circuit.Circuit {
	const T, V = 4, 5
	text := witnesstest.Text{Name: "crossed", Length: T, Vocab: V, Reveal: circuit.Argmax, PrivateInput: true, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	x := gadget.Embed(b, "x", text.Tokens(b), b.Weight("embed", 6, V, 4))
	y := gadget.Rescale(b, "y", b.Virtual("scores", []int{T, T}, b.Times(1, "id,jd->ij d=4 i=4 j=4", x, x)), 2, -1<<10, 1<<10)
	lower := make([]int64, T*T)
	for i := range lower {
		if i%T <= i/T {
			lower[i] = 1
		}
	}
	mask := b.Const("lower", lower, T, T)
	sums := b.Virtual("sums", []int{T}, b.Times(1, "ij,ij->i i=4 j=4", mask, y), b.Times(1, "ij,ji->i i=4 j=4", mask, y))
	acc := b.Virtual("acc", []int{T, V}, b.Times(1, "i,v->iv i=4 v=5", sums, b.Weight("head", 6, V)))
	text.Logits(b, gadget.Rescale(b, "logits", acc, 3, -1<<14, 1<<14))
	return witnesstest.Finish(t, b)
}

// A model continues a text, and the text is proved with what decoding it left behind: the proof is the one that a whole pass gives, byte by
// byte, also where tokens are private, where the witness is computed in another place than the proof, or in a memory of its own, where the last tokens were not decoded, and where positions cannot be computed by themselves.
func TestDecodedTextsAreProved(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]*circuit.Circuit{
		"rows": decoder(t, dims{1, 5, 11, 16, 2, 1, 8, 24, 7}, circuit.Argmax), "logits": decoder(t, dims{1, 4, 8, 8, 1, 1, 8, 8, 7}, circuit.Values), "whole": crossed(t),
	} {
		t.Run(name, func(t *testing.T) {
			o := engine.Dishonest(engine.Options{Backend: cpu.New()}, engine.Hooks{Seed: []byte("the same for all")})
			k, _, err := engine.Setup(ctx, circuit.Single(c), randomWeights(c), o)
			require.NoError(t, err)
			g := c.Generation
			var want []byte // by a whole pass
			last := func(logits []int64) int64 { return statement.Argmax(logits[len(logits)-g.Vocab:]) }
			for left, be := range []backend.Backend{o.Backend, cpu.New(), nil, conformance.Elsewhere(cpu.New())} { // left: tokens that Prove computes
				left %= 2
				d, err := k.Decode(0, be)
				require.NoError(t, err)
				if be != nil {
					o.Backend = be
				}
				require.Equal(t, name == "whole", d.Whole() != nil)
				require.NoError(t, d.Next(ctx, 1, 3))
				st := &generation.Statement{Tokens: []int64{1, 3, last(d.Logits())}, Prompt: 2, Next: generation.Unclaimed}
				for len(st.Tokens) < g.Length {
					require.NoError(t, d.Next(ctx, st.Tokens[len(st.Tokens)-1]))
					st.Tokens = append(st.Tokens, last(d.Logits()))
					all, err := k.Logits(ctx, st.Tokens[:len(st.Tokens)-1])
					require.NoError(t, err)
					require.Equal(t, all, d.Logits())
				}
				if left == 0 {
					require.NoError(t, d.Next(ctx, st.Tokens[g.Length-1]))
				}
				all, err := k.Logits(ctx, st.Tokens)
				require.NoError(t, err)
				if g.Reveal == circuit.Values {
					st.Logits = all[g.Vocab:]
				} else {
					st.Next = last(all)
				}
				proof, err := d.Prove(ctx, st, o)
				require.NoError(t, err)
				if want == nil {
					want, err = k.Prove(ctx, &engine.Input{Statement: st.Hide(c), Private: generation.PrivateInput(c, st.Tokens)}, o)
					require.NoError(t, err)
				}
				require.Equal(t, want, proof)
			}
		})
	}
}

// What is false is not proved, and what is refused shows nothing of the model, as with a whole pass.
func TestDecodedTextsAreRefused(t *testing.T) {
	ctx := context.Background()
	c := decoder(t, dims{1, 5, 11, 16, 2, 1, 8, 24, 7}, circuit.Argmax)
	o := engine.Options{Backend: cpu.New()}
	k, _, err := engine.Setup(ctx, circuit.Single(c), randomWeights(c), o)
	require.NoError(t, err)
	begin := func() *engine.Decoding {
		d, err := k.Decode(0, o.Backend)
		require.NoError(t, err)
		require.NoError(t, d.Next(ctx, 1, 3))
		return d
	}
	d := begin()
	require.ErrorIs(t, d.Next(ctx, 11), generation.ErrToken)
	require.ErrorIs(t, d.Next(ctx, 1, 1, 1, 1), generation.ErrLength)
	best := statement.Argmax(d.Logits()[11:])
	_, err = d.Prove(ctx, &generation.Statement{Tokens: []int64{1, 3}, Prompt: 2, Next: (best + 1) % 11}, o)
	require.ErrorIs(t, err, engine.ErrFalse)
	require.Equal(t, engine.ErrFalse.Error(), err.Error())
	_, err = begin().Prove(ctx, &generation.Statement{Tokens: []int64{1, 3}, Prompt: 2, Next: generation.Unclaimed}, o)
	require.ErrorIs(t, err, generation.ErrVacuous)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, begin().Next(ended, 1), context.Canceled)
	_, err = begin().Prove(ended, &generation.Statement{Tokens: []int64{1, 3}, Prompt: 2, Next: best}, o)
	require.ErrorIs(t, err, context.Canceled)
	empty, err := k.Decode(0, o.Backend)
	require.NoError(t, err)
	require.ErrorIs(t, empty.Next(ctx), generation.ErrLength)

	b := witnesstest.Builder()
	x := b.Weight("x", 4, 3)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "r", x, 1, -8, 7))
	f := witnesstest.Finish(t, b)
	k, _, err = engine.Setup(ctx, circuit.Single(f), randomWeights(f), o)
	require.NoError(t, err)
	_, err = k.Decode(0, o.Backend)
	require.ErrorContains(t, err, "no generation")
	_, err = k.Logits(ctx, []int64{1})
	require.ErrorContains(t, err, "no generation")
}

// BenchmarkDecode lets a model of the size of a small real one (5 layers, 256 positions, 512 tokens) answer to its full length, and says
// how much of that time a single pass over all positions takes.
func BenchmarkDecode(b *testing.B) {
	ctx := context.Background()
	c := decoder(b, dims{5, 256, 512, 64, 8, 4, 8, 172, 12}, circuit.Argmax)
	k, _, err := engine.Setup(ctx, circuit.Single(c), randomWeights(c), engine.Options{Backend: cpu.New()})
	require.NoError(b, err)
	whole := time.Duration(0)
	for b.Loop() {
		d, err := k.Decode(0, cpu.New())
		require.NoError(b, err)
		tokens := []int64{1}
		for len(tokens) < c.Generation.Length {
			require.NoError(b, d.Next(ctx, tokens[len(tokens)-1]))
			tokens = append(tokens, statement.Argmax(d.Logits()[len(d.Logits())-c.Generation.Vocab:]))
		}
		b.StopTimer()
		st := &generation.Statement{Tokens: tokens, Prompt: len(tokens), Next: generation.Unclaimed}
		began := time.Now()
		_, err = k.Evaluate(ctx, &engine.Input{Statement: st})
		require.NoError(b, err)
		whole += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/whole.Seconds(), "passes")
}
