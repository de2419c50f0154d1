package gadget_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// wide declares v = 2^shift·x + y + base for fresh weights x, y, and returns the assignment for wanted values of v.
type wide struct {
	v, x, y circuit.ID
	shift   int
	base    int64
}

func newWide(b *circuit.Builder, n, xbits, ybits, shift int, base int64) wide {
	shape := []int{n}
	w := wide{x: b.Weight("x", xbits, n), y: b.Weight("y", ybits, n), shift: shift, base: base}
	terms := []circuit.Term{circuit.Scaled(b, 1<<shift, w.x), circuit.Scaled(b, 1, w.y)}
	if base != 0 {
		terms = append(terms, circuit.Ones(base, shape))
	}
	w.v = b.Virtual("v", shape, terms...)
	return w
}

// weights makes weights that give random and extreme values, and returns these.
func (w wide) weights(rng *rand.Rand, c *circuit.Circuit) (map[circuit.ID]integer.Tensor, []int64) {
	n := c.Tensor(w.v).Shape[0]
	m := map[circuit.ID]integer.Tensor{}
	v := make([]int64, n)
	for _, id := range []circuit.ID{w.x, w.y} {
		t := c.Tensor(id)
		cells := make([]int64, n)
		for i := range cells {
			switch i {
			case 0:
				cells[i] = t.Lo
			case 1:
				cells[i] = t.Hi
			case 2:
			case 3:
				cells[i] = -1
			default:
				cells[i] = t.Lo + rng.Int64N(t.Hi-t.Lo+1)
			}
		}
		m[id] = integer.Tensor{Shape: t.Shape, V: cells}
	}
	for i := range v {
		v[i] = m[w.x].V[i]<<w.shift + m[w.y].V[i] + w.base
	}
	return m, v
}

// rescale is the documented meaning of a rescale, with unbounded integers.
func rescale(v int64, shift int, lo, hi int64) int64 {
	q := big.NewInt(v)
	if shift > 0 {
		q.Add(q, new(big.Int).Lsh(big.NewInt(1), uint(shift-1)))
		q.Div(q, new(big.Int).Lsh(big.NewInt(1), uint(shift))) // Euclidean: the floor for a positive divisor
	}
	if q.Cmp(big.NewInt(lo)) < 0 {
		return lo
	}
	if q.Cmp(big.NewInt(hi)) > 0 {
		return hi
	}
	return q.Int64()
}

