package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	pb "github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir"
)

// TestExtremaAreProved takes maxima and minima of activations from ONNX to a verified proof. The circuit stays causal.
func TestExtremaAreProved(t *testing.T) {
	ctx := context.Background()
	for _, kind := range []string{"Max", "Min"} {
		r := analysed(t, bigramModel([]*pb.NodeProto{op("MatMul", "x w", "u"), op(kind, "x u", "y")}, matrix("w", 3, 3)))
		maxima := 0
		for _, n := range r.program.Int.Nodes {
			if n.Op == ir.OpMax {
				maxima++
				require.Equal(t, kind, n.Operator)
			}
		}
		require.Equal(t, 1, maxima)
		require.NotNil(t, r.Circuit.Generation)
		require.False(t, readsAhead(t, r))
		report, err := r.Check(ctx, randomInputs(r, 8))
		require.NoError(t, err)
		require.Less(t, report.MaxError, report.MaxLogit/256)
		require.NoError(t, r.Prove(ctx, Tokens(5, 0, 3, 1)))
	}
}
