package engine_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// summing is a text of so many positions: row t is made of the sum of all embeddings up to t. Circuits of more than four declare their
// constant before the weights, whose numbers are others then.
func summing(t testing.TB, length int, private bool) *circuit.Circuit {
	text := witnesstest.Text{Name: "summing", Length: length, Vocab: 5, Pad: 1, Reveal: circuit.Argmax, PrivateInput: private, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	lower := func() circuit.ID {
		v := make([]int64, length*length)
		for i := range v {
			if i%length <= i/length {
				v[i] = 1
			}
		}
		return b.Const("lower", v, length, length)
	}
	var mask circuit.ID
	if length > 4 {
		mask = lower()
	}
	embed, head := b.Weight("embed", 6, 5, 4), b.Weight("head", 6, 5, 4)
	if length <= 4 {
		mask = lower()
	}
	x := gadget.Rescale(b, "x", gadget.Embed(b, "embedded", text.Tokens(b), embed), 1, -16, 15)
	y := b.Virtual("y", []int{length, 4}, b.Times(1, fmt.Sprintf("ts,sd->td t=%d s=%d d=4", length, length), mask, x))
	text.Logits(b, gadget.Rescale(b, "z", b.Virtual("logits", []int{length, 5}, b.Times(1, fmt.Sprintf("td,vd->tv t=%d v=5 d=4", length), y, head)), 3, -256, 255))
	return witnesstest.Finish(t, b)
}

// lengths is a family of three.
func lengths(t testing.TB, private bool) *circuit.Family {
	f, err := circuit.NewFamily(summing(t, 3, private), summing(t, 4, private), summing(t, 7, private))
	require.NoError(t, err)
	return f
}

// A model of several lengths is set up once. Each statement is proved with the shortest circuit that holds it, and all proofs are accepted
// with the one key, also with a key that comes out of its file, by a verifier who checked it and one who pinned it.
func TestOneKeyManyLengths(t *testing.T) {
	ctx := t.Context()
	o := engine.Options{Backend: cpu.New()}
	for private, tokens := range map[bool][]int{false: {1, 3, 4, 7}, true: {2, 5}} {
		f := lengths(t, private)
		made, vk, err := engine.Setup(ctx, f, kit.Weights(f.Shortest(), 1, 2), o)
		require.NoError(t, err)
		k, err := engine.ReadKey(f, made.Encode())
		require.NoError(t, err)
		require.Equal(t, made.Encode(), k.Encode())
		accepted, err := verifier.ReadKey(ctx, f, generation.Kind, vk)
		require.NoError(t, err)
		pinned, err := verifier.ReadPinnedKey(ctx, f, generation.Kind, vk, accepted.ModelID())
		require.NoError(t, err)
		require.NoError(t, pinned.Prepare(f.Longest()))
		require.NoError(t, pinned.Prepare())
		sizes := map[int]int{}
		for _, n := range tokens {
			c := f.Smallest(n)
			in, err := kit.Answered(c, k, []int64{2, 0, 3, 3, 1, 4, 0}[:n], 0)
			require.NoError(t, err)
			proof, err := k.Prove(ctx, in, o)
			require.NoError(t, err)
			require.NoError(t, k.Check(t.Context(), in, proof))
			sizes[c.Generation.Length] = len(proof)
			encoded, err := statement.Encode(c, in.Statement)
			require.NoError(t, err)
			for _, key := range []*verifier.Key{accepted, pinned} {
				require.NoError(t, key.Verify(encoded, proof), n)
				require.NoError(t, key.VerifyStatement(c, in.Statement, proof))
			}
			for _, other := range f.Members() {
				if other != c && other.Generation.Length >= n {
					require.ErrorIs(t, pinned.VerifyStatement(other, in.Statement, proof), verifier.ErrCircuit, "a proof of %d positions for %d", c.Generation.Length, other.Generation.Length)
				}
			}
		}
		if !private {
			require.Less(t, sizes[3], sizes[7])
		}
		_, err = k.Prove(ctx, &engine.Input{Statement: &generation.Statement{Tokens: make([]int64, 8), Prompt: 8, Next: 0}}, o)
		require.ErrorIs(t, err, generation.ErrLength)
		require.ErrorContains(t, err, "1 to 7")
		_, err = k.Prove(ctx, &engine.Input{Statement: &generation.Statement{Tokens: []int64{generation.Hidden, 5}, Prompt: 1, Next: 0}}, o)
		want := generation.ErrToken
		if !private {
			want = generation.ErrHidden
		}
		require.ErrorIs(t, err, want, "what no circuit takes is refused for what it is")
	}
}

// A text that outgrows its circuit goes on in the next, in the same integers, and is proved there: byte by byte as from the beginning.
func TestDecodingMovesOn(t *testing.T) {
	ctx := t.Context()
	for _, private := range []bool{false, true} {
		f := lengths(t, private)
		o := engine.Dishonest(engine.Options{Backend: cpu.New()}, engine.Hooks{Seed: []byte("the same for all")})
		k, vk, err := engine.Setup(ctx, f, kit.Weights(f.Shortest(), 3, 4), o)
		require.NoError(t, err)
		accepted, err := verifier.ReadKey(ctx, f, generation.Kind, vk)
		require.NoError(t, err)
		d, err := k.Decode(2, o.Backend)
		require.NoError(t, err)
		tokens := []int64{4, 1}
		next := tokens
		for len(tokens) < 8 {
			require.NoError(t, d.Next(ctx, next...))
			require.Same(t, f.Smallest(len(tokens)), d.Circuit())
			logits, err := k.Logits(ctx, tokens)
			require.NoError(t, err)
			require.Equal(t, logits, d.Logits())
			next = []int64{statement.Argmax(logits[len(logits)-5:])}
			tokens = append(tokens, next...)
		}
		require.ErrorIs(t, d.Next(ctx, 0), generation.ErrLength)
		st := &generation.Statement{Tokens: tokens[:7], Prompt: 2, Next: tokens[7]}
		got, err := d.Prove(ctx, st, o)
		require.NoError(t, err)
		c := f.Longest()
		want, err := k.Prove(ctx, &engine.Input{Statement: st.Hide(c), Private: generation.PrivateInput(c, st.Tokens)}, o)
		require.NoError(t, err)
		require.Equal(t, want, got)

		// What is cut off is forgotten, but not the circuit, with which the rest is proved.
		d, err = k.Decode(5, conformance.Elsewhere(o.Backend))
		require.NoError(t, err)
		require.NoError(t, d.Next(ctx, tokens[:5]...))
		require.NoError(t, d.Cut(ctx, 2))
		logits, err := k.Logits(ctx, tokens[:2])
		require.NoError(t, err)
		require.Equal(t, logits, d.Logits())
		require.Same(t, c, d.Circuit())
		short := &generation.Statement{Tokens: tokens[:2], Prompt: 2, Next: tokens[2]}
		got, err = d.Prove(ctx, short, o)
		require.NoError(t, err)
		require.NoError(t, accepted.VerifyStatement(c, short.Hide(c), got))
	}
}

// products is a function of so many pairs, the first of each private.
func products(t testing.TB, n int) *circuit.Circuit {
	b := circuit.NewBuilder(circuit.Config{Name: "products", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{n}, Lo: -8, Hi: 7, Reveal: circuit.Nothing})
	w := b.Virtual("scaled", []int{n}, b.Times(1, fmt.Sprintf("n,.->n n=%d", n), x, b.Weight("w", 4, 1)))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "y", w, 0, -64, 63))
	return witnesstest.Finish(t, b)
}

