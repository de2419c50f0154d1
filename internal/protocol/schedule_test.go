package protocol_test

import (
	"bytes"
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
	group.Row(32)
	var derived bytes.Buffer
	require.NoError(t, group.SaveGenerators(&derived))
	require.Contains(t, derived.String(), "row/32", "the control")
	require.NotContains(t, derived.String(), "row/131072")
	require.NotContains(t, derived.String(), "row/65536")
}
