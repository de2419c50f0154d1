package witness_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// pairs is a text in which every position sums products with all positions up to its own, of which there is a matrix that is rounded. With
// columns, positions also sum down the matrix' columns: its rows and its columns are needed. Sums must not be
// beyond a limit.
func pairs(t testing.TB, length int, columns bool, limit int64) witnesstest.Instance {
	const vocab, width = 5, 4
	text := witnesstest.Text{Name: "pairs", Length: length, Vocab: vocab, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	ext := fmt.Sprintf(" i=%d j=%d", length, length)
	x := gadget.Embed(b, "x", text.Tokens(b), b.Weight("embed", 6, vocab, width))
	s := b.Virtual("scores", []int{length, length}, b.Times(1, "id,jd->ij d=4"+ext, x, x))
	y := gadget.Rescale(b, "rounded", s, 2, -1<<10, 1<<10)
	lower := make([]int64, length*length)
	for i := range lower {
		if i%length <= i/length {
			lower[i] = 1
		}
	}
	mask := b.Const("lower", lower, length, length)
	terms := []circuit.Term{b.Times(1, "ij,ij->i"+ext, mask, y)}
	if columns {
		terms = append(terms, b.Times(1, "ij,ji->i"+ext, mask, y))
	}
	sums := b.Virtual("sums", []int{length}, terms...)
	b.Lookup(gadget.Range(b, -limit, limit), sums)
	head := b.Weight("head", 6, vocab)
	text.Logits(b, gadget.Rescale(b, "logits", b.Virtual("acc", []int{length, vocab}, b.Times(1, fmt.Sprintf("i,v->iv i=%d v=5", length), sums, head)), 3, -1<<14, 1<<14))
	in := witnesstest.Instance{C: witnesstest.Finish(t, b), Weights: map[circuit.ID]integer.Tensor{}}
	rng := rand.New(rand.NewPCG(3, 3))
	for _, w := range in.C.Weights() {
		v := make([]int64, circuit.Size(w.Shape))
		for i := range v {
			v[i] = w.Lo + rng.Int64N(w.Hi-w.Lo+1)
		}
		in.Weights[w.ID] = integer.Tensor{Shape: w.Shape, V: v}
	}
	return in
}

// about sets the public tensors of a statement about tokens.
func about(in *witnesstest.Instance, tokens ...int64) {
	st := &generation.Statement{Tokens: tokens, Prompt: len(tokens), Next: generation.Unclaimed}
	in.Publics = map[circuit.ID]integer.Tensor{}
	for i := range in.C.Tensors {
		if t := &in.C.Tensors[i]; t.Kind == circuit.Public {
			in.Publics[t.ID] = *st.Public(in.C, t.ID)
		}
	}
}

// A matrix over pairs of positions is computed by rows, or by columns, and where both are needed only as a whole. So it is where nothing is
// causal: in a function.
func TestPositionsByThemselves(t *testing.T) {
	for _, length := range []int{1, 2, 7} {
		in := pairs(t, length, false, 1<<14)
		tokens := []int64{1, 4, 0, 2, 2, 3, 1}[:length]
		about(&in, tokens...)
		a, err := in.Generate()
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(1, uint64(length)))
		for range 40 {
			require.NoError(t, witnesstest.Decoded(in, a, tokens, rng))
		}
	}
	in := pairs(t, 7, true, 1<<14)
	_, err := witness.NewDecoding(in.C, in.Weights)
	require.ErrorIs(t, err, witness.ErrWhole)
	require.ErrorContains(t, err, "rounded is needed by rows of two axes")
	in, _, _ = scaled(t, 3)
	_, err = witness.NewDecoding(in.C, in.Weights)
	require.ErrorIs(t, err, witness.ErrWhole)
}

// A decoding that was finished with other tokens, or by others, or goes on behind its end, is refused; so are weights out of their range.
func TestDecodingRefuses(t *testing.T) {
	ctx := context.Background()
	in := pairs(t, 4, false, 1<<14)
	about(&in, 1, 2, 3)
	begin := func(tokens ...int64) *witness.Decoding {
		d, err := witness.NewDecoding(in.C, in.Weights)
		require.NoError(t, err)
		require.NoError(t, d.Next(ctx, tokens))
		return d
	}
	d := begin(1, 2)
	_, err := d.Finish(ctx, []int64{1, 3}, in.Public, nil)
	require.ErrorContains(t, err, "other tokens than were decoded")
	_, err = d.Finish(ctx, []int64{1, 2, 2}, in.Public, nil)
	require.ErrorContains(t, err, "the statement's tokens are others than were decoded")
	d = begin(1, 2)
	require.ErrorContains(t, d.Next(ctx, []int64{1, 1, 1}), "5 tokens, the circuit takes 4")
	require.ErrorContains(t, d.Next(ctx, []int64{5}), "token 5 of a vocabulary of 5")
	require.ErrorContains(t, d.Next(ctx, []int64{-1}), "token -1")
	_, err = d.Finish(ctx, []int64{1, 2, 3}, in.Public, nil)
	require.NoError(t, err, "what is refused changes nothing")
	require.ErrorContains(t, d.Next(ctx, []int64{1}), "finished")
	_, err = d.Finish(ctx, []int64{1, 2, 3}, in.Public, nil)
	require.Error(t, err)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	d = begin(1)
	require.ErrorIs(t, d.Next(ended, []int64{2}), context.Canceled)
	require.ErrorIs(t, d.Next(ctx, []int64{2}), context.Canceled, "a position may be computed in part")
	d = begin(1, 2, 3)
	_, err = d.Finish(ended, []int64{1, 2, 3}, in.Public, nil)
	require.ErrorIs(t, err, context.Canceled)

	w := in.C.Weights()[0]
	in.Weights[w.ID].V[0] = w.Hi + 1
	_, err = witness.NewDecoding(in.C, in.Weights)
	require.ErrorContains(t, err, "outside its declared range")
}