func TestRescale(t *testing.T) {
	const lo, hi = -1 << 15, 1<<15 - 1
	cases := []struct {
		xbits, ybits, up, shift int
		lo, hi                  int64
		clamps                  bool // as far as bounds say
	}{
		{4, 3, 2, 3, -8, 7, false},      // plain
		{4, 3, 2, 1, -8, 7, true},       // clamp, one limb
		{4, 3, 2, 0, -8, 7, true},       // clamp, virtual limb
		{4, 3, 2, 0, -64, 63, false},    // a copy
		{4, 3, 2, 1, 0, 7, true},        // clamp at zero
		{4, 3, 2, 3, 2, 5, true},        // a range without zero
		{16, 16, 16, 20, lo, hi, false}, // wide remainder, plain
		{16, 16, 16, 18, lo, hi, false}, // of another width
		{16, 16, 16, 15, lo, hi, true},  // clamp, of one bit beyond the range
		{16, 16, 16, 8, lo, hi, true},   // wide excess
		{16, 16, 16, 0, lo, hi, true},   // virtual lowest limb with committed ones above
		{16, 16, 30, 4, lo, hi, true},   // three limbs
		{16, 16, 44, 0, lo, hi, true},   // the widest
		{16, 16, 44, 50, lo, hi, false}, // a remainder of four limbs
		{16, 16, 46, 36, lo, hi, true},  // an excess of three limbs behind a wide remainder
		{16, 16, 46, 24, lo, hi, true},  // and of four

		{16, 16, 16, 8, -1 << 24, 1<<24 - 1, false}, // a wide result, plain
		{16, 16, 16, 0, -1 << 32, 1<<32 - 1, false}, // a copy, of three limbs
		{16, 16, 30, 6, -1 << 40, 1<<40 - 1, false}, // of other limbs
		{16, 16, 16, 8, -1 << 23, 1<<23 - 1, true},  // a clamp that the least cells alone need
		{16, 16, 16, 0, -1 << 31, 1<<31 - 1, true},  // likewise without a shift
		{16, 16, 16, 4, -1 << 20, 1<<20 - 1, true},  // of 21 bits, the top limb narrower; clamp
		{16, 16, 16, 0, -1 << 16, 1<<16 - 1, true},  // clamp, virtual lowest limb of the excess
		{16, 16, 30, 4, -1 << 25, 1<<25 - 1, true},  // three limbs of excess
		{16, 16, 44, 19, -1 << 34, 1<<34 - 1, true}, // three limbs of the result, with clamp
		{16, 16, 16, 9, 0, 1<<17 - 1, true},         // without sign
		{16, 16, 16, 3, 1 << 17, 3<<17 - 1, true},   // a range without zero
		{16, 16, 16, 12, -1 << 18, 1<<17 - 1, true}, // of other ends
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b := witnesstest.Builder()
			w := newWide(b, 12, c.xbits, c.ybits, c.up, 0)
			y := gadget.Rescale(b, "y", w.v, c.shift, c.lo, c.hi)
			in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
			if classes, err := in.C.Classes(); err != nil || len(classes) == 1 != c.clamps {
				t.Fatalf("classes %v, %v", classes, err)
			}
			var v []int64
			in.Weights, v = w.weights(rand.New(rand.NewPCG(1, 1)), in.C)
			a := in.Honest(t)
			for i, got := range a.Tensor(y).V {
				if want := rescale(v[i], c.shift, c.lo, c.hi); got != want {
					t.Errorf("rescale of %d is %d, want %d", v[i], got, want)
				}
			}
			in.RefusesCells(t, a, 4)
			in.RefusesStaged(t, 4, 1, -1)
		})
	}
}

// TestClampTooFar refuses a range that is so far from the quotients that a limb's weight would not be a number of 64 bits.
func TestClampTooFar(t *testing.T) {
	for shift, ok := range map[int]bool{30: true, 31: true, 50: false} {
		b := witnesstest.Builder()
		gadget.Rescale(b, "y", newWide(b, 4, 4, 4, 50, 0).v, shift, 1<<30, 1<<30+5)
		if _, err := b.Finish(); (err == nil) != ok {
			t.Errorf("shift %d: %v", shift, err)
		}
	}
}

// TestClampUnique tries every witness of a small clamp.
func TestClampUnique(t *testing.T) {
	b := witnesstest.Builder()
	x := b.Weight("x", 5, 1)
	y := gadget.Rescale(b, "y", x, 1, -2, 1)
	c := witnesstest.Finish(t, b)
	ids, checker := witnesstest.Witnesses(c), witness.NewChecker(c)
	if len(ids) != 3 || ids[0] != y {
		t.Fatalf("witness tensors %v, want y, its class and one excess", ids)
	}
	for v := int64(-16); v < 16; v++ {
		found := 0
		for yv := int64(-3); yv <= 2; yv++ {
			for class := int64(-2); class <= 2; class++ {
				for e := int64(-8); e <= 8; e++ {
					cells := map[circuit.ID]int64{x: v, ids[0]: yv, ids[1]: class, ids[2]: e}
					if checker.Field(func(id circuit.ID) []*big.Int { return []*big.Int{big.NewInt(cells[id])} }) == nil {
						found++
						if want := rescale(v, 1, -2, 1); yv != want {
							t.Errorf("clamp of %d may be %d, want %d", v, yv, want)
						}
					}
				}
			}
		}
		if found != 1 {
			t.Errorf("clamp of %d has %d witnesses, want 1", v, found)
		}
	}
}

