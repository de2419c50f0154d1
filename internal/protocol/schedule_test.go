package protocol_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Whoever counts the messages of a proof, to know sizes, computes with no generator: rows of 2^17 columns have as many, which take seconds.
func TestScheduleDerivesNoGenerators(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "wide", WeightBits: 17, WitnessBits: 16})
	w := b.Weight("w", 4, 8)
	b.Lookup(gadget.Range(b, -8, 7), w)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "y", w, 1, -4, 4))
	c, err := b.Finish()
	require.NoError(t, err)
	_, err = protocol.Schedule(c)
	require.NoError(t, err)
	_, _, err = protocol.RangeProof(circuit.Single(c))
	require.NoError(t, err)
	require.Zero(t, group.Derived("row/131072"))
	require.Zero(t, group.Derived("row/65536"))
	group.Row(1 << 4)
	require.Equal(t, 1<<4, group.Derived("row/16"), "the control")
}
