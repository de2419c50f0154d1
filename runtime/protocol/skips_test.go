package protocol_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/tensor"
	"github.com/zkllmc/zkllmc/runtime/veil"
)

// nextSum says what the next sum is of, given the tensors before it.
type nextSum func(b *circuit.Builder, sums []circuit.ID) []circuit.Term

// skips is a circuit of k sums, each of earlier ones, the first of a committed tensor x and its square. The last is asked for at the
// point of the zero-checks, and at that of a wave, for its product with a weight.
func skips(t *testing.T, k int, next nextSum) (*circuit.Circuit, map[circuit.ID]*kernel.Tensor) {
	b := circuit.NewBuilder(circuit.Config{Name: "skips", Length: 1, Vocab: 2, Reveal: circuit.RevealLogits, WeightBits: 4, WitnessBits: 4})
	x := b.Witness("x", -1, 1, 2, 2)
	b.Lookup(b.TableOf("signs", func() [][]int64 { return [][]int64{{-1, 0, 1}} }), x)
	square := b.Virtual("square", []int{2, 2}, b.Times(1, "ij,ij->ij i=2 j=2", x, x), b.Times(-1, "ij->ij i=2 j=2", x))
	sums := []circuit.ID{x, square}
	for i := range k {
		sums = append(sums, b.Virtual(fmt.Sprintf("sum %d", i), []int{2, 2}, next(b, sums)...))
	}
	y := sums[len(sums)-1]
	lo, hi := b.Bounds(y)
	b.Zero(b.VirtualBound("difference", []int{2, 2}, -1, 1, "of a sum and itself",
		b.Times(1, "ij->ij i=2 j=2", y), b.Times(-1, "ij->ij i=2 j=2", y)))
	w := b.Weight("w", 1, 2)
	b.Zero(b.VirtualBound("products", []int{2, 2}, min(lo, -hi), max(hi, -lo), "of zeros", b.Times(1, "ij,j->ij i=2 j=2", y, w)))
	c, err := b.Finish()
	require.NoError(t, err)

	data := map[circuit.ID]*kernel.Tensor{
		x:                {Shape: []int{2, 2}, V: []int64{1, -1, 0, 1}},
		w:                {Shape: []int{2}, V: []int64{0, 0}},
		c.Tables[0].Mult: {Shape: []int{3}, V: []int64{1, 1, 2}},
	}
	for i := range c.Tensors {
		if d := &c.Tensors[i]; d.Kind == circuit.Virtual {
			v := tensor.Eval(d.Def, func(id circuit.ID) kernel.Tensor { return *data[id] }, d.Shape)
			data[d.ID] = &v
		}
	}
	return c, data
}

// Sums that go into two later ones, 40 times over, and sums of transposed sums: written out, the first has 2^40 terms. Each evaluation is
// asked for once by both sides, proofs are accepted, and a lie about what all begins with is not.
func TestSkips(t *testing.T) {
	for name, test := range map[string]struct {
		k, atMost int // evaluations
		next      nextSum
	}{
		"double skips": {40, 2*40 + 20, func(b *circuit.Builder, sums []circuit.ID) []circuit.Term {
			x, y := sums[len(sums)-1], sums[len(sums)-2]
			return []circuit.Term{b.Times(1, "ij->ij i=2 j=2", x), b.Times(1, "ij->ij i=2 j=2", y)}
		}},
		"transposed": {40, 4*40 + 20, func(b *circuit.Builder, sums []circuit.ID) []circuit.Term {
			x := sums[len(sums)-1]
			return []circuit.Term{b.Times(1, "ij->ij i=2 j=2", x), b.Times(1, "ji->ij i=2 j=2", x)}
		}},
		"twice the same": {30, 2*30 + 20, func(b *circuit.Builder, sums []circuit.ID) []circuit.Term {
			x := sums[len(sums)-1]
			return []circuit.Term{b.Times(2, "ij->ij i=2 j=2", x), b.Times(-1, "ij->ij i=2 j=2", x)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c, data := skips(t, test.k, test.next)
			require.LessOrEqual(t, c.Requests().Evaluations, test.atMost)
			_, err := protocol.CheckedSchedule(c) // makes as many evaluations as were counted
			require.NoError(t, err)
			p, out := prove(t, c, data)
			require.NoError(t, p.Run(veil.NewVerifier(p.Transcript(), replay{out})))

			_, lie := skips(t, test.k, test.next)
			lie[0].V[3] = -1
			p, out = prove(t, c, lie)
			require.ErrorIs(t, p.Run(veil.NewVerifier(p.Transcript(), replay{out})), veil.ErrRejected)
		})
	}
}
