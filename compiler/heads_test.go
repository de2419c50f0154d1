package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/synthetic"
	"github.com/zkllmc/zkllmc/ir"
)

// Heads whose width is no power of two, rotated or not, are proved: their axes are stored in parts.
func TestHeadsOfAnyWidth(t *testing.T) {
	for name, g := range map[string]*ir.Graph{
		"24 channels, rotary":       synthetic.Graph(2, 48, 2, 4, 20, 5),
		"24 channels, positions":    synthetic.GPT(2, 48, 2, 4, 20, 5),
		"three heads of 12":         synthetic.GPT(1, 36, 3, 5, 12, 6),
		"three heads of 8, 5 words": synthetic.Graph(1, 24, 3, 4, 5, 7),
	} {
		t.Run(name, func(t *testing.T) {
			r := compileGraph(t, g, Config{RevealArgmax: true})
			require.True(t, r.Circuit.Causal)
			report, err := r.Check(context.Background(), randomInputs(r, 8))
			require.NoError(t, err)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.NoError(t, r.Prove(context.Background(), randomInputs(r, 1)[0].IDs))
		})
	}
}