// TestRemainderAlone shows what the range of y is for: with y = (v − rem)/2^s mod p every remainder would do.
func TestRemainderAlone(t *testing.T) {
	b := witnesstest.Builder()
	x := b.Weight("x", 8, 1)
	y := gadget.Rescale(b, "y", x, 4, -8, 8)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b), Weights: map[circuit.ID]integer.Tensor{x: witnesstest.Cells([]int{1}, 37)}}
	a := in.Honest(t)
	p := field.Modulus()
	inv := new(big.Int).ModInverse(big.NewInt(16), p)
	for rem := range int64(16) {
		lie := new(big.Int).Mul(big.NewInt(37+8-rem), inv)
		err := witness.CheckField(in.C, witnesstest.With(a, y, 0, lie.Mod(lie, p)))
		if honest := (37+8-rem)%16 == 0; honest != (err == nil) {
			t.Errorf("remainder %d: %v", rem, err)
		} else if !honest && !strings.Contains(err.Error(), "lookup of y ") {
			t.Errorf("remainder %d is refused by %v, want the range of y", rem, err)
		}
	}
}

func TestTables(t *testing.T) {
	f, err := tables.Eval("silu", -40, 39, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ xbits, shift int }{{4, 0}, {4, 1}, {8, 1}, {8, 0}} {
		b := witnesstest.Builder()
		w := newWide(b, 10, c.xbits, 3, 2, 0)
		x, y := gadget.RescaleTable(b, "act", w.v, c.shift, -40, 39, "silu", 3, 4)
		z := gadget.Table(b, "again", x, "silu", 3, 4)
		in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
		var v []int64
		in.Weights, v = w.weights(rand.New(rand.NewPCG(3, 1)), in.C)
		a := in.Honest(t)
		for i := range v {
			q := rescale(v[i], c.shift, -40, 39)
			if gx, gy, gz := a.Tensor(x).V[i], a.Tensor(y).V[i], a.Tensor(z).V[i]; gx != q || gy != f[q+40] || gz != gy {
				t.Errorf("silu of %d is %d, %d, %d, want %d, %d", v[i], gx, gy, gz, q, f[q+40])
			}
		}
		in.RefusesCells(t, a, 4)
		in.RefusesStaged(t, 4, 1, -1)
	}
}

// TestPiecewiseLinear compares with the definition, piece and offset, behind rescales with and without clamp, and lies about every
// committed cell.
func TestPiecewiseLinear(t *testing.T) {
	const fn, in, out = "silu", 7, 12
	for _, c := range []struct {
		xbits, up, shift int
		lo, hi           int64
		low              int
	}{
		{9, 2, 2, -512, 511, 3},   // all that v may be
		{9, 2, 0, -1024, 1023, 4}, // a copy
		{9, 4, 1, -512, 511, 3},   // clamped
		{8, 6, 0, -512, 511, 1},   // clamped, the excess' lowest limb virtual
		{9, 30, 24, 0, 1023, 5},   // wide excess and remainder, no arguments below zero
		{9, 30, 25, -768, 511, 8}, // five pieces
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			values, slopes, err := tables.Pieces(fn, c.lo>>c.low, c.hi>>c.low, in, c.low, out)
			if err != nil {
				t.Fatal(err)
			}
			b := witnesstest.Builder()
			w := newWide(b, 12, c.xbits, min(c.up+1, 16), c.up, 0)
			y := gadget.PiecewiseLinear(b, "y", w.v, c.shift, c.lo, c.hi, c.low, fn, in, out)
			inst := witnesstest.Instance{C: witnesstest.Finish(t, b)}
			var v []int64
			inst.Weights, v = w.weights(rand.New(rand.NewPCG(8, 1)), inst.C)
			a := inst.Honest(t)
			for i, got := range a.Tensor(y).V {
				x := rescale(v[i], c.shift, c.lo, c.hi)
				piece := (x - c.lo) / (1 << c.low)
				if want := values[piece] + slopes[piece]*((x-c.lo)%(1<<c.low)); got != want {
					t.Errorf("%s of %d is %d, want %d", fn, v[i], got, want)
				}
			}
			inst.RefusesCells(t, a, 4)
			inst.RefusesStaged(t, 4, 1, -1)
		})
	}
}

