package commit

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// shapes own rows of 16 columns or share them: exact, with tails, split within an axis and between axes, of odd extents.
var shapes = [][]int{
	{16}, {17}, {33}, {5, 16}, {3, 21}, {2, 3, 7}, {3, 5, 2, 2}, {100, 1}, {1, 100}, {6, 3}, {2, 1, 9}, // owners
	{1}, {3}, {8}, {2, 3}, {5}, {1, 1}, {7}, {2, 2, 2}, // packed
}

const rowBits = 4

// laid places the shapes and fills their rows with random integers.
func laid(t *testing.T) (*circuit.Circuit, *Layout, map[circuit.ID]*integer.Tensor, [][]int32) {
	t.Helper()
	b := circuit.NewBuilder(circuit.Config{Name: "layout", WeightBits: rowBits, WitnessBits: rowBits})
	b.Lookup(b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} }), b.Witness("x", 0, 1, 2))
	rng := rand.New(rand.NewPCG(1, 2))
	data := map[circuit.ID]*integer.Tensor{}
	for i, shape := range shapes {
		v := make([]int64, circuit.Size(shape))
		for j := range v {
			v[j] = 1 + rng.Int64N(30000) // no zeros: a cell that is missing shows
		}
		data[b.Weight(fmt.Sprint(i), 16, shape...)] = &integer.Tensor{Shape: shape, V: v}
	}
	c, err := b.Finish()
	require.NoError(t, err)
	l := NewLayout(c, circuit.Weight, rowBits)
	laid, err := l.Lay(c, func(id circuit.ID) backend.Tensor { return data[id] })
	require.NoError(t, err)
	rows, err := Cells(laid)
	require.NoError(t, err)
	return c, l, data, rows
}

// Owners have their rows alone, packed tensors aligned places of their own: no cell belongs to two tensors, and every cell of a tensor
// is in exactly one row.
func TestPlaces(t *testing.T) {
	c, l, data, rows := laid(t)
	owner := map[[2]int]string{}
	claim := func(row, from, n int, name string) {
		for col := from; col < from+n; col++ {
			require.Empty(t, owner[[2]int{row, col}], "row %d, column %d", row, col)
			owner[[2]int{row, col}] = name
		}
	}
	sum := int64(0)
	for _, w := range c.Weights() {
		p := l.places[w.ID]
		require.True(t, p.here, w.Name)
		require.Equal(t, circuit.ShapeBits(w.Shape) < rowBits, p.packed, "%v", w.Shape)
		for _, v := range data[w.ID].V {
			sum += v
		}
		if p.packed {
			require.Zero(t, p.offset%(1<<p.bits), "%v at %d", w.Shape, p.offset)
			claim(p.first, p.offset, 1<<p.bits, w.Name)
			continue
		}
		for i := range p.high {
			claim(p.first+i, 0, 1<<rowBits, w.Name)
			require.NotEmpty(t, rows[p.first+i], "%v has a row without cells", w.Shape)
		}
	}
	require.Len(t, rows, l.Rows)
	for _, row := range rows {
		require.LessOrEqual(t, len(row), 1<<rowBits)
		for _, v := range row {
			sum -= int64(v)
		}
	}
	require.Zero(t, sum, "every cell is laid out once")
}

// Runs of rows, laid out from no more cells than they hold, are those of the whole.
func TestCellsOfRuns(t *testing.T) {
	c, l, data, rows := laid(t)
	for from := range rows {
		for _, to := range []int{from + 1, min(from+7, len(rows)), len(rows)} {
			asked := 0
			laid, err := l.LayRange(c, Range{from, to}, func(id circuit.ID, lo, hi int) (backend.Tensor, error) {
				asked += hi - lo
				return &integer.Tensor{V: data[id].V[lo:hi]}, nil
			})
			require.NoError(t, err)
			got, err := Cells(laid)
			require.NoError(t, err)
			require.Equal(t, rows[from:to], got)
			n := 0
			for _, row := range got {
				for _, v := range row {
					n += min(int(v), 1)
				}
			}
			require.Equal(t, n, asked, "no cell is asked for that is not laid out")
		}
	}
}

// Cells of 16 bits are laid out like others.
func TestCellsOfSixteenBits(t *testing.T) {
	c, l, data, rows := laid(t)
	laid, err := l.Lay(c, func(id circuit.ID) backend.Tensor {
		s := &integer.Tensor{Shape: data[id].Shape, Short: make([]int16, data[id].Len())}
		for i, v := range data[id].V {
			s.Short[i] = int16(v)
		}
		return s
	})
	require.NoError(t, err)
	got, err := Cells(laid)
	require.NoError(t, err)
	require.Equal(t, rows, got)
}

