package kerneltest

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	onDevice "github.com/zkllmc/zkllmc/cuda/internal/points"
	"github.com/zkllmc/zkllmc/cuda/internal/products"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// sized is a size that fills a GPU, or one that the emulator gets through.
func sized(gpu, emulated int) int {
	if onGPU {
		return gpu
	}
	return emulated
}

// bench runs a computation on a device of its own. work says how much one does, in billions of the unit.
func bench(b *testing.B, unit string, work float64, prepare func(m *memory) (once func())) {
	d := Open(b, emulator.Config{})
	with(b, d, func(m *memory) {
		once := prepare(m)
		once() // whatever the first time takes more
		require.NoError(b, d.Sync())
		before := d.Counters()
		b.ResetTimer()
		for range b.N {
			once()
		}
		require.NoError(b, d.Sync())
		b.StopTimer()
		after := d.Counters()
		b.ReportMetric(work*float64(b.N)/b.Elapsed().Seconds()/1e9, "G"+unit+"/s")
		b.ReportMetric(float64(after.Launches-before.Launches)/float64(b.N), "launches/op")
	})
}

// Products of field elements in registers.
func BenchmarkProducts(b *testing.B) {
	threads, times := sized(1<<19, 1<<8), sized(1<<10, 1<<4)
	bench(b, "mul", float64(threads)*float64(times), func(m *memory) func() {
		a, out := put(m, elements(rand.New(rand.NewSource(1)), threads)), room[field.Element](m, threads)
		return func() { m.launch("check_powers", threads/128, 128, out, a, times) }
	})
}

// Sums of two scaled vectors: two products, and 96 bytes.
func BenchmarkCombine(b *testing.B) {
	n := sized(1<<25, 1<<10)
	bench(b, "B", float64(n)*96, func(m *memory) func() {
		v := elements(rand.New(rand.NewSource(1)), n)
		vecs, coefs, out := put(m, []device.Pointer{put(m, v), put(m, v)}), put(m, v[:2]), room[field.Element](m, n)
		return func() { m.launch("combine", min(n/256, 1<<16), 256, out, vecs, coefs, 2, n) }
	})
}

// Commitments to cells of 16 bits.
func BenchmarkCommit(b *testing.B) {
	width, rows := sized(1<<15, 1<<8), sized(1<<11, 4)
	bench(b, "values", float64(width)*float64(rows), func(m *memory) func() {
		r, cells := rand.New(rand.NewSource(1)), make([]int32, rows*width)
		for i := range cells {
			cells[i] = int32(int16(r.Uint32()))
		}
		at := put(m, cells)
		table, err := onDevice.NewTable(m, put(m, group.Row(width)), width, sized(8, 4))
		require.NoError(m, err)
		b.Cleanup(func() { require.NoError(b, table.Free()) })
		return func() {
			_, err := table.Commit(at, rows, width)
			require.NoError(m, err)
		}
	})
}

// Sums of multiples by scalars of 254 bits.
func BenchmarkMSM(b *testing.B) {
	n := sized(1<<16, 1<<8)
	bench(b, "points", float64(n), func(m *memory) func() {
		scalars, bases := put(m, elements(rand.New(rand.NewSource(1)), n)), put(m, group.Row(n))
		return func() {
			_, err := onDevice.MSM(m, bases, scalars, n, n)
			require.NoError(m, err)
		}
	})
}

// Generators folded by a scalar of 254 bits.
func BenchmarkFold(b *testing.B) {
	n := sized(1<<16, 1<<6)
	bench(b, "points", float64(n), func(m *memory) func() {
		all, x := group.Row(2*n), element(rand.New(rand.NewSource(1)))
		lo, hi := put(m, all[:n]), put(m, all[n:])
		return func() { require.NoError(m, onDevice.Fold(m, lo, hi, n, &x)) }
	})
}

// Products of matrices of 16 bits.
func BenchmarkMatrices(b *testing.B) {
	n := sized(1<<12, 1<<6)
	bench(b, "MAC", float64(n)*float64(n)*float64(n), func(m *memory) func() {
		r, cells := rand.New(rand.NewSource(1)), make([]int16, n*n)
		for i := range cells {
			cells[i] = int16(r.Uint32())
		}
		at, out := put(m, cells), put(m, make([]int64, n*n))
		f := backend.Operand{T: &integer.Tensor{Shape: []int{n, n}, Short: cells}, Axes: [][]int{{0}, {1}}}
		g := f
		g.Axes = [][]int{{1}, {2}}
		terms := []backend.Term{{Coef: 1, Extents: []int{n, n, n}, Out: [][]int{{0}, {2}}, Factors: []backend.Operand{f, g}}}
		return func() {
			require.NoError(m, products.Einsum(m, out, nil, terms, func(backend.Tensor) device.Tensor { return device.Tensor{At: at, Size: 2} }))
		}
	})
}
