package products

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// open begins a device that ends with the test.
func open(t *testing.T) device.Device {
	t.Helper()
	return kerneltest.Open(t, emulator.Config{Seed: 1})
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

// kinds of cells, by their bytes.
const (
	short = 2
	mid   = 4
	long  = 8
)

// tensor draws one of a kind: many of its cells are the largest or the smallest that there are.
func tensor(r *rand.Rand, shape []int, kind int) *integer.Tensor {
	n := 1
	for _, e := range shape {
		n *= e
	}
	t := &integer.Tensor{Shape: shape, V: make([]int64, n)}
	for i := range t.V {
		switch r.Intn(4) {
		case 0:
			t.V[i] = math.MinInt16
		case 1:
			t.V[i] = math.MaxInt16
		default:
			t.V[i] = int64(int16(r.Uint32()))
		}
		if kind == mid {
			t.V[i] = t.V[i] << 4 >> r.Intn(4)
		}
	}
	switch kind {
	case short:
		t.Short = make([]int16, n)
		for i, v := range t.V {
			t.Short[i] = int16(v)
		}
		t.V = nil
	case mid:
		t.Mid = make([]int32, n)
		for i, v := range t.V {
			t.Mid[i] = int32(v)
		}
		t.V = nil
	}
	return t
}

// shape is that of a tensor whose axes are labels.
func shape(axes [][]int, extents []int) (s []int) {
	for _, labels := range axes {
		n := 1
		for _, l := range labels {
			n *= extents[l]
		}
		s = append(s, n)
	}
	return s
}

// Einsums are those of the reference, for labels in any place, parts of results, and cells of all kinds.
func TestEinsum(t *testing.T) {
	d, r := open(t), rand.New(rand.NewSource(1))
	type axes = [][]int
	for i, c := range []struct {
		extents []int
		out     axes
		factors []axes
		box     []backend.Range
		known   []int // of the first factor
		kinds   []int
		coef    int64
		flat    []int16 // what all cells of the factors are
	}{
		// Sums of 256 products of the smallest number and the byte 255 are the largest that fit 32 bits.
		{extents: []int{2, 515, 3}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, kinds: []int{short, short}, coef: 1, flat: []int16{math.MinInt16, -1}},
		{extents: []int{2, 515, 3}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, kinds: []int{short, short}, coef: 1, flat: []int16{math.MinInt16, math.MinInt16}},
		{extents: []int{1, 1, 1}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, kinds: []int{short, short}, coef: -1},
		{extents: []int{65, 257, 66}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, kinds: []int{short, short}, coef: 3},
		{extents: []int{3, 512, 63}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{2}, {1}}}, kinds: []int{short, short}, coef: 1},
		{extents: []int{2, 9, 33, 7}, out: axes{{0}, {1}, {3}}, factors: []axes{{{1}, {0}, {2}}, {{2}, {0}, {3}}}, kinds: []int{short, short}, coef: 1},
		{extents: []int{2, 9, 31, 7}, out: axes{{0, 1}, {3}}, factors: []axes{{{0}, {2}, {1}}, {{3}, {2}}}, kinds: []int{short, short}, coef: -5},
		{extents: []int{8, 30, 9}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, box: []backend.Range{{Lo: 2, Hi: 7}, {Lo: 1, Hi: 9}}, known: []int{6, 17}, kinds: []int{short, short}, coef: 1},
		{extents: []int{8, 30, 9}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, box: []backend.Range{{Lo: 2, Hi: 2}, {Lo: 1, Hi: 9}}, kinds: []int{short, short}, coef: 1},
		{extents: []int{5, 4}, out: axes{{0}}, factors: []axes{{{0}, {1}}, {{1}}}, kinds: []int{short, short}, coef: 1},
		{extents: []int{5, 4}, out: axes{{1}, {0}}, factors: []axes{{{0}, {1}}}, kinds: []int{mid}, coef: 7},
		{extents: []int{5, 4}, out: axes{{1}}, factors: []axes{{{0}, {1}}}, kinds: []int{long}, coef: 7},
		{extents: []int{5, 4}, out: axes{{1}, {0}}, factors: nil, coef: 7},
		{extents: nil, out: nil, factors: []axes{nil, nil}, kinds: []int{short, short}, coef: 2},
		{extents: []int{6, 5, 4, 3}, out: axes{{3}, {0}}, factors: []axes{{{0}, {1}}, {{1}, {2}}, {{2}, {3}}}, box: []backend.Range{{Lo: 1, Hi: 3}, {Lo: 0, Hi: 5}}, kinds: []int{short, mid, short}, coef: 1},
		{extents: []int{6, 5, 4}, out: axes{{0}, {2}}, factors: []axes{{{0}, {1}}, {{1}, {2}}}, kinds: []int{short, long}, coef: 1},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			session, err := reference.New().Open()
			require.NoError(t, err)
			p := session.Program()
			to := tensor(r, shape(c.out, c.extents), long)
			term := backend.Term{Coef: c.coef, Extents: c.extents, Out: c.out}
			held := map[backend.Tensor]device.Tensor{}
			for k, axes := range c.factors {
				f := tensor(r, shape(axes, c.extents), c.kinds[k])
				if c.flat != nil {
					for i := range f.Short {
						f.Short[i] = c.flat[k]
					}
				}
				loaded := p.Load(f)
				o := backend.Operand{T: loaded, Axes: axes}
				if k == 0 {
					o.Known = c.known
				}
				term.Factors = append(term.Factors, o)
				switch c.kinds[k] {
				case short:
					held[loaded] = device.Tensor{At: put(t, d, f.Short), Size: short}
				case mid:
					held[loaded] = device.Tensor{At: put(t, d, f.Mid), Size: mid}
				default:
					held[loaded] = device.Tensor{At: put(t, d, f.V), Size: long}
				}
			}
			require.True(t, Fits(&term))
			at := put(t, d, to.V)
			require.NoError(t, Einsum(d, at, c.box, []backend.Term{term, term}, func(f backend.Tensor) device.Tensor { return held[f] }))
			got := make([]int64, len(to.V))
			require.NoError(t, d.Download(device.Bytes(got), at))
			out := p.Load(to)
			p.Einsum(backend.Part{T: out, Box: c.box}, []backend.Term{term, term})
			require.NoError(t, p.Err())
			require.Equal(t, to.V, got)
		})
	}
}
