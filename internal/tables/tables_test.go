package tables

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"testing"
)

// names returns the names that Eval knows.
func names() []string {
	var out []string
	for _, f := range functions {
		out = append(out, f.name)
	}
	return out
}

// oracle computes in floating point what a table entry approximates.
var oracle = map[string]func(float64) float64{
	"silu":    func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"gelu":    func(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) },
	"gelu_tanh": func(x float64) float64 {
		// ½(1 + tanh a) = 1/(1 + exp(−2a)), which does not cancel for negative a.
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	"tanh":     math.Tanh,
	"relu":     func(x float64) float64 { return math.Max(x, 0) },
	"exp":      math.Exp,
	"erf":      math.Erf,
	"sin":      math.Sin,
	"cos":      math.Cos,
	"softplus": func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
	"step": func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	},
}

func TestEvalAgainstFloat(t *testing.T) {
	scales := [][2]int{{12, 12}, {10, 12}, {8, 8}, {13, 15}, {4, 6}, {0, 0}, {3, -2}, {-2, 3}, {20, 14}, {40, 40}, {12, 24}, {60, 48}, {-32, 0}}
	const lo, hi = -1 << 15, 1<<15 - 1
	for _, fn := range names() {
		for _, s := range scales {
			got, err := Eval(fn, lo, hi, s[0], s[1])
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				want := oracle[fn](math.Ldexp(float64(lo+i), -s[0])) * math.Ldexp(1, s[1])
				want = math.Max(math.Min(want, MaxEntry), MinEntry)
				if d := math.Abs(float64(v) - want); !(d <= 0.5+1e-7) {
					t.Fatalf("%s, scales %v, x = %d: got %d, want %.9f", fn, s, lo+i, v, want)
				}
			}
		}
	}
}

