package cpu

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// A run keeps half of a tree, or a quarter, where more would not fit beside what is in memory: without a budget, or with a large one, it keeps
// all.
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
	require.Equal(t, all-spared, kept(1))
	require.Less(t, kept(128<<(n-2)), all, "it is not alone in memory")
}

// Sparing is a backend of one thread whose trees keep so many layers less.
func Sparing(layers int) backend.Backend { return &sparing{processor{threads: 1}, layers} }

type sparing struct {
	processor
	layers int
}

func (b *sparing) Open() (backend.Session, error) {
	return sparingSession{session{&b.processor}, b.layers}, nil
}

type sparingSession struct {
	session
	layers int
}

func (s sparingSession) Begin(ctx context.Context) backend.Run {
	return sparingRun{s.session.Begin(ctx).(*run), s.layers}
}

type sparingRun struct {
	*run
	layers int
}

func (r sparingRun) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	asked := 0
	return r.newTree(n, blocks, func(uint64) bool { asked++; return asked <= r.layers })
}
