package cpu

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// A run keeps half of a tree where the whole would not fit beside what is in memory: without a budget, or with a large one, it keeps all.
func TestBudget(t *testing.T) {
	const n = 16
	col := &integer.Tensor{Shape: []int{1 << n}, V: make([]int64, 1<<n)}
	for i := range col.V {
		col.V[i] = int64(i)
	}
	s, err := New().Open()
	require.NoError(t, err)
	kept := func(budget uint64) int {
		ctx := t.Context()
		if budget > 0 {
			ctx = backend.WithBudget(ctx, budget)
		}
		gamma, beta := field.One(), field.FromInt64(-1)
		blocks := []backend.Block{{Shape: col.Shape, Cols: []backend.Tensor{col}, Gamma: []field.Element{gamma}, Beta: beta}}
		return s.Begin(ctx).Fractions(n, blocks).(*tree).kept
	}
	all := kept(0)
	require.Equal(t, all, kept(1<<50))
	require.Equal(t, all-1, kept(1))
	require.Equal(t, all-1, kept(treeBytes<<(n-2)), "it is not alone in memory")
}
