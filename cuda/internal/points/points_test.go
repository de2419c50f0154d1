package points

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// open begins a device that ends with the test.
func open(t *testing.T, memory int64) device.Device {
	t.Helper()
	return kerneltest.Open(t, emulator.Config{Memory: memory, Seed: 1})
}

// put copies values to the device until the test ends.
func put[T any](t *testing.T, d device.Device, values []T) device.Pointer {
	t.Helper()
	p, err := d.Alloc(int64(len(device.Bytes(values))))
	require.NoError(t, err)
	require.NoError(t, d.Upload(p, device.Bytes(values)))
	t.Cleanup(func() { require.NoError(t, d.Free(p)) })
	return p
}

// scalars draws elements, of which some are extreme.
func scalars(r *rand.Rand, n int) []field.Element {
	out := make([]field.Element, n)
	for i := range out {
		switch r.Intn(8) {
		case 0:
		case 1:
			out[i] = field.One()
		case 2:
			out[i] = field.FromInt64(-1)
		case 3:
			out[i] = field.Pow2(r.Intn(254))
		default:
			for k := range out[i] {
				out[i][k] = r.Uint64() >> (k / 3 * 3)
			}
		}
	}
	return out
}

// Commitments are those of package group, whatever the digits, for cells of all sizes.
func TestCommit(t *testing.T) {
	d, r := open(t, 0), rand.New(rand.NewSource(1))
	extremes := []int32{0, 1, -1, 127, 128, 129, -127, -128, -129, 255, 256, math.MaxInt16, math.MinInt16, math.MinInt16 - 1, math.MaxInt32, math.MinInt32, math.MaxInt32 - 127, 1 << 30}
	for _, c := range []struct{ n, width, rows, bits int }{{1, 1, 2, 8}, {65, 33, 3, 3}, {70, 70, 2, 5}, {513, 513, 2, 4}} {
		gens := kerneltest.Points(r, c.n)
		table, err := NewTable(d, put(t, d, gens), c.n, c.bits)
		require.NoError(t, err)
		rows, all := make([][]int32, c.rows), []int32(nil)
		for i := range rows {
			rows[i] = make([]int32, c.width)
			for j := range rows[i] {
				if rows[i][j] = int32(r.Uint32()) >> r.Intn(32); r.Intn(2) == 0 || c.width == 1 {
					rows[i][j] = extremes[r.Intn(len(extremes))]
				}
			}
			all = append(all, rows[i]...)
		}
		got, err := table.Commit(put(t, d, all), c.rows, c.width)
		require.NoError(t, err)
		require.Equal(t, group.CommitRows(nil, gens, rows), got, "%+v", c)
		require.NoError(t, table.Free())
	}
}

// Sums of scalar multiples are those of package group, one alone or several at once, also where points are counted from another one on.
func TestMSM(t *testing.T) {
	d, r := open(t, 0), rand.New(rand.NewSource(2))
	for _, n := range []int{0, 1, 2, 3, 63, 64, 65, 513} {
		list, k := kerneltest.Points(r, n), scalars(r, n)
		got, err := MSM(d, put(t, d, list), put(t, d, k), n, n)
		require.NoError(t, err)
		require.Equal(t, sums(list, k, n, 0), got, "%d points", n)
	}
	for _, c := range []struct{ n, size, count, shift int }{{12, 4, 12, 4}, {130, 65, 65, 0}, {64, 32, 64, 32}, {9, 3, 5, 2}} {
		list, k := kerneltest.Points(r, c.count), scalars(r, c.n)
		m, s := NewSums(c.n, c.size), &device.Scratch{Work: d}
		out, said := s.Take(m.Bytes(), 1), make([]byte, m.Bytes())
		m.Run(s, out, put(t, d, list), c.count, c.shift, put(t, d, k))
		s.Get(said, out)
		require.NoError(t, s.End())
		require.Equal(t, sums(list, k, c.size, c.shift), m.Join(said), "%+v", c)
	}
	// All points in one bucket, and a sum that is neutral.
	list, k := make([]group.Affine, 40), make([]field.Element, 40)
	for i := range list {
		list[i], k[i] = group.Row(1)[0], field.FromInt64(int64(1-i%2*2))
	}
	got, err := MSM(d, put(t, d, list), put(t, d, k), len(list), len(list))
	require.NoError(t, err)
	require.Equal(t, []group.Affine{{}}, got)
}

// sums are those of every size scalars, of which number i belongs to point i + shift, counted around.
func sums(list []group.Affine, k []field.Element, size, shift int) (out []group.Affine) {
	for from := 0; from < len(k); from += size {
		own := make([]group.Affine, size)
		for i := range own {
			own[i] = list[(from+i+shift)%len(list)]
		}
		sum := group.MSM(own, k[from:from+size])
		out = append(out, group.ToAffine(&sum))
	}
	return out
}

