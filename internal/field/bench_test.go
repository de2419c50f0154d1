package field

import (
	"math/rand/v2"
	"testing"
)

func randomElements(r *rand.Rand, n int) []Element {
	out := make([]Element, n)
	for i := range out {
		var b [48]byte
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		out[i] = Uniform(b[:])
	}
	return out
}

func perItem(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/value")
}

func BenchmarkDot(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 4096
	e := randomElements(r, n)
	w64, big := make([]int64, n), make([]int64, n)
	for i := range w64 {
		w64[i] = int64(r.IntN(1<<16) - 1<<15)
		big[i] = w64[i] << 40
	}
	b.Run("int64", func(b *testing.B) {
		for b.Loop() {
			DotInt64(w64, e)
		}
		perItem(b, n)
	})
	b.Run("int64wide", func(b *testing.B) {
		for b.Loop() {
			DotInt64(big, e)
		}
		perItem(b, n)
	})
	b.Run("inner", func(b *testing.B) {
		for b.Loop() {
			InnerProduct(e, e)
		}
		perItem(b, n)
	})
	b.Run("innerPortable", func(b *testing.B) {
		for b.Loop() {
			innerProduct(e, e)
		}
		perItem(b, n)
	})
}

func BenchmarkMul(b *testing.B) {
	e := randomElements(rand.New(rand.NewPCG(1, 2)), 2)
	for b.Loop() {
		e[0].Mul(&e[0], &e[1])
	}
}
