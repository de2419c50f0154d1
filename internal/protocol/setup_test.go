package protocol_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
)

// The pieces of a model's range proof have its rows, each once and in order; each lays its own out as the model does, and says which they
// are. Their circuits differ, where one is the other's copy too.
func TestPieces(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "pieces", WeightBits: 4, WitnessBits: 5})
	for i, shape := range [][]int{{2500, 16}, {3}, {40, 21}, {5, 3, 2, 2}, {2, 2}, {1, 700, 17}} {
		b.Weight(fmt.Sprint(i), 8, shape...)
	}
	b.Lookup(b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} }), b.Witness("x", 0, 1, 2))
	c, err := b.Finish()
	require.NoError(t, err)
	n := protocol.Pieces(circuit.Single(c))
	layout := protocol.WeightLayout(c)
	require.Equal(t, [2]int{4, 2500 + 80 + 5 + 1400 + 1}, [2]int{n, layout.Rows})

	weights := map[circuit.ID][]int64{} // all cells differ, and none is zero
	next := int64(0)
	for _, w := range c.Weights() {
		for range circuit.Size(w.Shape) {
			next++
			weights[w.ID] = append(weights[w.ID], next)
		}
	}
	cells := func(id circuit.ID, lo, hi int) (integer.Tensor, error) {
		return integer.Tensor{V: weights[id][lo:hi]}, nil
	}
	digests, end := map[[32]byte]bool{}, 0
	for i := range n {
		p, err := protocol.SetupPiece(circuit.Single(c), i)
		require.NoError(t, err)
		require.Equal(t, commit.Range{From: end, To: min(end+1016, layout.Rows)}, p.Rows)
		end = p.Rows.To
		laid, err := layout.LayRange(c, p.Rows, func(id circuit.ID, lo, hi int) (backend.Tensor, error) {
			return &integer.Tensor{V: weights[id][lo:hi]}, nil
		})
		require.NoError(t, err)
		data, err := p.Tensors(laid, cells)
		require.NoError(t, err)
		rows, err := commit.Cells(laid)
		require.NoError(t, err)
		own := protocol.WeightLayout(p.Circuit)
		require.Equal(t, p.Rows.To-p.Rows.From, own.Rows)
		again, err := kit.Cells(own, p.Circuit, func(id circuit.ID) *integer.Tensor { v := data[id]; return &v })
		require.NoError(t, err)
		for r := range rows {
			require.Subset(t, append(rows[r], 0), again[r], "what is looked up is what is committed to, and zeros")
			require.Subset(t, again[r], rows[r])
		}
		require.Len(t, p.Circuit.Lookups, len(p.Circuit.Weights()))
		for j, l := range p.Circuit.Lookups {
			require.Equal(t, []circuit.ID{p.Circuit.Weights()[j].ID}, l.Cols)
		}
		digests[p.Circuit.Digest()] = true
	}
	require.Equal(t, layout.Rows, end)
	require.Len(t, digests, n)
}

// A piece of a large model looks up less than 2^24 cells, with all its tables; one row at least is a piece.
func TestPieceIsBounded(t *testing.T) {
	for bits, want := range map[int]int{4: 1016, 13: 1016, 14: 1016, 15: 508, 16: 254, 22: 3, 23: 1, 24: 1} {
		b := circuit.NewBuilder(circuit.Config{Name: "bounded", WeightBits: bits, WitnessBits: 4})
		b.Lookup(b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} }), b.Witness("x", 0, 1, 2))
		c, err := b.Finish()
		require.NoError(t, err)
		require.Equal(t, want, protocol.PieceRows(circuit.Single(c)), bits)
		tables := 0
		for width := 1; width <= 16; width++ {
			tables += 1 << width
		}
		require.True(t, want == 1 || want<<bits+tables <= 1<<24, bits)
	}
}
