package group

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// awkwardPoints are generators among which are neutral elements, equal and opposite points.
func awkwardPoints(n int) []Affine {
	g := Row(64)
	out := make([]Affine, n)
	for i := range out {
		switch i % 7 {
		case 3:
		case 5:
			out[i].Neg(&g[i/14%64])
		default:
			out[i] = g[i/7%64]
		}
	}
	return out
}

// awkwardScalars are random but for some that are 0, 1, −1 or small.
func awkwardScalars(r *rand.Rand, n int) []field.Element {
	out := randomScalars(r, n)
	for i := range out {
		switch i % 11 {
		case 2, 4:
			out[i] = field.FromInt64(int64(i%3) - 1)
		case 6:
			out[i] = field.FromInt64(int64(r.IntN(1 << 20)))
		}
	}
	return out
}

func naiveMSM(points []Affine, scalars []field.Element) Jac {
	sum := neutral()
	for i := range points {
		sum.AddAssign(mulBig(&points[i], scalars[i].BigInt(new(big.Int))))
	}
	return sum
}

func TestBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, n := range []int{1, 2, 17, 127, 128, 300, 1200} {
		points, scalars := awkwardPoints(n), awkwardScalars(r, n)
		want := naiveMSM(points, scalars)
		for _, threads := range []int{1, 3} {
			if got := newBuckets(points, scalars, parallel.New(threads)).sum(); !got.Equal(&want) {
				t.Errorf("%d points, %d threads: wrong sum", n, threads)
			}
			if got := MSMOn(parallel.New(threads), points, scalars); !got.Equal(&want) {
				t.Errorf("%d points, %d threads: wrong sum by the chosen way", n, threads)
			}
		}
	}
}

// TestBucketsDegenerate has sums that vanish, within a bucket and in all.
func TestBucketsDegenerate(t *testing.T) {
	const n = 600
	g := H()
	points, scalars := make([]Affine, n), make([]field.Element, n)
	for i := range points {
		points[i], scalars[i] = g, field.FromInt64(12345)
		if i%2 == 1 {
			points[i].Neg(&g)
		}
	}
	if got := newBuckets(points, scalars, nil).sum(); !got.Z.IsZero() {
		t.Error("opposite points do not cancel")
	}
	for i := range points {
		points[i] = g
	}
	want := mulBig(&g, big.NewInt(12345*n))
	if got := newBuckets(points, scalars, nil).sum(); !got.Equal(want) {
		t.Error("equal points: wrong sum")
	}
	if got := newBuckets(make([]Affine, n), scalars, nil).sum(); !got.Z.IsZero() {
		t.Error("neutral points have a sum")
	}
}

func TestFoldPoints(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	scalars := append(randomScalars(r, 2), field.Element{}, field.One(), field.FromInt64(-1), field.FromInt64(2), field.FromInt64(-12345))
	for _, n := range []int{1, 5, 40, 700} {
		for k, x := range scalars {
			lo, hi := awkwardPoints(n), awkwardPoints(n + 1)[1:]
			copy(hi[n/2:], lo[n/2:]) // P + x·P and, for x = ±1, 2P and P − P
			want := make([]Affine, n)
			for i := range want {
				sum := fromAffine(&lo[i])
				sum.AddAssign(mulBig(&hi[i], x.BigInt(new(big.Int))))
				want[i] = ToAffine(&sum)
			}
			FoldPoints(parallel.New(3), lo, hi, &x)
			for i := range want {
				if !lo[i].Equal(&want[i]) {
					t.Fatalf("%d points, scalar %d: point %d differs", n, k, i)
				}
			}
		}
	}
}

// TestSplit checks that scalars split into halves, and that a + b·λ and a + b·λ² keep the size of a and b.
func TestSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	e := glv()
	lambda := new(big.Int) // V1 is a vector of the lattice: V1[0] + V1[1]·λ = 0
	lambda.ModInverse(&e.lattice.V1[1], field.Modulus())
	lambda.Mul(lambda, &e.lattice.V1[0]).Neg(lambda).Mod(lambda, field.Modulus())
	square := new(big.Int).Mul(lambda, lambda)
	for i := range 200 {
		s := randomScalar(r)
		k, bound := s.BigInt(new(big.Int)), 128
		if i%2 == 1 {
			bound = 66
			k.SetUint64(r.Uint64())
			k.Mul(k, []*big.Int{lambda, square}[i/2%2])
			k.Add(k, new(big.Int).SetUint64(r.Uint64())).Mod(k, field.Modulus())
		}
		halves := e.split(k)
		if n := max(halves[0].BitLen(), halves[1].BitLen()); n > bound {
			t.Fatalf("halves of %d bits, want %d", n, bound)
		}
		sum := new(big.Int).Mul(&halves[1], lambda)
		sum.Add(sum, &halves[0]).Sub(sum, k)
		if sum.Mod(sum, field.Modulus()).Sign() != 0 {
			t.Fatal("the halves are of another scalar")
		}
	}
}

func BenchmarkFoldPoints(b *testing.B) {
	full := randomScalar(rand.New(rand.NewPCG(1, 1)))
	for _, c := range []struct {
		name string
		x    field.Element
	}{{"full", full}, {"short", field.FromUint64(0xfedcba9876543210)}} {
		for _, n := range []int{64, 512, 2048} {
			b.Run(fmt.Sprintf("%s/n=%d", c.name, n), func(b *testing.B) {
				g := Row(2 * n)
				lo, hi := append([]Affine(nil), g[:n]...), g[n:]
				for b.Loop() {
					FoldPoints(parallel.New(1), lo, hi, &c.x)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/point")
			})
		}
	}
}

// TestProcessorsChange: the number of processors that a program may use changes while it adds up, as a container's limit does.
func TestProcessorsChange(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(100 * time.Microsecond):
				runtime.GOMAXPROCS(2 + 6*(i%2))
			}
		}
	}()
	points, scalars := Row(1024), randomScalars(rand.New(rand.NewPCG(13, 14)), 1024)
	want := MSM(points, scalars)
	for range 40 {
		if got := MSM(points, scalars); !got.Equal(&want) {
			t.Fatal("another sum")
		}
	}
	close(end)
	<-ended
}
