package cost_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// A circuit that multiplies two matrices and rounds the product has this work.
func TestWork(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "product", WeightBits: 4, WitnessBits: 5})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Shape: []int{300, 5}, Kind: circuit.Integers, Lo: -8, Hi: 7, Reveal: circuit.Values})
	w := b.Weight("layer3.w", 8, 5, 7)
	product := b.Virtual("layer3.product", []int{300, 7}, b.Times(1, "ij,jk->ik i=300 j=5 k=7", x, w))
	y := gadget.Rescale(b, "layer3.y", product, 4, -128, 127)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
	c := witnesstest.Finish(t, b)

	work := cost.Of(c)
	require.Equal(t, int64(35), work.Weights)
	require.Equal(t, int64(300*5*7+7*300*7), work.Products, "of matrices, and what is left of the product and of its excess")
	require.Equal(t, int64(3*300*7), work.Virtual)
	require.Equal(t, int64(3*300*7+(256+2)+(1+2<<8)+16), work.Lookups, "value, remainder, excess, and their tables")
	require.Equal(t, int64(3*38*64+5*64+9*64+16), work.Leaves, "chunks of eight rows, and of lines")
	require.Equal(t, int64(3*512*8+512+1024+16), work.Padded)
	require.Equal(t, int64(1<<4+1<<5), work.Points)
	require.Equal(t, int64(8+8), work.Summed, "a row of one matrix and a column of the other; what rounding leaves over only passes claims through")
	require.Equal(t, "lookups", work.Memory(true)[2].Name)
	work.Summed = work.Padded * 2
	require.Equal(t, cost.Share{Name: "einsum waves", Bytes: 24 * float64(work.Summed)}, work.Memory(true)[2], "whatever takes more")
	var sum float64
	for _, s := range work.Memory(false) {
		sum += s.Bytes
	}
	require.Equal(t, sum, work.Bytes())

	parts := cost.Parts(c, 2, func(t *circuit.Tensor) int {
		if t.Mult {
			return 1
		}
		return 0
	})
	require.Equal(t, work.Lookups, parts[0].Lookups+parts[1].Lookups)
	require.Equal(t, int64((256+2)+(1+2<<8)+16), parts[1].Lookups, "tables are a part of their own")
	require.Equal(t, work.Leaves, parts[0].Leaves+parts[1].Leaves)
	require.Equal(t, work.Witness, parts[0].Witness+parts[1].Witness)
	require.Equal(t, work.Products, parts[0].Products)
	for i, p := range work.Phases() {
		rest := p.Seconds - cost.Reference().Parts(&parts[0])[i].Seconds - cost.Reference().Parts(&parts[1])[i].Seconds
		require.InDelta(t, (&cost.Work{Points: work.Points}).Phases()[i].Seconds, rest, 1e-12, p.Name)
	}

	require.Len(t, cost.Largest(c, 2), 2)
	require.Contains(t, cost.Largest(c, 1)[0].Name, "layer*.", "numbers do not tell tensors apart")
}

// Leaves of rows without padding are cells; what a clamp leaves over of them is not computed, since it is expected to be zero.
func TestLeaves(t *testing.T) {
	leaves := func(shape ...int) int64 {
		b := circuit.NewBuilder(circuit.Config{Name: "leaves", WeightBits: 4, WitnessBits: 5})
		x := gadget.Input(b, "x", circuit.Port{Name: "x", Shape: shape, Kind: circuit.Integers, Lo: -8, Hi: 7, Reveal: circuit.Values})
		square := b.Virtual("square", shape, b.Times(1, fmt.Sprintf("ij,ij->ij i=%d j=%d", shape[0], shape[1]), x, x))
		y := gadget.Rescale(b, "y", square, 2, 0, 7)
		gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
		work := cost.Of(witnesstest.Finish(t, b))
		return work.Leaves
	}
	tables := leaves(1, 1) - 3
	require.Equal(t, int64(2*40*64), leaves(40, 64)-tables, "value and remainder")
	require.Equal(t, int64(2*40*192), leaves(40, 192)-tables)
	require.Equal(t, int64(2*40*192+40*64), leaves(40, 160)-tables, "a chunk of every row has padding")
	require.Equal(t, int64(3*40*64), leaves(40, 33)-tables)
	require.Equal(t, int64(3*3*64), leaves(9, 10)-tables, "chunks of four rows")
	require.Equal(t, int64(2*2*64), leaves(8, 16)-tables)
	require.Equal(t, int64(3*16), leaves(4, 3)-tables, "side by side with others")
}

// What a token of an answer takes is predicted within a quarter: of models from a quarter of a million weights on, as BENCH.md had them on one
// thread at commit a1dcc66, where nothing was guessed: decoding without the prompt, which takes what the witness of the other half takes.
func TestDecoding(t *testing.T) {
	for name, x := range map[string]struct {
		weights, witness   int64
		tensors, positions int
		seconds            float64
	}{
		"stories260K": {260_032, 843_136, 663, 32, 0.00326}, "nano": {208_320, 1_525_376, 551, 64, 0.00223},
		"GPT-2 small": {123_702_528, 51_622_528, 1675, 64, 0.0634}, "SmolLM2": {134_515_008, 108_307_520, 5213, 64, 0.1145},
	} {
		require.InEpsilon(t, x.seconds, cost.Reference().Token(x.weights, x.witness, x.tensors, x.positions), 0.25, name)
	}
}
