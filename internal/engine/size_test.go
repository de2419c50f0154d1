package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// TestSizeGrowsByRowsOnly counts a proof's messages at 1 to 16 layers of one block. What is not a row commitment may grow by the
// layers of the fraction tree, not by layers of the model.
func TestSizeGrowsByRowsOnly(t *testing.T) {
	rest := map[int]int{}
	for _, layers := range []int{1, 2, 4, 8, 16} {
		c := decoder(t, dims{layers, 16, 32, 32, 4, 2, 8, 64, 10}, circuit.Argmax)
		counts, err := protocol.Schedule(c)
		require.NoError(t, err)
		rows := commit.NewLayout(c, circuit.Witness, c.WitnessBits).Rows
		rest[layers] = 32 * (counts.Points + counts.Scalars - rows)
		t.Logf("%2d layers: %6d bytes of row commitments, %6d bytes of the rest; products %d, vectors %v, soundness 2^-%d",
			layers, 32*rows, rest[layers], counts.Products, counts.Vectors, protocol.SoundnessBits(counts))
	}
	require.LessOrEqual(t, rest[16], rest[1]+12<<10)
}
