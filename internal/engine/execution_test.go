package engine_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// What a function's run has computed serves the proof of what it claims then, in the place where it was computed or elsewhere: the same
// statement and the same bytes as of a proof that computes everything, of outputs whose values are told and of such of which the greatest
// is, whose distances to the others are looked up. A claim that was changed after the run is refused.
func TestRunsAreProved(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "classes", WeightBits: 4, WitnessBits: 5})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{3, 8}, Lo: -8, Hi: 7, Reveal: circuit.Nothing})
	y := b.Virtual("y", []int{3, 8}, b.Times(1, "ti,ji->tj t=3 i=8 j=8", x, b.Weight("w", 4, 8, 8)))
	y = gadget.Rescale(b, "rounded", y, 4, -32, 31)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
	gadget.Output(b, circuit.Port{Name: "class", Kind: circuit.Integers, Reveal: circuit.Argmax}, y)
	c, err := b.Finish()
	require.NoError(t, err)
	k, _, err := engine.Setup(t.Context(), circuit.Single(c), kit.Weights(c, 1, 2), engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	private := witness.PrivateInput{0: make([]int64, 24)}
	for i := range private[0] {
		private[0][i] = int64(i*i%15) - 7
	}
	blank := func() *function.Statement { return &function.Statement{Ports: make([][]int64, len(c.Ports))} }
	st := blank()
	clamped, err := k.Compute(t.Context(), st, private)
	require.NoError(t, err)
	here := cpu.New()
	o := engine.Dishonest(engine.Options{Backend: here}, engine.Hooks{Seed: []byte("the same for all")})
	want, err := k.Prove(t.Context(), &engine.Input{Statement: st, Private: private}, o)
	require.NoError(t, err)

	elsewhere := conformance.Elsewhere(cpu.New())
	for _, be := range []engine.Options{{}, {Backend: here}, {Backend: elsewhere}} {
		own := blank()
		r, err := k.Run(t.Context(), own, private, be.Backend)
		require.NoError(t, err)
		require.Equal(t, st, own)
		require.Equal(t, clamped, r.Clamped())
		proof, err := r.Prove(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, want, proof)
	}

	for port := 1; port <= 2; port++ {
		own := blank()
		r, err := k.Run(t.Context(), own, private, here)
		require.NoError(t, err)
		own.Ports[port] = slices.Clone(own.Ports[port])
		own.Ports[port][1] = (own.Ports[port][1] + 1) % 8
		_, err = r.Prove(t.Context(), o)
		require.ErrorIs(t, err, engine.ErrFalse, port)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = k.Run(ended, blank(), private, here)
	require.ErrorIs(t, err, context.Canceled)
	_, err = k.Run(t.Context(), blank(), nil, here)
	require.ErrorIs(t, err, witness.ErrPrivate)
}
