package protocol_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/tensor"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// nextSum says what the next sum is of, given the tensors before it.
type nextSum func(b *circuit.Builder, sums []circuit.ID) []circuit.Term

// skips is a circuit of k sums, each of earlier ones, the first of a committed tensor x and its square, and its data for cells of x. The
// last sum is what the given cells make it: a zero-check says so, and asks for it. A wave asks for it at another point, for its product
// with a weight of zeros.
func skips(t *testing.T, k int, next nextSum, want []int64, cells ...int64) (*circuit.Circuit, map[circuit.ID]*integer.Tensor) {
	b := circuit.NewBuilder(circuit.Config{Name: "skips", WeightBits: 4, WitnessBits: 4})
	x := b.Witness("x", -1, 1, 2, 2)
	b.Lookup(b.TableOf("signs", func() [][]int64 { return [][]int64{{-1, 0, 1}} }), x)
	square := b.Virtual("square", []int{2, 2}, b.Times(1, "ij,ij->ij i=2 j=2", x, x), b.Times(-1, "ij->ij i=2 j=2", x))
	sums := []circuit.ID{x, square}
	for i := range k {
		sums = append(sums, b.Virtual(fmt.Sprintf("sum %d", i), []int{2, 2}, next(b, sums)...))
	}
	y := sums[len(sums)-1]
	lo, hi := b.Bounds(y)
	b.Zero(b.VirtualBound("difference", []int{2, 2}, 0, 0, "zero-checked",
		b.Times(1, "ij->ij i=2 j=2", y), b.Times(-1, "ij->ij i=2 j=2", b.Const("want", want, 2, 2))))
	w := b.Weight("w", 1, 2)
	b.Zero(b.VirtualBound("products", []int{2, 2}, min(lo, -hi), max(hi, -lo), "of zeros", b.Times(1, "ij,j->ij i=2 j=2", y, w)))
	c, err := b.Finish()
	require.NoError(t, err)

	mult := make([]int64, 3)
	for _, v := range cells {
		mult[v+1]++
	}
	data := map[circuit.ID]*integer.Tensor{
		x: {Shape: []int{2, 2}, V: cells}, w: {Shape: []int{2}, V: []int64{0, 0}}, c.Tables[0].Mult: {Shape: []int{3}, V: mult},
	}
	for i := range c.Tensors {
		switch d := &c.Tensors[i]; d.Kind {
		case circuit.Const:
			data[d.ID] = &integer.Tensor{Shape: d.Shape, V: d.Values}
		case circuit.Virtual:
			v := tensor.Part{}.Eval(witness.Terms(d.Def, func(id circuit.ID) backend.Tensor { return data[id] }), d.Shape)
			data[d.ID] = &v
		}
	}
	return c, data
}

// last is the last sum: the first factor of the zero-checked difference.
func last(c *circuit.Circuit) circuit.ID { return c.Tensor(c.Zeros[0]).Def[0].Factors[0].T }

// Sums that go into two later ones, 40 times over, and sums of transposed sums: written out, the first has 2^40 terms. Each evaluation is
// asked for once by both sides, proofs are accepted, and one that begins with other cells, which make another sum, is not.
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
			c, data := skips(t, test.k, test.next, make([]int64, 4), 1, -1, 0, 1)
			want := data[last(c)].V
			c, data = skips(t, test.k, test.next, want, 1, -1, 0, 1)
			require.LessOrEqual(t, c.Requests().Evaluations, test.atMost)
			_, err := protocol.CheckedSchedule(c) // makes as many evaluations as were counted
			require.NoError(t, err)
			p, out := prove(t, c, data)
			require.NoError(t, p.Run(veil.NewVerifier(p.Transcript(), replay{out})))

			_, lie := skips(t, test.k, test.next, want, 1, -1, 0, -1)
			p, out = prove(t, c, lie)
			require.ErrorIs(t, p.Run(veil.NewVerifier(p.Transcript(), replay{out})), veil.ErrRejected)
		})
	}
}
