package tensor

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// operands are rows of n cells, with gaps of other integers between them.
func operands(rng *rand.Rand, n int, digit, cell func() int16) (a []int16, as int, b []int16, bs int) {
	as, bs = n+rng.IntN(3), n+rng.IntN(40)
	a, b = make([]int16, dotTile*as), make([]int16, dotTile*bs)
	for i := range a {
		a[i] = digit()
	}
	for i := range b {
		b[i] = cell()
	}
	return a, as, b, bs
}

// The kernels of this processor give what the definition gives: for random rows of every length, and for those with the largest sums.
func TestDotKernels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	always := func(v int16) func() int16 { return func() int16 { return v } }
	digits := map[string]func() int16{
		"random": func() int16 { return int16(rng.IntN(2*maxDigit+1) - maxDigit) }, "largest": always(maxDigit), "least": always(-maxDigit),
	}
	cells := map[string]func() int16{
		"random": func() int16 { return int16(rng.Uint32()) }, "largest": always(math.MaxInt16), "least": always(math.MinInt16),
		"extreme": func() int16 { return []int16{math.MinInt16, math.MaxInt16}[rng.IntN(2)] },
	}
	for _, k := range kernels() {
		for da, digit := range digits {
			for ca, cell := range cells {
				for n := dotStep; n <= maxRun; n += dotStep {
					a, as, b, bs := operands(rng, n, digit, cell)
					var got, want products
					k.dot(&got, a, as, b, bs, n)
					dotPortable(&want, a, as, b, bs, n)
					require.Equal(t, want, got, "%s: %d cells, digits %s, cells %s", k.needs, n, da, ca)
				}
			}
		}
	}
}

// Rows that a kernel must not read are refused before it does.
func TestDotRefusesRows(t *testing.T) {
	rows := make([]int16, dotTile*maxRun)
	for _, k := range kernels() {
		for _, c := range []struct{ rows, as, bs, n int }{
			{4, 64, 64, 0}, {4, 64, 64, 16}, {4, 64, 64, 48}, {4, maxRun, maxRun, 2 * maxRun}, {3, 64, 64, 64}, {4, -1, 64, 32}, {4, 64, -1, 32},
		} {
			var dst products
			require.Panics(t, func() { k.dot(&dst, rows[:c.rows*64], c.as, rows, c.bs, c.n) }, "%s: %+v", k.needs, c)
			require.Panics(t, func() { k.dot(&dst, rows, c.as, rows[:c.rows*64], c.bs, c.n) }, "%s: %+v", k.needs, c)
		}
	}
}

// FuzzDot compares the kernels of this processor with the definition on rows made of the fuzzer's bytes.
func FuzzDot(f *testing.F) {
	f.Add([]byte{0x80, 0, 0x7f, 0xff}, uint8(1))
	f.Add([]byte{0xff, 1, 2, 3, 4, 5, 6}, uint8(32))
	f.Fuzz(func(t *testing.T, data []byte, steps uint8) {
		if len(data) < 2 {
			return
		}
		n := dotStep * (1 + int(steps)%(maxRun/dotStep))
		rows := make([]int16, 2*dotTile*n)
		for i := range rows {
			at := 2 * i % (len(data) - 1)
			rows[i] = int16(binary.LittleEndian.Uint16(data[at:]))
		}
		a, b := rows[:dotTile*n], rows[dotTile*n:]
		for i := range a {
			a[i] %= maxDigit + 1
		}
		var got, want products
		dotPortable(&want, a, n, b, n, n)
		for _, k := range kernels() {
			if k.dot(&got, a, n, b, n, n); got != want {
				t.Fatalf("%s: %v, want %v", k.needs, got, want)
			}
		}
	})
}

func BenchmarkDot(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 576
	x, as, y, bs := operands(rng, n, func() int16 { return int16(rng.IntN(256)) }, func() int16 { return int16(rng.Uint32()) })
	run := func(name string, f func(dst *products, a []int16, as int, b []int16, bs, n int)) {
		b.Run(name, func(b *testing.B) {
			var dst products
			for b.Loop() {
				f(&dst, x, as, y, bs, n)
			}
			b.ReportMetric(float64(len(dst)*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
	run("portable", dotPortable)
	for _, k := range kernels() {
		run(k.needs, k.dot)
	}
}