// The rows of some tensors, spelt out.
func TestOwnedRows(t *testing.T) {
	for _, test := range []struct {
		shape []int
		high  []int
		tail  []bool
	}{
		{[]int{16}, []int{0}, []bool{false}},
		{[]int{17}, []int{0, 1}, []bool{false, true}},
		{[]int{33}, []int{0, 1, 2}, []bool{false, false, true}},
		{[]int{2, 21}, []int{0, 1, 2, 3}, []bool{false, true, false, true}},
		{[]int{3, 9}, []int{0, 1, 2}, []bool{true, true, true}}, // a gap of 7 columns in each row
		{[]int{3, 5, 2, 2}, []int{0, 1, 2, 3, 4, 5}, []bool{false, true, false, true, false, true}},
		{[]int{5, 33}, []int{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18}, []bool{
			false, false, true, false, false, true, false, false, true, false, false, true, false, false, true,
		}},
	} {
		high, tail := ownedRows(test.shape, rowBits)
		require.Equal(t, test.high, high, "%v", test.shape)
		require.Equal(t, test.tail, tail, "%v", test.shape)
	}
}

// weights writes column weights out, from offset on.
func (c *columns) weights() field.Vector {
	w := field.Vector{field.One()}
	for _, a := range c.axes {
		eq := poly.Eq(a.point)
		next := make(field.Vector, len(w)*len(eq))
		for i := 0; i < a.d; i++ {
			run := next[i*len(w) : (i+1)*len(w)]
			run.ScalarMul(w, &eq[i])
		}
		w = next
	}
	return w
}

func randomPoint(t *testing.T, n int) []field.Element {
	t.Helper()
	out := make([]field.Element, n)
	for i := range out {
		_, err := out[i].SetRandom()
		require.NoError(t, err)
	}
	return out
}

// A claim's parts sum to the tensor's MLE, with whatever a prover writes into columns where the tensor has no cell. The verifier's
// short evaluation of a part's column weights is the MLE of the dense ones.
func TestPartsSumToTheMLE(t *testing.T) {
	c, l, data, rows := laid(t)
	for _, w := range c.Weights() {
		cl := Claim{T: w.ID, Point: randomPoint(t, circuit.ShapeBits(w.Shape))}
		want := poly.EvalInts(data[w.ID].V, w.Shape, cl.Point)
		var got, all field.Element
		for _, p := range l.parts(w.Shape, cl) {
			weights := make(field.Vector, 1<<rowBits)
			require.Len(t, p.cols.weights(), 1<<p.cols.used)
			copy(weights[p.cols.offset:], p.cols.weights())
			for i, r := range p.rows {
				for j := range weights {
					v := field.FromInt64(977) // beyond the row's end
					if j < len(rows[r]) {
						v = field.FromInt64(int64(rows[r][j]))
					}
					v.Mul(&v, &weights[j])
					all.Mul(&v, &p.coefs[i])
					got.Add(&got, &all)
				}
			}
			at := randomPoint(t, rowBits)
			require.Equal(t, field.InnerProduct(weights, poly.Eq(at)), newEvaluator(at).at(&p.cols), "%v", w.Shape)
		}
		require.Equal(t, want, got, "%v", w.Shape)
	}
}

// Claims at points that share memory, as those of lookups do, are evaluated by one evaluator, which keeps what it has computed: axes from one
// place of memory on that differ in bits, extent or column alone are not taken for each other.
func TestEvaluatorTellsAxesApart(t *testing.T) {
	point, at := randomPoint(t, rowBits), randomPoint(t, rowBits)
	weights := newEvaluator(at)
	for range 2 {
		for _, offset := range []int{0, 1} {
			for n := 1; n < rowBits; n++ {
				for d := 1<<(n-1) + 1; d <= 1<<n; d++ {
					for below := 0; below+n < rowBits; below++ {
						c := &columns{bits: rowBits, used: below + n, axes: []axis{{point: point[n : n+below], d: 1 << below}, {point: point[:n], d: d}}}
						c.offset = offset << c.used
						dense := make(field.Vector, 1<<rowBits)
						copy(dense[c.offset:], c.weights())
						require.Equal(t, field.InnerProduct(dense, poly.Eq(at)), weights.at(c), "%d of 2^%d behind 2^%d, offset %d", d, n, below, c.offset)
					}
				}
			}
		}
	}
}

// Cells that a commitment to small integers cannot hold, and tensors without values, are refused.
func TestCellsRefused(t *testing.T) {
	c, l, data, _ := laid(t)
	first := c.Weights()[0].ID
	_, err := l.Lay(c, func(id circuit.ID) backend.Tensor {
		if id == first {
			return nil
		}
		return data[id]
	})
	require.ErrorContains(t, err, "has no values")
	for _, v := range []int64{1 << 31, -1<<31 - 1} {
		data[first].V[3] = v
		laid, err := l.Lay(c, func(id circuit.ID) backend.Tensor { return data[id] })
		require.NoError(t, err)
		_, err = Cells(laid)
		require.ErrorContains(t, err, "does not fit 32 bits")
	}
}
