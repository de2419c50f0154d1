package main

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/tensor"
)

// Ceiling is what threads reach that share nothing but the machine: seconds of some work on one thread, in parts of those of as much work
// on each of several at once. No proof can have a higher parallel efficiency than a mixture of these.
type Ceiling struct {
	Mul      float64 // products of field elements, one after the other
	Vector   float64 // products of field elements in runs
	Products float64 // products of matrices of integers of 16 bits, from the cache
	Stream   float64 // reading memory
	Fresh    float64 // writing memory for the first time
}

// Sizes of the work that threads are compared by: about a millisecond each, less than what a system gives to others at a time.
const (
	ceilingRounds = 100 // of which the least time counts: other programs make it longer, never shorter
	ceilingMuls   = 1 << 16
	ceilingRun    = 1 << 9
	ceilingCells  = 1 << 21 // of 8 bytes
	ceilingRows   = 32
	ceilingWidth  = 512
)

// ceiling measures so many threads.
func ceiling(threads int) *Ceiling {
	return &Ceiling{
		Mul: gained(threads, multiply), Vector: gained(threads, multiplyRuns), Products: gained(threads, multiplyMatrices),
		Stream: gained(threads, stream), Fresh: gained(threads, touch),
	}
}

// gained is the least time of one thread in parts of the least of all. Every thread does work of its own, made before the clock starts.
func gained(threads int, work func() func()) float64 {
	own := make([]func(), threads)
	for i := range own {
		own[i] = work()
	}
	least := [2]float64{math.Inf(1), math.Inf(1)}
	for range ceilingRounds { // in turn, so that whatever else runs meets both
		for k, n := range []int{1, threads} {
			least[k] = min(least[k], together(own[:n]))
		}
	}
	return least[0] / least[1]
}

// together is how many seconds the last of some functions takes that begin at the same moment, when each has a processor.
func together(own []func()) float64 {
	var ready atomic.Int64
	var all sync.WaitGroup
	took := make([]float64, len(own))
	for i, f := range own {
		all.Go(func() {
			for ready.Add(1); ready.Load() < int64(len(own)); {
				runtime.Gosched()
			}
			began := time.Now()
			f()
			took[i] = time.Since(began).Seconds()
		})
	}
	all.Wait()
	return slices.Max(took)
}

func multiply() func() {
	x, y := field.FromInt64(3), field.FromInt64(5)
	return func() {
		for range ceilingMuls {
			x.Mul(&x, &y)
		}
	}
}

func multiplyRuns() func() {
	a, b := make(field.Vector, ceilingRun), make(field.Vector, ceilingRun)
	for i := range a {
		a[i], b[i] = field.FromInt64(int64(i+3)), field.FromInt64(int64(i+5))
	}
	return func() {
		for range ceilingMuls / ceilingRun {
			a.Mul(a, b)
		}
	}
}

func multiplyMatrices() func() {
	short := func(n int) *integer.Tensor {
		t := &integer.Tensor{Shape: []int{n, ceilingWidth}, Short: make([]int16, n*ceilingWidth)}
		for i := range t.Short {
			t.Short[i] = int16(uint32(i)*2654435761>>8) | 1
		}
		return t
	}
	terms := []backend.Term{{Coef: 1, Extents: []int{ceilingRows, ceilingWidth, ceilingWidth}, Out: [][]int{{0}, {2}}, Factors: []backend.Operand{
		{T: short(ceilingRows), Axes: [][]int{{0}, {1}}}, {T: short(ceilingWidth), Axes: [][]int{{2}, {1}}, Fixed: true}}}}
	out := integer.Tensor{Shape: []int{ceilingRows, ceilingWidth}, V: make([]int64, ceilingRows*ceilingWidth)}
	part := tensor.Part{Packs: tensor.NewPacks(), Pool: parallel.New(1)}
	return func() { part.Add(out, terms) }
}

func stream() func() {
	v, sum := make([]uint64, ceilingCells), uint64(0)
	return func() {
		var s [4]uint64
		for i := 0; i+4 <= len(v); i += 4 {
			s[0], s[1], s[2], s[3] = s[0]+v[i], s[1]+v[i+1], s[2]+v[i+2], s[3]+v[i+3]
		}
		sum += s[0] + s[1] + s[2] + s[3]
		v[0] = sum
	}
}

// page is how far apart the cells are that make all pages of a run of them come.
const page = 512

func touch() func() {
	return func() {
		v := make([]uint64, ceilingCells)
		for i := 0; i < len(v); i += page {
			v[i] = 1
		}
	}
}