// TestPiecewiseUnique tries every witness of a small function in pieces, at every argument, saturated ones too.
func TestPiecewiseUnique(t *testing.T) {
	b := witnesstest.Builder()
	x := b.Weight("x", 4, 1)
	y := gadget.PiecewiseLinear(b, "y", x, 0, -4, 3, 1, "silu", 1, 2)
	c := witnesstest.Finish(t, b)
	values, slopes, err := tables.Pieces("silu", -2, 1, 1, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	ids, checker := witnesstest.Witnesses(c), witness.NewChecker(c)
	if len(ids) != 5 {
		t.Fatalf("%d witness tensors, want value, slope, two digits and a class", len(ids))
	}
	cells := map[circuit.ID]int64{}
	var try func(rest []circuit.ID) []int64
	try = func(rest []circuit.ID) (found []int64) {
		if len(rest) == 0 {
			if checker.Field(func(id circuit.ID) []*big.Int { return []*big.Int{big.NewInt(cells[id])} }) == nil {
				found = append(found, cells[ids[0]]+cells[ids[1]]*cells[ids[2]])
			}
			return found
		}
		for v := c.Tensor(rest[0]).Lo - 1; v <= c.Tensor(rest[0]).Hi+1; v++ {
			cells[rest[0]] = v
			found = append(found, try(rest[1:])...)
		}
		return found
	}
	for v := int64(-8); v < 8; v++ {
		cells[x] = v
		q := rescale(v, 0, -4, 3)
		want := values[(q+4)/2] + slopes[(q+4)/2]*((q+4)%2)
		if found := try(ids); len(found) != 1 || found[0] != want {
			t.Errorf("of %d there are the values %v, want %d alone", v, found, want)
		}
	}
	if c.Tensor(y).Kind != circuit.Virtual {
		t.Error("the result is committed")
	}
}

func TestRsqrt(t *testing.T) {
	for _, c := range []struct {
		bits     int
		num, eps int64
	}{{6, 1 << 20, 1}, {6, 1 << 20, 1 << 19}, {16, 1 << 40, 3}, {16, 1<<50 + 12345, 1}, {3, 5, 1}, {16, 7, 2}, {8, 1 << 60, 1}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b := witnesstest.Builder()
			const n = 8
			x := b.Weight("x", c.bits, n)
			s := b.Virtual("s", []int{n}, circuit.Product(b, 1, x, x))
			r := gadget.Rsqrt(b, "r", s, c.num, c.eps)
			in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
			w := wide{v: s, x: x, y: x}
			in.Weights, _ = w.weights(rand.New(rand.NewPCG(5, 1)), in.C)
			a := in.Honest(t)
			for i, got := range a.Tensor(r).V {
				S := big.NewInt(a.Tensor(s).V[i] + c.eps)
				at := func(r int64) int {
					v := new(big.Int).Mul(big.NewInt(r), big.NewInt(r))
					return v.Mul(v, S).Cmp(big.NewInt(c.num))
				}
				if at(got) > 0 || at(got+1) <= 0 {
					t.Errorf("rsqrt of %v is %d", S, got)
				}
				bound, _ := gadget.NormBound(c.num, 0)
				if x := in.Weights[x].V[i]; max(x*got, -x*got) > bound {
					t.Errorf("|x·r| = %d·%d is above %d", x, got, bound)
				}
			}
			in.RefusesCells(t, a, 3)
			in.RefusesStaged(t, 3, 1, -1)
		})
	}
}