// A function's circuit is that whose ports have the shapes of the inputs, private ones among them.
func TestFunctionsOfManyLengths(t *testing.T) {
	ctx := t.Context()
	f, err := circuit.NewFamily(products(t, 2), products(t, 3))
	require.NoError(t, err)
	o := engine.Options{Backend: cpu.New()}
	weights := kit.Weights(f.Shortest(), 1, 2)
	k, vk, err := engine.Setup(ctx, f, weights, o)
	require.NoError(t, err)
	accepted, err := verifier.ReadKey(ctx, f, function.Kind, vk)
	require.NoError(t, err)
	w := weights[f.Shortest().Weights()[0].ID].V[0]
	for _, c := range f.Members() {
		x := []int64{3, -4, 5}[:c.Ports[0].Shape[0]]
		in, err := kit.Computed(c, k, map[int][]int64{0: x})
		require.NoError(t, err)
		for i, y := range in.Statement.(*function.Statement).Ports[1] {
			require.Equal(t, w*x[i], y)
		}
		proof, err := k.Prove(ctx, in, o)
		require.NoError(t, err)
		require.NoError(t, accepted.VerifyStatement(c, in.Statement, proof))
		require.NoError(t, k.Check(ctx, in, proof), "private elements alone tell the length")
	}
	st := &function.Statement{Ports: [][]int64{nil, nil}}
	_, err = k.Compute(ctx, st, map[int][]int64{0: {1}})
	require.ErrorIs(t, err, statement.ErrCount)
	require.ErrorContains(t, err, `private input "x"`)
}

// The keys of a family are not those of its members, nor of another family, though the weights are the same; and what an interrupted setup
// left behind for one of them is not taken for another.
func TestKeysBelongToTheirFamily(t *testing.T) {
	ctx := t.Context()
	f := lengths(t, false)
	m := f.Members()
	o := engine.Dishonest(engine.Options{Backend: cpu.New()}, engine.Hooks{Seed: []byte("the same for all")})
	weights := func(c *circuit.Circuit) cells { return cells(kit.Weights(c, 1, 2)) }
	two, err := circuit.NewFamily(m[0], m[1])
	require.NoError(t, err)
	families := []*circuit.Family{f, two, circuit.Single(m[0]), circuit.Single(m[1]), circuit.Single(m[2])}
	var ids [][32]byte
	work, err := engine.OpenWork(filepath.Join(t.TempDir(), "work"))
	require.NoError(t, err)
	for _, g := range families {
		k, err := engine.MakeKeys(ctx, g, weights(g.Shortest()), work, o)
		require.NoError(t, err)
		require.False(t, slices.Contains(ids, k.ModelID()))
		ids = append(ids, k.ModelID())
		for _, h := range families {
			_, err := verifier.ReadKey(ctx, h, generation.Kind, k.VerifyingKey())
			if h == g {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, verifier.ErrCircuit)
			}
		}
	}
}
