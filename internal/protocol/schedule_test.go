package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Whoever counts the messages of a proof, to know sizes, computes with no generator: rows of 2^19 columns have as many, which take half
// a minute of processor time, once in a process.
func TestScheduleDerivesNoGenerators(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "wide", WeightBits: 19, WitnessBits: 19})
	w := b.Weight("w", 4, 8)
	b.Lookup(gadget.Range(b, -8, 7), w)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "y", w, 1, -4, 4))
	c, err := b.Finish()
	require.NoError(t, err)
	spent := func() time.Duration {
		began := time.Now()
		_, err = protocol.Schedule(c)
		require.NoError(t, err)
		_, _, err = protocol.RangeProof(circuit.Single(c))
		require.NoError(t, err)
		return time.Since(began)
	}
	first, again := spent(), spent()
	require.Less(t, first, again+8*time.Second)
}
