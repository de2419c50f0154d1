package group

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

func TestEncodeDecode(t *testing.T) {
	var neutral Affine
	points := append(slices.Clone(Row(16)), neutral)
	for _, p := range slices.Clone(points) {
		var n Affine
		points = append(points, *n.Neg(&p))
	}
	for _, p := range points {
		b := Encode([]byte{7}, &p)
		if len(b) != 1+Bytes || b[0] != 7 {
			t.Fatalf("encoding of %d bytes", len(b)-1)
		}
		got, err := Decode(b[1:])
		if err != nil || !got.Equal(&p) {
			t.Fatalf("round trip: %v", err)
		}
	}
}

// notPoints are encodings of no point.
func notPoints() map[string][]byte {
	g := H()
	good := Encode(nil, &g)
	raw := g.RawBytes()
	with := func(f func(b []byte)) []byte {
		b := slices.Clone(good)
		f(b)
		return b
	}
	q := fp.Modulus()
	over := new(big.Int).Add(q, g.X.BigInt(new(big.Int))).FillBytes(make([]byte, 32)) // x + q < 2^255
	off := slices.Clone(good)                                                         // the abscissa of no point
	for off[31]++; ; off[31]++ {
		if _, err := Decode(off); err != nil {
			break
		}
	}
	return map[string][]byte{
		"off the curve": off,
		"empty":         nil, "short": good[:31], "long": append(slices.Clone(good), 0), "uncompressed": raw[:],
		"uncompressed, cut":    raw[:32],
		"zeros":                make([]byte, 32),
		"infinity, garbage":    with(func(b []byte) { clear(b); b[0], b[31] = 0x40, 1 }),
		"infinity, other flag": with(func(b []byte) { clear(b); b[0] = 0xc0 }),
		"infinity, high bit":   with(func(b []byte) { clear(b); b[0] = 0x60 }),
		"flag of infinity":     with(func(b []byte) { b[0] = b[0]&0x3f | 0x40 }),
		"no flag":              with(func(b []byte) { b[0] &= 0x3f }),
		"x = q":                with(func(b []byte) { q.FillBytes(b); b[0] |= 0x80 }),
		"x + q":                with(func(b []byte) { copy(b, over); b[0] |= 0x80 }),
		"x = 2^254 - 1":        with(func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, 32)) }),
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, b := range notPoints() {
		if _, err := Decode(b); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	// Half of the abscissas are on no point.
	refused := 0
	for x := range byte(64) {
		b := make([]byte, 32)
		b[0], b[31] = 0x80, x
		if p, err := Decode(b); err != nil {
			refused++
		} else if !p.IsOnCurve() {
			t.Fatal("off the curve")
		}
	}
	if refused < 16 || refused > 48 {
		t.Fatalf("%d of 64 abscissas refused", refused)
	}
}

// TestDecodeMany: any number of points at a time is read as one at a time is, neutral ones and such with the other ordinate among them;
// and an encoding of no point is refused wherever it stands.
func TestDecodeMany(t *testing.T) {
	points := append(slices.Clone(Row(512)), Affine{})
	for i := range points {
		if i%3 == 0 {
			points[i].Neg(&points[i])
		}
	}
	for _, n := range []int{0, 1, decodeMany - 1, decodeMany, 7, rootsBatch, rootsBatch + 1, rootsBatch + decodeMany, len(points)} {
		var b []byte
		want := points[len(points)-n:]
		for i := range want {
			b = Encode(b, &want[i])
		}
		got := slices.Repeat([]Affine{U()}, n) // what memory held before is gone
		require.NoError(t, DecodeMany(got, b))
		require.Equal(t, want, got)
		for name, bad := range notPoints() {
			if n == 0 || len(bad) != Bytes {
				continue
			}
			for _, at := range []int{0, n / 2, n - 1} {
				wrong := slices.Clone(b)
				copy(wrong[Bytes*at:], bad)
				require.ErrorIs(t, DecodeMany(got, wrong), ErrEncoding, "%s, %d of %d", name, at, n)
			}
		}
		for _, odd := range [][]byte{append(slices.Clone(b), 0), make([]byte, Bytes*(n+1))} {
			require.ErrorIs(t, DecodeMany(got, odd), ErrEncoding)
		}
	}
}

// maxDecode is what decoding one point may allocate, whatever it is given: an error, and what the runtime allocates meanwhile.
const maxDecode = 16 << 10

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzDecode: what is accepted is on the curve and has one encoding, and is the same among many.
func FuzzDecode(f *testing.F) {
	g := H()
	f.Add(Encode(nil, &g))
	f.Add(Encode(nil, new(Affine)))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Affine
		var err error
		if n := allocated(func() { p, err = Decode(b) }); n > maxDecode {
			t.Fatalf("%d bytes allocated for %d bytes", n, len(b))
		}
		many := make([]Affine, decodeMany)
		if got := DecodeMany(many, bytes.Repeat(b, len(many))); (got == nil) != (err == nil) || err == nil && many[len(many)-1] != p {
			t.Fatalf("%x among many: %v, alone: %v", b, got, err)
		}
		if err != nil {
			return
		}
		if !p.IsOnCurve() || !bytes.Equal(Encode(nil, &p), b) {
			t.Fatalf("accepted %x", b)
		}
	})
}

