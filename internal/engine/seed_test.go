package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// adder is the sum of private numbers and of a weight. The shorter one looks a constant up besides, so that both circuits count as many cells.
func adder(t *testing.T, n int) *circuit.Circuit {
	b := circuit.NewBuilder(circuit.Config{Name: "adder", WeightBits: 4, WitnessBits: 5})
	w := b.Weight("w", 4, 4)
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{n}, Lo: -8, Hi: 7, Reveal: circuit.Nothing})
	if n == 3 {
		b.Lookup(gadget.Range(b, -8, 7), b.Const("nothing", []int64{0}, 1))
	}
	s := b.Virtual("s", []int{1}, b.Times(1, fmt.Sprintf("i->. i=%d", n), x), b.Times(1, "j->. j=4", w))
	gadget.Output(b, circuit.Port{Name: "s", Kind: circuit.Integers, Reveal: circuit.Values}, s)
	return witnesstest.Finish(t, b)
}

// TestSeedsOfTwoCircuits: two members of a family, one key, statements of the same bytes, witnesses of the same rows but for zeros at their ends, and
// bytes of the system that repeat. The proofs share nothing: the seed knows the circuit.
func TestSeedsOfTwoCircuits(t *testing.T) {
	ctx, a, b := t.Context(), adder(t, 3), adder(t, 4)
	f, err := circuit.NewFamily(a, b)
	require.NoError(t, err)
	o := engine.Options{Backend: cpu.New()}
	k, vk, err := engine.Setup(ctx, f, kit.Weights(a, 1, 2), o)
	require.NoError(t, err)
	v, err := verifier.ReadKey(ctx, f, function.Kind, vk)
	require.NoError(t, err)
	o = engine.Dishonest(o, engine.Hooks{Seed: []byte("a snapshot that was restored")})
	var statements [][]byte
	items := map[string]int{}
	for i, c := range []*circuit.Circuit{a, b} {
		in, err := kit.Computed(c, k, map[int][]int64{0: []int64{5, -3, 2, 0}[:3+i]})
		require.NoError(t, err)
		proof, err := k.Prove(ctx, in, o)
		require.NoError(t, err)
		file, err := statement.Encode(c, in.Statement)
		require.NoError(t, err)
		require.NoError(t, v.Verify(file, proof))
		statements = append(statements, in.Statement.Bytes())
		const head = 76 // with the model's ID
		for at := head; at < len(proof); at += 32 {
			items[string(proof[at:at+32])]++
		}
	}
	require.Equal(t, statements[0], statements[1], "the control")
	require.Greater(t, len(items), 100)
	for _, n := range items {
		require.Equal(t, 1, n, "an item that both proofs have")
	}
}