// Generators are folded as package group folds them, by any scalars.
func TestFold(t *testing.T) {
	d, r := open(t, 0), rand.New(rand.NewSource(3))
	long := []field.Element{{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64() >> 3}, {1, 2, 3, 4}}
	for i, x := range append(long, append(scalars(r, 4), field.Element{}, field.One(), field.FromInt64(-1))...) {
		n := []int{1, 2, 9, 33}[i%4]
		lo, hi := kerneltest.Points(r, n), kerneltest.Points(r, n)
		if n > 2 { // x·hi + lo is neutral, or the sum of equal points
			product := group.Mul(&hi[0], &x)
			lo[0] = group.ToAffine(&product)
			lo[1].Neg(&lo[0])
			hi[1] = hi[0]
		}
		at := put(t, d, lo)
		require.NoError(t, Fold(d, at, put(t, d, hi), n, &x))
		got := make([]group.Affine, n)
		require.NoError(t, d.Download(device.Bytes(got), at))
		group.FoldPoints(nil, lo, hi, &x)
		require.Equal(t, lo, got, "x = %v", x)
	}
}

// The digits of a scalar are the scalar, few, and of one with short halves half as many.
func TestUnits(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	var lambda field.Element // of φ, whichever root that is
	p, beta := group.U(), group.Endomorphism()
	image := p
	image.X.Mul(&p.X, &beta)
	lambda.SetInt64(-3)
	lambda.Sqrt(&lambda)
	one := field.One()
	lambda.Sub(&lambda, &one)
	lambda.Halve()
	if product := group.Mul(&p, &lambda); group.ToAffine(&product) != image {
		lambda.Square(&lambda)
	}
	product := group.Mul(&p, &lambda)
	require.Equal(t, image, group.ToAffine(&product))
	nonzero, all := 0, 0
	for i, x := range scalars(r, 300) {
		most := 130
		if i%2 == 0 {
			x.Mul(&lambda, new(field.Element).SetUint64(r.Uint64()))
			x.Add(&x, new(field.Element).SetUint64(r.Uint64()))
			most = 67
		}
		digits := units(&x)
		require.LessOrEqual(t, len(digits), most, "%v", x)
		var sum field.Element
		for k := len(digits) - 1; k >= 0; k-- {
			sum.Double(&sum)
			unit := one
			for range max(digits[k], -digits[k]) - 1 {
				unit.Mul(&unit, &lambda)
			}
			switch {
			case digits[k] > 0:
				sum.Add(&sum, &unit)
			case digits[k] < 0:
				sum.Sub(&sum, &unit)
			}
			if digits[k] != 0 {
				nonzero++
			}
			all++
		}
		require.Equal(t, x, sum)
	}
	require.Less(t, 3*nonzero, 2*all, "two of three digits at most are not zero")
	require.Empty(t, units(new(field.Element)))
}

// A device without the memory for it says so, and keeps nothing.
func TestOutOfMemory(t *testing.T) {
	d := open(t, TableBytes(32, 2)+64*affineBytes)
	gens := put(t, d, group.Row(64))
	_, err := NewTable(d, gens, 64, 8)
	require.ErrorIs(t, err, device.ErrMemory)
	_, err = NewTable(d, gens, 32, 2) // the table fits, the scratch does not fit beside it
	require.ErrorIs(t, err, device.ErrMemory)
}

// Rows are written out as package integer does it, box by box.
func TestLay(t *testing.T) {
	d, r := open(t, 0), rand.New(rand.NewSource(5))
	short, mid, long := make([]int16, 300), make([]int32, 300), make([]int64, 300)
	for i := range short {
		short[i], mid[i], long[i] = int16(r.Uint32()), int32(r.Uint32()), int64(int32(r.Uint32()))
	}
	held := []device.Tensor{{At: put(t, d, short), Size: 2}, {At: put(t, d, mid), Size: 4}, {At: put(t, d, long), Size: 8}}
	tensors := []*integer.Tensor{{Short: short}, {Mid: mid}, {V: long}}
	const width = 517
	rows, want := make([][]Box, 4), make([]int32, 0)
	for i := range rows {
		row := make([]int32, width)
		for range i * 2 {
			k, shape := r.Intn(3), [][]int{{300}, {1, 5, 3}, {7}, {3, 1, 9}, {0, 3}, {2, 3, 5, 2}, {}}[r.Intn(7)]
			b := Box{Tensor: held[k], Shape: shape, Column: r.Intn(200)}
			if len(shape) != 1 || shape[0] != 300 {
				b.From = r.Intn(200)
			}
			rows[i] = append(rows[i], b)
			var err error
			row, err = tensors[k].Lay(row, b.From, shape, b.Column)
			require.NoError(t, err)
		}
		want = append(want, row...)
	}
	at, err := Lay(d, rows, width)
	require.NoError(t, err)
	got := make([]int32, len(want))
	require.NoError(t, d.Download(device.Bytes(got), at))
	require.Equal(t, want, got)
	require.NoError(t, d.Free(at))

	for _, v := range []int64{1 << 31, -1<<31 - 1, 1 << 32, math.MinInt64} {
		wide := device.Tensor{At: put(t, d, []int64{1<<31 - 1, -1 << 31, v}), Size: 8}
		_, err = Lay(d, [][]Box{nil, {{Tensor: wide, Shape: []int{3}, Column: 2}}}, 9)
		require.ErrorIs(t, err, ErrWide)
		require.ErrorContains(t, err, "row 1, column 4")
	}
}
