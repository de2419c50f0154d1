package group

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"

	"github.com/zkllmc/zkllmc/internal/field"
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

func TestDecodeRefuses(t *testing.T) {
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
	bad := map[string][]byte{
		"empty": nil, "short": good[:31], "long": append(slices.Clone(good), 0), "uncompressed": raw[:],
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
	for name, b := range bad {
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

// FuzzDecode: what is accepted is on the curve and has one encoding.
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
	const want = "f4808945b85c726c0098071e042cabf3aded3b70d04fe1228514faa978205b78"
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
				if want := generator("test/memo", n+i); !p.Equal(&want) {
					t.Error("wrong generator")
				}
			}
		})
	}
	wg.Wait()
}

func TestCache(t *testing.T) {
	Generators("test/cache", 0, 50)
	var buf bytes.Buffer
	if err := SaveGenerators(&buf); err != nil {
		t.Fatal(err)
	}
	file := buf.Bytes()
	memo.Lock()
	saved := memo.byTag
	memo.byTag = map[string][]Affine{}
	memo.Unlock()
	if err := LoadGenerators(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	for tag, want := range saved {
		if !slices.Equal(memo.byTag[tag], want) {
			t.Fatalf("%s differs", tag)
		}
	}
	digest := [32]byte(file[len(file)-32:])
	if err := LoadPinnedGenerators(bytes.NewReader(file), digest); err != nil {
		t.Fatal(err)
	}
	digest[3] ^= 1
	if LoadPinnedGenerators(bytes.NewReader(file), digest) == nil {
		t.Fatal("wrong digest accepted")
	}
	for i := 0; i < len(file); i += 1 + len(file)/257 {
		b := slices.Clone(file)
		b[i] ^= 1
		if LoadGenerators(bytes.NewReader(b)) == nil || LoadGenerators(bytes.NewReader(file[:i])) == nil {
			t.Fatalf("damage at %d accepted", i)
		}
	}
	if LoadGenerators(bytes.NewReader(append(slices.Clone(file), 0))) == nil {
		t.Fatal("trailing byte accepted")
	}
}

// TestCacheForged gives a well-formed file with its own digest whose points are not the generators of its tag.
func TestCacheForged(t *testing.T) {
	b := append([]byte(nil), cacheMagic[:]...)
	b = appendString(b, dst)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, "test/forged")
	b = binary.BigEndian.AppendUint32(b, 2)
	for _, p := range Vec(7, 2) {
		raw := p.RawBytes()
		b = append(b, raw[:]...)
	}
	d := sha256.Sum256(b)
	if LoadGenerators(bytes.NewReader(append(b, d[:]...))) == nil {
		t.Fatal("forged cache accepted")
	}
	if len(memo.byTag["test/forged"]) != 0 {
		t.Fatal("refused points were kept")
	}
}

// What loading a cache may allocate: a tag without points takes seven bytes in a file and six words in memory, which double while the
// list grows; the buffers, the points that are derived for comparison, and what the runtime allocates meanwhile.
const (
	cacheSlack   = 128 << 10
	cachePerByte = 32
)

// cacheFile is a valid cache of the tags "fuzz/a" and "fuzz/b", without its digest.
func cacheFile() []byte {
	b := appendString(append([]byte(nil), cacheMagic[:]...), dst)
	b = binary.BigEndian.AppendUint32(b, 2)
	for _, tag := range []string{"fuzz/a", "fuzz/b"} {
		b = binary.BigEndian.AppendUint32(appendString(b, tag), 3)
		for _, p := range Generators(tag, 0, 3) {
			raw := p.RawBytes()
			b = append(b, raw[:]...)
		}
	}
	return b
}

// FuzzLoadGenerators changes a byte of a valid cache, cuts it and lengthens it; sealed adds the digest that belongs to it, as whoever can
// write the file can. Memory follows the file, not its counts. What is accepted is a cache of generators, and a refused file changes
// nothing.
func FuzzLoadGenerators(f *testing.F) {
	valid := cacheFile()
	f.Add(uint16(0), byte(0), uint16(0), []byte{}, true)
	f.Add(uint16(0), byte(0), uint16(0), []byte{}, false)
	f.Add(uint16(0), byte(0), uint16(len(valid)), appendString(valid[:8:8], dst), false)
	for at := 0; at < len(valid); at += 11 {
		f.Add(uint16(at), byte(0x81), uint16(0), []byte{}, true)
		f.Add(uint16(0), byte(0), uint16(at), []byte{0xff, 0xff, 0xff, 0xff}, true)
	}
	f.Fuzz(func(t *testing.T, at uint16, with byte, cut uint16, more []byte, sealed bool) {
		b := append(slices.Clone(valid[:len(valid)-int(cut)%(len(valid)+1)]), more...)
		if len(b) > 0 {
			b[int(at)%len(b)] ^= with
		}
		honest := bytes.Equal(b, valid)
		if sealed {
			d := sha256.Sum256(b)
			b = append(b, d[:]...)
		}
		tags := len(memo.byTag)
		var err error
		if n := allocated(func() { err = LoadGenerators(bytes.NewReader(b)) }); n > cacheSlack+cachePerByte*uint64(len(b)) {
			t.Fatalf("%d bytes allocated for a cache of %d bytes", n, len(b))
		}
		if honest && sealed && err != nil {
			t.Fatal(err)
		}
		if err != nil && len(memo.byTag) != tags {
			t.Fatal("a refused cache left something behind")
		}
		for _, tag := range []string{"fuzz/a", "fuzz/b"} {
			if !slices.Equal(memo.byTag[tag][:3], Generators(tag, 0, 3)) {
				t.Fatal("a cache replaced derived generators")
			}
		}
	})
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
			if got := MSMThreads(points, scalars, threads); !got.Equal(&want) {
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

func BenchmarkGenerator(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		generator("bench", i)
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
					MSMThreads(points, scalars, threads)
				}
			})
		}
	}
}