// The bound of a normalised cell holds for every row, the largest cells and the least sums included, and is nearly met: with the root of
// the sum of squares, and with that of a quotient of it from which bits were dropped.
func TestNormBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	for shift := range 31 {
		nearest := 0.0
		for range 300 {
			n, bits := 1+rng.IntN(6), 1+rng.IntN(25)
			num := int64(1)<<(20+rng.IntN(41)) - rng.Int64N(1000)
			s, x := big.NewInt(rng.Int64N(3)), make([]int64, n) // Σ x² + c
			for i := range x {
				if x[i] = rng.Int64N(1 << bits); i > 0 && rng.IntN(2) == 0 {
					x[i] = 0
				}
				s.Add(s, new(big.Int).Mul(big.NewInt(x[i]), big.NewInt(x[i])))
			}
			s.Rsh(s, uint(shift))
			s.Add(s, big.NewInt(1)) // u + 1; without a shift s + eps
			r := new(big.Int).Sqrt(new(big.Int).Div(big.NewInt(num), s))
			bound, _ := gadget.NormBound(num, shift)
			for _, v := range x {
				if p := new(big.Int).Mul(big.NewInt(v), r); p.Cmp(big.NewInt(bound)) > 0 {
					t.Fatalf("shift %d, num %d: %v·%v is above %d", shift, num, v, r, bound)
				} else if f, _ := new(big.Rat).SetFrac(p, big.NewInt(bound)).Float64(); f > nearest {
					nearest = f
				}
			}
		}
		if nearest < 0.7 {
			t.Errorf("shift %d: no cell comes nearer to its bound than %.2f of it", shift, nearest)
		}
	}
}

// TestRsqrtFraction plays a rational solution of both slacks: r = 9/2 for num = 101, S = 4 leaves the slacks 20 and 19. Only the range
// of r refuses it.
func TestRsqrtFraction(t *testing.T) {
	b := witnesstest.Builder()
	x := b.Weight("x", 4, 1)
	s := b.Virtual("s", []int{1}, circuit.Product(b, 1, x, x), circuit.Ones(3, []int{1}))
	gadget.Rsqrt(b, "r", s, 101, 1)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b), Weights: map[circuit.ID]integer.Tensor{x: witnesstest.Cells([]int{1}, 0)}}
	a := in.Honest(t)
	p := field.Modulus()
	lie := new(big.Int).ModInverse(big.NewInt(2), p)
	lie.Mul(lie, big.NewInt(9)).Mod(lie, p)
	err := witness.CheckField(in.C, witnesstest.With(a, witnesstest.Witnesses(in.C)[0], 0, lie))
	if err == nil || !strings.Contains(err.Error(), "r.limb0") {
		t.Errorf("r = 9/2 is answered with %v, want the range of r", err)
	}
}

func TestReciprocal(t *testing.T) {
	for _, c := range []struct {
		bits      int
		base, num int64
	}{{6, 34, 1 << 20}, {16, 1<<15 + 2, 1 << 30}, {16, 1 << 20, 1 << 44}, {4, 100, 7}, {4, 10, 1 << 61}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b := witnesstest.Builder()
			w := newWide(b, 8, c.bits, 1, 0, c.base)
			r := gadget.Reciprocal(b, "r", w.v, c.num)
			in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
			var v []int64
			in.Weights, v = w.weights(rand.New(rand.NewPCG(6, 1)), in.C)
			a := in.Honest(t)
			for i, got := range a.Tensor(r).V {
				if got != c.num/v[i] {
					t.Errorf("reciprocal of %d is %d, want %d", v[i], got, c.num/v[i])
				}
			}
			in.RefusesCells(t, a, 3)
			in.RefusesStaged(t, 3, 1, -1)
		})
	}
}

func TestLimbs(t *testing.T) {
	for _, n := range []int{1, 16, 17, 33} {
		b := witnesstest.Builder()
		x, y := b.Weight("x", 16, 3), b.Weight("y", 16, 3)
		v := b.VirtualBound("v", []int{3}, 0, 1<<n-1, "test", circuit.Scaled(b, 1<<16, x), circuit.Scaled(b, 1, y))
		gadget.Limbs(b, "v", v, n)
		in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
		for _, c := range []struct {
			x, y int64
			ok   bool
		}{{0, 1, true}, {0, 0, true}, {0, -1, false}, {1<<15 - 1, 1<<15 - 1, n >= 31}, {-1, 0, false}, {1, -1, n >= 16}, {1, 0, n >= 17}} {
			in.Weights = map[circuit.ID]integer.Tensor{x: witnesstest.Cells([]int{3}, 0, 0, c.x), y: witnesstest.Cells([]int{3}, 0, 1, c.y)}
			a, err := in.Generate()
			if (err == nil) != c.ok {
				t.Errorf("%d·2^16 + %d in %d bits: %v", c.x, c.y, n, err)
			}
			if c.ok && a != nil {
				in.RefusesCells(t, a, 3)
			}
		}
	}
}

