package field

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"testing"
)

// fromBig is the oracle's conversion.
func fromBig(v *big.Int) Element {
	var e Element
	e.SetBigInt(v)
	return e
}

func TestModulusWords(t *testing.T) {
	want := new(big.Int)
	for _, w := range []uint64{p3, p2, p1, p0} {
		want.Lsh(want, 64).Add(want, new(big.Int).SetUint64(w))
	}
	if Modulus().Cmp(want) != 0 {
		t.Fatal("the words are not the modulus")
	}
}

func TestConstants(t *testing.T) {
	two, one := FromInt64(2), One()
	if p := *new(Element).Mul(&two, &Half); !p.Equal(&one) {
		t.Fatal("2·Half ≠ 1")
	}
	for _, k := range []int{0, 1, 5, 63, 64, 200, 254, 1000} {
		if got, want := Pow2(k), fromBig(new(big.Int).Lsh(big.NewInt(1), uint(k))); !got.Equal(&want) {
			t.Fatalf("Pow2(%d)", k)
		}
		up, down := Pow2(k), Pow2(-k)
		if up.Mul(&up, &down); !up.Equal(&one) {
			t.Fatalf("Pow2(-%d)", k)
		}
	}
	three := FromInt64(3)
	for i, p := range Powers(three, 9) {
		if want := FromInt64(int64(math.Pow(3, float64(i)))); !p.Equal(&want) {
			t.Fatalf("3^%d", i)
		}
	}
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if got, want := FromInt64(v), fromBig(big.NewInt(v)); !got.Equal(&want) {
			t.Fatalf("FromInt64(%d)", v)
		}
	}
}

func TestShortChallenge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	scale := Pow2(-128)
	for i := range 100 {
		var b [16]byte
		for k := range b {
			b[k] = byte(r.Uint32())
			if i == 0 {
				b[k] = 0xff
			}
		}
		x := new(big.Int).SetBytes(b[:])
		x.And(x, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), ShortBits), big.NewInt(1)))
		want := fromBig(x)
		want.Mul(&want, &scale)
		got := ShortChallenge(b)
		if !got.Equal(&want) {
			t.Fatalf("%x: not x·2^-128", b)
		}
		if got[0] != 0 || got[1] != 0 {
			t.Fatal("low limbs are not zero")
		}
	}
}

func TestUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := WideBytes; n < 70; n++ {
		b := make([]byte, n)
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		if got, want := Uniform(b), fromBig(new(big.Int).SetBytes(b)); !got.Equal(&want) {
			t.Fatalf("%d bytes", n)
		}
	}
}

func TestDecode(t *testing.T) {
	p := Modulus()
	minusOne := FromInt64(-1)
	if got, err := Decode(new(big.Int).Sub(p, big.NewInt(1)).FillBytes(make([]byte, 32))); err != nil || !got.Equal(&minusOne) {
		t.Fatal("p − 1 refused")
	}
	for _, b := range [][]byte{nil, make([]byte, 31), make([]byte, 33), p.FillBytes(make([]byte, 32)),
		bytes.Repeat([]byte{0xff}, 32), new(big.Int).Lsh(p, 1).FillBytes(make([]byte, 32))} {
		if _, err := Decode(b); err == nil {
			t.Errorf("%x accepted", b)
		}
	}
}

// maxDecode is what decoding one element may allocate, whatever it is given: an error, and what the runtime allocates meanwhile.
const maxDecode = 16 << 10

// FuzzDecode: 32 bytes are accepted if they are less than p, and nothing else is.
func FuzzDecode(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Add(Modulus().Bytes())
	f.Add(bytes.Repeat([]byte{0xff}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := Decode(b)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > maxDecode {
			t.Fatalf("%d bytes allocated for %d bytes", n, len(b))
		}
		if err == nil && !bytes.Equal(Encode(nil, &e), b) {
			t.Fatalf("accepted %x", b)
		}
		if canonical := len(b) == Bytes && new(big.Int).SetBytes(b).Cmp(Modulus()) < 0; canonical != (err == nil) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

func TestBatchInvert(t *testing.T) {
	e := randomElements(rand.New(rand.NewPCG(1, 1)), 20)
	e[3] = Element{}
	for i, v := range BatchInvert(e) {
		if want := *new(Element).Inverse(&e[i]); !v.Equal(&want) {
			t.Fatalf("inverse %d", i)
		}
	}
	if len(BatchInvert(nil)) != 0 {
		t.Fatal("inverses of nothing")
	}
}