// Pieces meet the function at both ends up to the rounding of ends and slopes, miss it between them by what its curvature makes, and are
// exact where the function is linear. Results have more than 16 bits.
func TestPieces(t *testing.T) {
	const in, low, out = 11, 4, 14
	for _, fn := range names() {
		if fn == "step" { // refused: no line joins what it jumps between
			if _, _, err := Pieces(fn, 0, 1, in, low, out); err == nil {
				t.Error("pieces of a step")
			}
			continue
		}
		lo, hi := int64(-1<<14), int64(1<<14-1) // ±128
		if fn == "exp" {
			lo, hi = -1<<14, 1<<10 // up to 2^11.5
		}
		values, slopes, err := Pieces(fn, lo, hi, in, low, out)
		if err != nil {
			t.Fatal(err)
		}
		f := func(x int64) float64 { return math.Ldexp(oracle[fn](math.Ldexp(float64(x), -in)), out) }
		for i := range values {
			start := (lo + int64(i)) << low
			bend := math.Abs((f(start)+f(start+1<<low))/2 - f(start+1<<(low-1)))
			for l := range int64(1 << low) {
				got, want := float64(values[i]+slopes[i]*l), f(start+l)
				if d := math.Abs(got - want); d > 1.1*bend+1<<(low-2)+1.1 {
					t.Fatalf("%s at %d: %v instead of %v", fn, start+l, got, want)
				}
			}
		}
	}
	values, slopes, err := Pieces("relu", -3, 2, 0, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range values {
		if want := max(0, int64(i)-3) << 8; values[i] != want || slopes[i] != min(8, want+8*int64(i/3)) {
			t.Errorf("piece %d of relu: %d, slope %d", i-3, values[i], slopes[i])
		}
	}
	if values, _, err = Pieces("relu", 1<<15, 1<<15, 0, 1, 10); err != nil || values[0] != 1<<26 {
		t.Errorf("%d, %v: results of more than 16 bits are cut", values[0], err)
	}
}

// TestPrecision compares the fixed-point functions with a big-integer evaluation: the documented error is 2^-52.
func TestPrecision(t *testing.T) {
	one := new(big.Int).Lsh(big.NewInt(1), precision)
	for k := int64(0); k < 20000; k += 37 { // x = k/512
		e := expBig(k)
		x := u128{lo: uint64(k)}.shl(64 - 9)
		near(t, "exp", k, expNeg(x), e)
		sum := new(big.Int).Add(one, e)
		near(t, "sigmoid", k, sigmoid(x, false), quoBig(one, sum))
		near(t, "1-sigmoid", k, sigmoid(x, true), quoBig(e, sum))
		if k%2 == 0 {
			half := expBig(k) // exp(−2·(k/2)/512)
			near(t, "tanh", k, tanh(x.shr(1)), quoBig(new(big.Int).Sub(one, half), new(big.Int).Add(one, half)))
		}
	}
}

// TestTail compares Q with its series at points that are not expansion points: x = i/1024.
func TestTail(t *testing.T) {
	scale := invSqrt2Pi()
	for i := int64(0); i < gridEnd*1024; i += 29 {
		density := mulBig(expSquare(i), scale)
		want := seriesTail(i, density)
		near(t, "Q", i, tail(u128{lo: uint64(i)}.shl(64-10)), want)
	}
}

// expSquare returns exp(−(i/1024)²/2) = exp(−(i²/2^12)/512), with the fraction in the exponent.
func expSquare(i int64) *big.Int {
	term := new(big.Int).Lsh(big.NewInt(1), precision)
	sum := new(big.Int)
	const halvings = 12
	for n := int64(1); term.Sign() != 0; n++ {
		sum.Add(sum, term)
		term.Mul(term, big.NewInt(-i*i))
		term.Quo(term, new(big.Int).Lsh(big.NewInt(n), 21+halvings))
	}
	for range halvings {
		sum = mulBig(sum, sum)
	}
	return sum
}

// seriesTail is the series of Q at i/1024.
func seriesTail(i int64, density *big.Int) *big.Int {
	term := new(big.Int).Lsh(big.NewInt(i), precision-10)
	sum := new(big.Int)
	for n := int64(1); term.Sign() != 0; n++ {
		sum.Add(sum, term)
		term.Mul(term, big.NewInt(i*i))
		term.Quo(term, big.NewInt((2*n+1)<<20))
	}
	half := new(big.Int).Lsh(big.NewInt(1), precision-1)
	return half.Sub(half, mulBig(sum, density))
}

func quoBig(a, b *big.Int) *big.Int {
	q := new(big.Int).Lsh(a, precision)
	return q.Quo(q, b)
}

// near requires an error below 2^-56.
func near(t *testing.T, name string, k int64, got uint64, want *big.Int) {
	t.Helper()
	d := new(big.Int).Lsh(new(big.Int).SetUint64(got), precision-62)
	d.Sub(d, want)
	if d.BitLen() > precision-56 {
		t.Fatalf("%s at %d: off by 2^%d", name, k, d.BitLen()-precision)
	}
}

// TestTies has values that lie exactly between two integers.
func TestTies(t *testing.T) {
	for _, c := range []struct {
		fn        string
		x         int64
		in, out   int
		wantEntry int64
	}{
		{"sigmoid", 0, 4, 0, 1}, {"relu", 1, 1, 0, 1}, {"relu", 3, 1, 0, 2}, {"relu", 5, 2, 1, 3}, {"relu", 1, 2, 0, 0},
		{"tanh", 0, 4, 8, 0}, {"gelu", 0, 4, 8, 0}, {"silu", 0, 4, 8, 0}, {"exp", 0, 4, 0, 1}, {"exp", 0, 4, -1, 1}, {"exp", 0, 4, -2, 0},
	} {
		got, err := Eval(c.fn, c.x, c.x, c.in, c.out)
		if err != nil || got[0] != c.wantEntry {
			t.Errorf("%s(%d·2^-%d)·2^%d = %v, want %d", c.fn, c.x, c.in, c.out, got, c.wantEntry)
		}
	}
}

func TestEvalRefuses(t *testing.T) {
	for _, c := range []struct {
		fn      string
		lo, hi  int64
		in, out int
	}{
		{"tan", 0, 1, 0, 0}, {"silu", 1, 0, 0, 0}, {"silu", 0, maxEntries, 0, 0}, {"silu", math.MinInt64, math.MaxInt64, 0, 0},
		{"silu", 0, 1, 61, 0}, {"silu", 0, 1, -33, 0}, {"silu", 0, 1, 0, 49}, {"silu", 0, 1, 0, -33},
	} {
		if _, err := Eval(c.fn, c.lo, c.hi, c.in, c.out); err == nil {
			t.Errorf("%+v accepted", c)
		}
	}
}

func TestExp(t *testing.T) {
	for _, unit := range []float64{1.0 / 4096, 0.1, 1, 1e-9, 37.5, math.SmallestNonzeroFloat64 * (1 << 53), math.MaxFloat64, 0.00390625 * math.Ln2} {
		for _, ebits := range []int{0, 8, 16, 30} {
			e, err := Exp(12, ebits, unit)
			if err != nil || e[0] != 1<<ebits {
				t.Fatalf("e[0] = %d, %v", e[0], err)
			}
			for d, v := range e {
				want := math.Exp(-float64(d)*unit) * math.Ldexp(1, ebits)
				if diff := math.Abs(float64(v) - want); !(diff <= 0.5+1e-6) {
					t.Fatalf("unit %g, ebits %d, d = %d: got %d, want %.9f", unit, ebits, d, v, want)
				}
			}
		}
	}
	if e, err := Exp(0, 4, 1); err != nil || len(e) != 1 {
		t.Fatalf("%d entries, %v; one expected", len(e), err)
	}
}

// TestPinned fixes the bits of some tables: circuits hold their digests.
func TestPinned(t *testing.T) {
	want := map[string]string{
		"silu":      "6365f5b400557581abdfc295cbafa077585d923416c28d0a984aa047b85c16a2",
		"sigmoid":   "b502a7e7aec97bea3c48c39db28e5b036d080c095e6dd6e0b0ef4747d075bbcd",
		"gelu":      "91e88fb7db46a28d11bdecf07e74b15e8b58aff7bd1146eecb669ab0d19f16de",
		"gelu_tanh": "bede038103420a486be426982a7b28e8176d5524df83b52a3329e9ca66436f93",
		"tanh":      "cab42a9141ceb930e805177ff491e41f30839e0891f293783fdaacf36a295f55",
		"relu":      "637790f9582380e72093249e19edcfcd0e582af0354a8ffe895f9ced9dfebd55",
		"exp":       "5c717da1a388271dd670e37933b5f44cb8f857b25fba4731721a54dbc494eca6",
		"erf":       "126a0431d02b85a18043431c518746a11cfe6f15a618ff2095051fce6315aa68",
		"sin":       "f54772bf220482f0c13c38a1e8265151a5777708414439f97aaeedc9318df466",
		"cos":       "732d6dd6544873db7d1473c803b425d3baf8cd396f7e007c4d7a4db94f9a5e6a",
		"step":      "de0866d3a78306304be114a9d137c0e6d3b039a0eff6858cb08855b91e662b6e",
		"softplus":  "67b95c83de19e623f4072ad4ccdfa8a777be10820768e85d5531de352dbb59d0",
	}
	for _, fn := range names() {
		v, err := Eval(fn, -1<<15, 1<<15-1, 12, 12)
		if err != nil {
			t.Fatal(err)
		}
		if got := digest(v); got != want[fn] {
			t.Errorf("%s changed: %s", fn, got)
		}
	}
	for _, c := range []struct {
		dbits, ebits int
		unit         float64
		want         string
	}{
		{16, 16, 1.0 / 4096, "b768d70c0dad3eaeb2a9a88a979d4e154c9b88b8e826efcd9a0997f18eca402d"},
		{12, 15, 0.00390625 * 0.7, "3e54e02eaeb3e3dbd16e9972c2abb2017bc5469b1f09b034d8abe8364396d8ae"},
	} {
		e, err := Exp(c.dbits, c.ebits, c.unit)
		if got := digest(e); err != nil || got != c.want {
			t.Errorf("exp table %v changed: %s, %v", c, got, err)
		}
	}
}

func digest(v []int64) string {
	h := sha256.New()
	for _, x := range v {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(x)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func FuzzEval(f *testing.F) {
	f.Add(uint8(0), int64(-100), int64(100), 12, 12)
	f.Add(uint8(6), int64(1)<<39, int64(1)<<39+5, -32, 48)
	f.Fuzz(func(t *testing.T, fn uint8, lo, n int64, in, out int) {
		v, err := Eval(names()[int(fn)%len(functions)], lo, lo+n%1000, in, out)
		if err != nil {
			return
		}
		for _, x := range v {
			if x < MinEntry || x > MaxEntry {
				t.Fatalf("entry %d", x)
			}
		}
	})
}

func BenchmarkEval(b *testing.B) {
	for _, fn := range names() {
		b.Run(fn, func(b *testing.B) {
			for b.Loop() {
				_, _ = Eval(fn, -1<<15, 1<<15-1, 12, 12)
			}
		})
	}
}

func BenchmarkExp(b *testing.B) {
	for b.Loop() {
		if _, err := Exp(16, 16, 1.0/4096); err != nil {
			b.Fatal(err)
		}
	}
}
