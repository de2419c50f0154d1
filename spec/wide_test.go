package spec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// products is a function of products of up to 70 bits: it clamps them, with an excess that is summed up before it is shifted, and sums of
// these times a weight.
func products(t *testing.T) *circuit.Circuit {
	t.Helper()
	b := circuit.NewBuilder(circuit.Config{Name: "wide", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{3}, Lo: -90, Hi: 90, Reveal: circuit.Values})
	v := b.Virtual("v", []int{3}, circuit.Product(b, 1<<54, x, x, b.Weight("w", 4, 3)), circuit.Scaled(b, 5, x))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "y", v, 33, -512, 511))
	s := b.Virtual("s", []int{2}, b.Times(-1, "i,ij->j i=3 j=2", v, b.Weight("u", 2, 3, 2)))
	gadget.Output(b, circuit.Port{Name: "z", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "z", s, 33, -512, 511))
	c, err := b.Finish()
	require.NoError(t, err)
	require.True(t, b.IsWide(v) && b.IsWide(s))
	return c
}

// TestWideTensors has the second verifier accept a proof about wide tensors, of which both backends make the same, and refuse it for
// another output.
func TestWideTensors(t *testing.T) {
	second.Python(t)
	ctx, c := t.Context(), products(t)
	weights := kit.Weights(c, 3, 4)
	st := &function.Statement{Ports: [][]int64{{1, -90, 0}, make([]int64, 3), make([]int64, 2)}}
	a, err := witness.Evaluate(ctx, c, weights, func(id circuit.ID) integer.Tensor { return *st.Public(c, id) }, nil)
	require.NoError(t, err)
	for i := range c.Ports[1:] {
		copy(st.Ports[1+i], a.Tensor(c.Ports[1+i].T).V)
	}
	hooks := engine.Hooks{Seed: []byte("wide")}
	o := engine.Dishonest(engine.Options{Backend: cpu.New()}, hooks)
	key, vk, err := engine.Setup(ctx, circuit.Single(c), weights, o)
	require.NoError(t, err)
	proof, err := key.Prove(ctx, &engine.Input{Statement: st}, o)
	require.NoError(t, err)
	slow, err := key.Prove(ctx, &engine.Input{Statement: st}, engine.Dishonest(engine.Options{Backend: reference.New()}, hooks))
	require.NoError(t, err)
	require.True(t, bytes.Equal(proof, slow), "the backends differ")

	said, err := statement.Encode(c, st)
	require.NoError(t, err)
	f := files{}
	for name, data := range map[string][]byte{"circuit.bin": encoding(c), "model.vk": vk, "statement.bin": said, "proof.bin": proof} {
		f[name] = filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(f[name], data, 0o600))
	}
	code, out := verify(t, f.args()...)
	require.Equal(t, accepted, code, out)
	code, out = verify(t, f.changed(t, "statement.bin", func(data []byte) { data[len(data)-1] ^= 1 }).args()...)
	require.Equal(t, rejected, code, out)
}