// TestGeneratorsPinned fixes the protocol's generators: another value is another protocol version.
func TestGeneratorsPinned(t *testing.T) {
	h := sha256.New()
	for _, p := range slices.Concat([]Affine{H(), U()}, Row(2048)[:4], Row(4)[:1], Pad(3), Vec(0, 2), Vec(1, 2)) {
		h.Write(Encode(nil, &p))
	}
	const want = "80d61510a0f252b78587a953e9836764ec69b6d40a3dad828c2a5d846ce31cdd"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Fatalf("generators changed: %s", got)
	}
}

func TestGeneratorsDistinct(t *testing.T) {
	seen := map[Affine]bool{}
	for _, p := range slices.Concat([]Affine{H(), U()}, Row(64), Row(128), Pad(64), Vec(0, 64), Vec(1, 64), Vec(11, 8)) {
		var n Affine
		n.Neg(&p)
		if p.IsInfinity() || !p.IsOnCurve() || seen[p] || seen[n] {
			t.Fatal("bad or repeated generator")
		}
		seen[p] = true
	}
}

func TestGeneratorsMemo(t *testing.T) {
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			for i, p := range Generators("test/memo", n, 2*n) {
				if want := slowly("test/memo", n+i); !p.Equal(&want) {
					t.Error("wrong generator")
				}
			}
		})
	}
	wg.Wait()
}

// Indices of generators that do not exist.
func TestNegativeGenerators(t *testing.T) {
	for _, c := range [][2]int{{-1, 2}, {2, -1}, {-1, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("generators from %d, %d of them", c[0], c[1])
				}
			}()
			Generators("test/limits", c[0], c[1])
		}()
	}
}

func TestMSM(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var minusOne field.Element
	minusOne.SetInt64(-1)
	for _, n := range []int{0, 1, 2, 3, 5, 33, 200, 700} {
		points, scalars := slices.Clone(Row(1024)[:n]), randomScalars(r, n)
		for i := range points {
			switch r.IntN(12) {
			case 0:
				points[i] = Affine{}
			case 1:
				points[i] = points[0]
			case 2:
				points[i].Neg(&points[0])
			}
			switch r.IntN(8) {
			case 0:
				scalars[i] = field.Element{}
			case 1:
				scalars[i] = minusOne
			}
		}
		want := neutral()
		for i := range points {
			want.AddAssign(mulBig(&points[i], scalars[i].BigInt(new(big.Int))))
		}
		if got := MSM(points, scalars); !got.Equal(&want) {
			t.Fatalf("n = %d", n)
		}
		for _, threads := range []int{1, 4} {
			if got := MSMOn(parallel.New(threads), points, scalars); !got.Equal(&want) {
				t.Fatalf("n = %d, threads = %d", n, threads)
			}
		}
	}
}

// multiple returns s·P of a base P.
func multiple(f *fixedBase, s *field.Element) Jac {
	acc := neutral()
	f.mulAdd(&acc, s)
	return acc
}

func TestFixedBase(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	h := H()
	f := newFixedBase(&h)
	scalars := append(randomScalars(r, 20), field.Element{}, field.FromInt64(1), field.FromInt64(-1), field.FromInt64(combHalf),
		field.FromInt64(combHalf+1), field.FromInt64(1<<combBits-1), field.Pow2(250), field.Pow2(-1))
	for _, s := range scalars {
		got, want := multiple(f, &s), mulBig(&h, s.BigInt(new(big.Int)))
		if !got.Equal(want) {
			t.Fatalf("%s·H", s.String())
		}
		if alt := Mul(&h, &s); !alt.Equal(want) {
			t.Fatalf("Mul: %s·H", s.String())
		}
	}
}

func TestFixedBaseOfNeutral(t *testing.T) {
	f := newFixedBase(new(Affine))
	s := field.FromInt64(12345)
	if got := multiple(f, &s); !got.Z.IsZero() {
		t.Fatal("a multiple of the neutral element")
	}
}

func BenchmarkDecode(b *testing.B) {
	h := H()
	e := Encode(nil, &h)
	for b.Loop() {
		_, _ = Decode(e)
	}
}

// BenchmarkGenerator derives a run of generators; b.N counts generators.
func BenchmarkGenerator(b *testing.B) {
	out := make([]Affine, rootsBatch)
	for i := 0; i < b.N; i += rootsBatch {
		newSearch("bench", i, min(rootsBatch, b.N-i)).run(out, make([]uint8, rootsBatch))
	}
}

func BenchmarkFixedBase(b *testing.B) {
	h := H()
	s := randomScalar(rand.New(rand.NewPCG(1, 1)))
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			newFixedBase(&h)
		}
	})
	f := newFixedBase(&h)
	b.Run("mul", func(b *testing.B) {
		for b.Loop() {
			multiple(f, &s)
		}
	})
}

func BenchmarkMSM(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{64, 256, 1024, 4096} {
		points, scalars := Row(4096)[:n], randomScalars(r, n)
		for _, threads := range []int{1, 4} {
			b.Run(fmt.Sprintf("n=%d/threads=%d", n, threads), func(b *testing.B) {
				for b.Loop() {
					MSMOn(parallel.New(threads), points, scalars)
				}
			})
		}
	}
}