func TestEmbedPrivate(t *testing.T) {
	text := witnesstest.Text{Name: "private", Length: 3, Vocab: 5, Reveal: circuit.Values, PrivateInput: true, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	onehot := text.Tokens(b)
	w := b.Weight("table", 6, 5, 2)
	e := gadget.Embed(b, "embedding", onehot, w)
	text.Logits(b, b.Virtual("logits", []int{3, 5}, b.Times(1, "td,vd->tv t=3 d=2 v=5", e, w)))
	c := witnesstest.Finish(t, b)
	in := witnesstest.Instance{C: c, Private: generation.PrivateInput(c, []int64{4, 2}),
		Weights: map[circuit.ID]integer.Tensor{w: witnesstest.Cells([]int{5, 2}, 1, 2, 3, 4, 5, 6, 7, 8, -9, -10)}, Publics: map[circuit.ID]integer.Tensor{}}
	for i := range c.Tensors {
		switch c.Tensors[i].View {
		case circuit.Known:
			in.Publics[circuit.ID(i)] = witnesstest.Cells([]int{3}, 0, 1, 1)
		case circuit.OneHot:
			in.Publics[circuit.ID(i)] = witnesstest.Cells([]int{3, 5}, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0)
		case circuit.Selected: // nothing is revealed
			in.Publics[circuit.ID(i)] = witnesstest.Cells([]int{3}, 0, 0, 0)
		case circuit.PortValues:
			in.Publics[circuit.ID(i)] = witnesstest.Cells([]int{3, 5}, make([]int64, 15)...)
		}
	}
	a := in.Honest(t)
	if got, want := fmt.Sprint(a.Tensor(e).V), fmt.Sprint([]int64{-9, -10, 5, 6, 1, 2}); got != want {
		t.Errorf("embedding is %s, want %s", got, want)
	}
	in.RefusesCells(t, a, 15)
	for tokens, ok := range map[[2]int64]bool{{0, 2}: true, {4, 3}: false, {5, 2}: false, {-1, 2}: false} {
		in.Private = generation.PrivateInput(c, tokens[:])
		if _, err := in.Generate(); (err == nil) != ok {
			t.Errorf("tokens %v: %v", tokens, err)
		}
	}
}

// reveal builds a circuit that reveals logits of 3 positions, the last two selected, over 4 tokens.
func reveal(t *testing.T, what circuit.Reveal, logits []int64, publics map[circuit.View][]int64) witnesstest.Instance {
	text := witnesstest.Text{Name: "reveal", Length: 3, Vocab: 4, Reveal: what, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	table := b.Weight("table", 2, 4, 1)
	b.Lookup(gadget.Range(b, -2, 1), gadget.Embed(b, "embedding", text.Tokens(b), table)) // a generation has an input
	l := b.Weight("logits", 8, 3, 4)
	text.Logits(b, l)
	b.Lookup(gadget.Range(b, -128, 127), l)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b), Publics: map[circuit.ID]integer.Tensor{},
		Weights: map[circuit.ID]integer.Tensor{l: witnesstest.Cells([]int{3, 4}, logits...), table: witnesstest.Cells([]int{4, 1}, 0, 1, -1, -2)}}
	publics[circuit.OneHot] = []int64{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	for i := range in.C.Tensors {
		if tt := &in.C.Tensors[i]; tt.Kind == circuit.Public {
			in.Publics[tt.ID] = witnesstest.Cells(tt.Shape, publics[tt.View]...)
		}
	}
	return in
}

func TestRevealValues(t *testing.T) {
	logits := []int64{9, 9, 9, 9, 1, -128, 3, 4, 127, 6, 7, 8}
	publics := map[circuit.View][]int64{circuit.Selected: {0, 1, 1}, circuit.PortValues: {0, 0, 0, 0, 1, -128, 3, 4, 127, 6, 7, 8}}
	reveal(t, circuit.Values, logits, publics).Honest(t)
	for i := range logits {
		publics[circuit.PortValues][i]--
		if _, err := reveal(t, circuit.Values, logits, publics).Generate(); err == nil {
			t.Errorf("logit %d off by one is accepted", i)
		}
		publics[circuit.PortValues][i]++
	}
}

func TestRevealArgmax(t *testing.T) {
	logits := []int64{9, 8, 7, 6, 5, -128, 5, 127, 7, 7, 6, 7}
	want := [3]int{0, 3, 0}
	for token := range 4 {
		for pos := 1; pos < 3; pos++ {
			pick := want
			pick[pos] = token
			publics := map[circuit.View][]int64{circuit.Selected: {0, 1, 1}, circuit.ArgmaxAt: make([]int64, 12), circuit.ArgmaxBelow: make([]int64, 12)}
			for p := 1; p < 3; p++ {
				publics[circuit.ArgmaxAt][p*4+pick[p]] = 1
				for j := range pick[p] {
					publics[circuit.ArgmaxBelow][p*4+j] = 1
				}
			}
			in := reveal(t, circuit.Argmax, logits, publics)
			a, err := in.Generate()
			if (err == nil) != (token == want[pos]) {
				t.Errorf("position %d, token %d: %v", pos, token, err)
			}
			if a != nil {
				in.Honest(t)
			}
		}
	}
}

// TestWideArgmax has gaps of more than 16 bits.
func TestWideArgmax(t *testing.T) {
	b := witnesstest.Builder()
	x := b.Weight("x", 16, 1, 3)
	l := b.Virtual("logits", []int{1, 3}, circuit.Scaled(b, 1<<10, x))
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Argmax}, l)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b), Publics: map[circuit.ID]integer.Tensor{},
		Weights: map[circuit.ID]integer.Tensor{x: witnesstest.Cells([]int{1, 3}, -1<<15, 1<<15-1, 1<<15-1)}}
	for pick := range 3 {
		for i := range in.C.Tensors {
			switch tt := &in.C.Tensors[i]; tt.View {
			case circuit.ArgmaxAt, circuit.ArgmaxBelow:
				v := make([]int64, 3)
				for j := range v {
					if j == pick && tt.View == circuit.ArgmaxAt || j < pick && tt.View == circuit.ArgmaxBelow {
						v[j] = 1
					}
				}
				in.Publics[tt.ID] = witnesstest.Cells(tt.Shape, v...)
			}
		}
		a, err := in.Generate()
		if (err == nil) != (pick == 1) {
			t.Errorf("token %d: %v", pick, err)
		}
		if a != nil {
			in.RefusesCells(t, in.Honest(t), 3)
		}
	}
}