// A row that no line of a table holds is found when it is computed, and the error says where it stands in the whole tensor. Before it, the
// program is defined.
func TestDecodingChecksRows(t *testing.T) {
	in := pairs(t, 7, false, 4*961)
	for _, w := range in.C.Weights() {
		for i := range in.Weights[w.ID].V {
			in.Weights[w.ID].V[i] = w.Hi
		}
	}
	about(&in, 1, 1, 1, 1, 1, 1, 1)
	_, whole := in.Generate()
	require.ErrorContains(t, whole, "lookup of [sums]: cell [4] holds [4805]")
	for _, cut := range []int{1, 3, 4} {
		d, err := witness.NewDecoding(in.C, in.Weights)
		require.NoError(t, err)
		require.NoError(t, d.Next(context.Background(), []int64{1, 1, 1, 1}[:cut]))
		require.Equal(t, whole, d.Next(context.Background(), []int64{1, 1, 1, 1, 1, 1, 1}[cut:]))
	}
}

// A guess for which the program is not defined is no token of the text: the tokens before it are read, and what follows is as if nobody had
// guessed. So it is with a cell that no line of a table holds. Guesses behind the circuit's end, or about no text, are refused.
func TestGuessesMayBeUndefined(t *testing.T) {
	const vocab, length = 5, 7
	ctx := context.Background()
	text := witnesstest.Text{Name: "partly defined", Length: length, Vocab: vocab, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	w := b.Weight("embed", 6, vocab, vocab)
	x := gadget.Embed(b, "x", text.Tokens(b), w)
	known := b.TableOf("known", func() [][]int64 { return [][]int64{{0, 1, 2}, {3, 1, 2}} })
	y := b.Witness("y", 0, 3, length, vocab)
	b.Lookup(known, x, y)
	b.Hint(circuit.TableHint{Column: 1}.Hint(known, x, y))
	text.Logits(b, b.Virtual("logits", []int{length, vocab}, b.Times(1, "tv->tv t=7 v=5", y)))
	in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
	v := make([]int64, vocab*vocab)
	for i := range v {
		v[i] = int64(i % 3)
	}
	v[4*vocab] = 7 // of token 4
	in.Weights = map[circuit.ID]integer.Tensor{w: {Shape: []int{vocab, vocab}, V: v}}
	about(&in, 1, 3, 2, 0)
	want, err := in.Generate()
	require.NoError(t, err)

	d, err := witness.NewDecoding(in.C, in.Weights)
	require.NoError(t, err)
	none := func([]int64) int { t.Fatal("nobody knows a result"); return 0 }
	_, err = d.Guess(ctx, []int64{1}, []int64{3}, none)
	require.ErrorContains(t, err, "no beginning")
	require.NoError(t, d.Next(ctx, []int64{1}))
	_, err = d.Guess(ctx, []int64{3}, []int64{1, 1, 1, 1, 1, 1}, none)
	require.ErrorContains(t, err, "8 tokens, the circuit takes 7")
	_, err = d.Guess(ctx, []int64{3}, []int64{5}, none)
	require.ErrorContains(t, err, "token 5 of a vocabulary of 5")
	n, err := d.Guess(ctx, []int64{3}, []int64{2, 4}, none)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, []int64{1, 3}, d.Tokens())
	n, err = d.Guess(ctx, []int64{2}, []int64{0, 3}, func(rows []int64) int {
		require.Len(t, rows, 3*vocab)
		return 1
	})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, want.Tensor(in.C.Generation.Output).All()[:4*vocab], d.Logits())
	a, err := d.Finish(ctx, []int64{1, 3, 2, 0}, in.Public, nil)
	require.NoError(t, err)
	for i := range in.C.Tensors {
		require.Equal(t, want.Tensor(circuit.ID(i)).All(), a.Tensor(circuit.ID(i)).All(), in.C.Tensors[i].Name)
	}

	d, err = witness.NewDecoding(in.C, in.Weights)
	require.NoError(t, err)
	require.NoError(t, d.Next(ctx, []int64{1}))
	_, err = d.Guess(ctx, []int64{4}, []int64{1}, none)
	require.ErrorContains(t, err, "is 7, which is no argument")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	d, err = witness.NewDecoding(in.C, in.Weights)
	require.NoError(t, err)
	require.NoError(t, d.Next(ctx, []int64{1}))
	_, err = d.Guess(ended, []int64{2}, []int64{1}, none)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, d.Next(ctx, []int64{2}), context.Canceled)
}