func TestRefusedCircuits(t *testing.T) {
	for name, f := range map[string]func(*circuit.Builder, circuit.ID){
		"shift":           func(b *circuit.Builder, x circuit.ID) { gadget.Rescale(b, "y", x, 62, 0, 1) },
		"has not between": func(b *circuit.Builder, x circuit.ID) { gadget.Rescale(b, "y", x, 1, 1, 0) },
		"inverse square":  func(b *circuit.Builder, x circuit.ID) { gadget.Rsqrt(b, "r", x, 100, 1) },
		"reciprocal of":   func(b *circuit.Builder, x circuit.ID) { gadget.Reciprocal(b, "r", x, 100) },
		"do not choose":   func(b *circuit.Builder, x circuit.ID) { gadget.Embed(b, "e", x, x) },
		"an axis of rows": func(b *circuit.Builder, x circuit.ID) {
			gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Argmax}, x)
		},
		"unknown function": func(b *circuit.Builder, x circuit.ID) { gadget.Table(b, "y", x, "no such function", 0, 0) },
		"pieces of 2^0":    func(b *circuit.Builder, x circuit.ID) { gadget.PiecewiseLinear(b, "y", x, 0, -8, 7, 0, "silu", 1, 1) },
		"at most 2^16 pieces": func(b *circuit.Builder, x circuit.ID) {
			gadget.PiecewiseLinear(b, "y", x, 0, -1<<17, 1<<17-1, 1, "silu", 1, 1)
		},
		"whole multiples":    func(b *circuit.Builder, x circuit.ID) { gadget.PiecewiseLinear(b, "y", x, 0, -6, 7, 2, "silu", 1, 1) },
		"has the weight 2^2": func(b *circuit.Builder, x circuit.ID) { gadget.PiecewiseLinear(b, "y", x, 61, -8, 7, 2, "silu", 1, 1) },
		"has no table with":  func(b *circuit.Builder, x circuit.ID) { gadget.PiecewiseLinear(b, "y", x, 0, -8, 7, 2, "silu", 70, 1) },
		"there is no tensor": func(b *circuit.Builder, x circuit.ID) { gadget.Rescale(b, "y", 77, 1, 0, 1) },
	} {
		b := witnesstest.Builder()
		f(b, b.Weight("x", 4, 3))
		if _, err := b.Finish(); err == nil || name != "unknown function" && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMax compares with the definition on all pairs of two small ranges, tries every value that a prover might put in the place of the
// excess, and lies in and beyond its table.
func TestMax(t *testing.T) {
	b := witnesstest.Builder()
	const n = 8 * 16
	x, y := b.Weight("x", 3, n), b.Weight("y", 4, n)
	m := gadget.Max(b, "m", x, y)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
	var xs, ys []int64
	for i := range int64(n) {
		xs, ys = append(xs, i/16-4), append(ys, i%16-8)
	}
	in.Weights = map[circuit.ID]integer.Tensor{x: witnesstest.Cells([]int{n}, xs...), y: witnesstest.Cells([]int{n}, ys...)}
	a := in.Honest(t)
	for i, got := range a.Tensor(m).V {
		if got != max(xs[i], ys[i]) {
			t.Errorf("max(%d, %d) is %d", xs[i], ys[i], got)
		}
	}
	if lo, hi := in.C.Tensor(m).Lo, in.C.Tensor(m).Hi; lo != -4 || hi != 7 {
		t.Errorf("bounds [%d, %d], want [-4, 7]", lo, hi)
	}
	excess, checker := witnesstest.Witnesses(in.C), witness.NewChecker(in.C)
	if len(excess) != 1 {
		t.Fatalf("%d committed tensors, want the excess alone", len(excess))
	}
	for _, i := range []int{0, 15, 40, 64, n - 1} {
		for e := int64(-20); e <= 20; e++ {
			lie := checker.Field(witnesstest.With(a, excess[0], i, big.NewInt(e)))
			if honest := e == max(xs[i]-ys[i], 0); honest != (lie == nil) {
				t.Errorf("max(%d, %d) with an excess of %d: %v", xs[i], ys[i], e, lie)
			}
		}
	}
	in.RefusesCells(t, a, 6)
	in.RefusesStaged(t, 6, 1, -1, 3)
}

// TestMaxRefuses operands of two shapes, and differences beyond a table.
func TestMaxRefuses(t *testing.T) {
	for want, build := range map[string]func(b *circuit.Builder){
		"of shapes [2] and [3]": func(b *circuit.Builder) { gadget.Max(b, "m", b.Weight("x", 4, 2), b.Weight("y", 4, 3)) },
		"more than 2^16 lines":  func(b *circuit.Builder) { gadget.Max(b, "m", b.Weight("x", 16, 2), b.Weight("y", 16, 2)) },
	} {
		b := witnesstest.Builder()
		build(b)
		if _, err := b.Finish(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
