package attention_test

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
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// scores is a circuit with one attention over scores 2^up·x.
type scores struct {
	witnesstest.Instance
	p         attention.Params
	x, e, inv circuit.ID
	up        int
	shape     []int
	mask      []int64
}

func causal(n int) []int64 {
	m := make([]int64, n*n)
	for i := range n {
		for j := i + 1; j < n; j++ {
			m[i*n+j] = 1
		}
	}
	return m
}

func build(t *testing.T, p attention.Params, xbits, up int, shape []int, mask []int64) *scores {
	t.Helper()
	b := witnesstest.Builder()
	s := &scores{p: p, up: up, shape: shape, mask: mask}
	s.x = b.Weight("x", xbits, shape...)
	v := b.Virtual("s", shape, circuit.Scaled(b, 1<<up, s.x))
	m := gadget.None
	switch n := shape[len(shape)-1]; {
	case len(mask) == n: // a key mask, the same for every row
		m = attention.Mask(b, "mask", mask, n)
	case mask != nil:
		m = attention.Mask(b, "mask", mask, len(mask)/n, n)
	}
	b.Scope("layer0.")
	s.e, s.inv = attention.ZkAttn(b, "attn", v, m, p)
	s.C = witnesstest.Finish(t, b)
	return s
}

// fill sets random scores of which the first row is all equal and the second has the extremes.
func (s *scores) fill(rng *rand.Rand) {
	t := s.C.Tensor(s.x)
	v := make([]int64, circuit.Size(s.shape))
	n := s.shape[len(s.shape)-1]
	for i := range v {
		v[i] = t.Lo + rng.Int64N(t.Hi-t.Lo+1)
		if i < n {
			v[i] = 3
		}
	}
	v[n], v[2*n-1] = t.Lo, t.Hi
	s.set(v...)
}

func (s *scores) set(v ...int64) {
	s.Weights = map[circuit.ID]integer.Tensor{s.x: {Shape: s.shape, V: v}}
}

// check compares with the definition of ir.ZkAttnAttr.
func (s *scores) check(t *testing.T, a *witness.Assignment) {
	t.Helper()
	exp, err := tables.Exp(s.p.DBits, s.p.EBits, s.p.Unit)
	if err != nil {
		t.Fatal(err)
	}
	n := s.shape[len(s.shape)-1]
	x := s.Weights[s.x].V
	for r := 0; r < len(x)/n; r++ {
		masked := func(j int) bool { return s.mask != nil && s.mask[(r*n+j)%len(s.mask)] == 1 }
		sigma := func(j int) int64 {
			v := x[r*n+j] << s.up
			if s.p.Shift > 0 {
				v += 1 << (s.p.Shift - 1)
			}
			return v >> s.p.Shift
		}
		top, total := int64(-1<<62), int64(0)
		for j := range n {
			if !masked(j) {
				top = max(top, sigma(j))
			}
		}
		for j := range n {
			want := int64(0)
			if d := top - sigma(j); !masked(j) && d < int64(len(exp)) {
				want = exp[d]
			}
			total += want
			if got := a.Tensor(s.e).V[r*n+j]; got != want {
				t.Errorf("row %d: e[%d] is %d, want %d", r, j, got, want)
			}
		}
		if got := a.Tensor(s.inv).V[r]; got != (1<<s.p.InvBits)/total {
			t.Errorf("row %d: inv is %d, want %d", r, got, (1<<s.p.InvBits)/total)
		}
	}
}

func TestZkAttn(t *testing.T) {
	small := attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}
	for name, s := range map[string]*scores{
		"full":          build(t, small, 6, 1, []int{2, 3, 3}, nil),
		"causal":        build(t, small, 6, 1, []int{2, 3, 3}, causal(3)),
		"key mask":      build(t, small, 6, 1, []int{2, 3, 4}, []int64{0, 1, 0, 1}),
		"no shift":      build(t, attention.Params{DBits: 3, EBits: 5, InvBits: 20, Unit: 0.5}, 5, 0, []int{3, 3}, causal(3)),
		"one column":    build(t, small, 6, 1, []int{3, 1}, nil),
		"wide":          build(t, attention.Params{Shift: 3, DBits: 8, EBits: 12, InvBits: 30, Unit: 0.02}, 16, 8, []int{2, 4}, []int64{1, 0, 0, 1, 0, 0, 0, 1}),
		"wide shift":    build(t, attention.Params{Shift: 20, DBits: 6, EBits: 8, InvBits: 24, Unit: 0.1}, 16, 16, []int{2, 4}, nil),
		"all within":    build(t, attention.Params{Shift: 4, DBits: 8, EBits: 8, InvBits: 24, Unit: 0.1}, 6, 0, []int{2, 4}, nil),
		"bigger maxima": build(t, attention.Params{Shift: 1, DBits: 8, EBits: 8, InvBits: 24, Unit: 0.1}, 16, 4, []int{2, 3}, causal(3)[3:]),
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				s.fill(rand.New(rand.NewPCG(seed, 1)))
				a := s.Honest(t)
				s.check(t, a)
				if seed == 0 {
					s.RefusesCells(t, a, 3)
					s.RefusesStaged(t, 4, 1, -1)
				}
			}
		})
	}
}

// lie generates with the cells of named tensors changed and everything after them recomputed, and checks the answer.
func (s *scores) lie(t *testing.T, what, refusedBy string, f func(name string, v []int64)) {
	t.Helper()
	a, err := s.Generate(witness.WithoutChecks(), witness.WithOverride(func(id circuit.ID, v *integer.Tensor) {
		f(strings.TrimPrefix(s.C.Tensor(id).Name, "layer0.attn."), v.V)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := witness.CheckField(s.C, witnesstest.Values(a)); err == nil || !strings.Contains(err.Error(), refusedBy) {
		t.Errorf("%s is answered with %v, want a refusal by %s", what, err, refusedBy)
	}
}

func TestLies(t *testing.T) {
	p := attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}
	s := build(t, p, 6, 2, []int{2, 4}, []int64{0, 0, 0, 1, 0, 0, 1, 1})
	s.set(3, 3, -2, 31, 5, 4, 9, -30)
	s.check(t, s.Honest(t))
	s.lie(t, "a maximum too large", "attained", func(name string, v []int64) {
		if name == "max.limb0" {
			v[0]++
		}
	})
	s.lie(t, "a maximum too small", "layer0.attn", func(name string, v []int64) {
		if name == "max.limb0" {
			v[0]--
		}
	})
	s.lie(t, "a maximum attained at a masked position", "max.limb0", func(name string, v []int64) {
		// B' = σ_max − σ_min + 2^4 + 1 = 80; the masked score counts as 9 − 80 and M follows it, below its range.
		if name == "max.limb0" {
			v[1] = 9 - 80 + 32
		}
	})
	s.lie(t, "attention to a masked position", "dlo", func(name string, v []int64) {
		if name == "exp" {
			v[3] = 1
		}
	})
	s.lie(t, "an indicator that says zero for a far score", "zu", func(name string, v []int64) {
		if name == "zu" {
			v[3] = 1
		}
	})
	s.lie(t, "a near score called far", "zu", func(name string, v []int64) {
		if name == "exp" || name == "zu" || name == "zd" {
			v[2] = 0
		}
	})
	s.lie(t, "a maximum too large that claims to be attained", "exp", func(name string, v []int64) {
		if name == "max.limb0" {
			v[0]++
		}
		if name == "zd" {
			v[0] = 1
		}
	})
}

// TestFractionalMaximum plays M + 1/4 with the remainders moved by one: only the range of M refuses it.
func TestFractionalMaximum(t *testing.T) {
	p := attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}
	s := build(t, p, 6, 0, []int{2, 2}, nil)
	s.set(4, 4, 1, 1) // remainders 2, 2 and 3, 3
	a := s.Honest(t)
	q := new(big.Int).ModInverse(big.NewInt(4), field.Modulus())
	for _, id := range witnesstest.Witnesses(s.C) {
		if s.C.Tensor(id).Name != "layer0.attn.max.limb0" {
			continue
		}
		lie := q.Add(q, big.NewInt(a.Tensor(id).V[0]))
		err := witness.CheckField(s.C, witnesstest.With(a, id, 0, lie))
		if err == nil || !strings.Contains(err.Error(), "max.limb0") {
			t.Errorf("a fractional maximum is answered with %v, want its range", err)
		}
		return
	}
	t.Error("no maximum among the witness tensors")
}

// TestUnique tries every witness of a tiny attention, with and without a mask, whose cells are in their ranges.
func TestUnique(t *testing.T) {
	p := attention.Params{Shift: 1, DBits: 1, EBits: 0, InvBits: 0, Unit: 1}
	s := build(t, p, 2, 0, []int{1, 2}, []int64{0, 1})
	free := build(t, p, 2, 0, []int{1, 2}, nil)
	for _, c := range []struct {
		*scores
		x [2]int64
	}{{s, [2]int64{-2, 1}}, {s, [2]int64{0, 0}}, {free, [2]int64{1, -2}}, {free, [2]int64{-1, 0}}} {
		c.set(c.x[:]...)
		a := c.Honest(t)
		c.check(t, a)
		checker, values := witness.NewChecker(c.C), witnesstest.Values(a)
		ids := witnesstest.Witnesses(c.C)
		cells := map[circuit.ID][]*big.Int{c.scores.x: values(c.scores.x)}
		total, found := 1, 0
		var digits []digit
		for _, id := range ids {
			tt := c.C.Tensor(id)
			for i := range circuit.Size(tt.Shape) {
				cells[id] = append(cells[id], new(big.Int))
				digits = append(digits, digit{cells[id][i], tt.Lo, tt.Hi - tt.Lo + 1})
				total *= int(tt.Hi - tt.Lo + 1)
			}
		}
		for k := range total {
			for _, d := range digits {
				d.cell.SetInt64(d.lo + int64(k)%d.n)
				k /= int(d.n)
			}
			if checker.Field(func(id circuit.ID) []*big.Int {
				if v, ok := cells[id]; ok {
					return v
				}
				return values(id)
			}) == nil {
				found++
			}
		}
		if found != 1 {
			t.Errorf("scores %v have %d witnesses of %d tried, want 1", c.x, found, total)
		}
	}
}

// digit is one cell of an exhaustive search.
type digit struct {
	cell  *big.Int
	lo, n int64
}

func TestRefused(t *testing.T) {
	good := attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}
	wide, deep := good, good
	wide.Shift, deep.DBits = 0, 16
	for want, f := range map[string]func(b *circuit.Builder) (circuit.ID, circuit.ID){
		"no unmasked": func(b *circuit.Builder) (circuit.ID, circuit.ID) {
			return attention.ZkAttn(b, "a", b.Weight("x", 4, 2, 2), attention.Mask(b, "m", []int64{0, 1, 1, 1}, 2, 2), good)
		},
		"want 0 and 1": func(b *circuit.Builder) (circuit.ID, circuit.ID) {
			return attention.ZkAttn(b, "a", b.Weight("x", 4, 2, 2), b.Const("m", []int64{0, 2, 0, 0}, 2, 2), good)
		},
		"have no rows": func(b *circuit.Builder) (circuit.ID, circuit.ID) {
			return attention.ZkAttn(b, "a", b.Weight("x", 4, 2), gadget.None, good)
		},
		"need a table": func(b *circuit.Builder) (circuit.ID, circuit.ID) {
			x := b.Weight("x", 16, 2, 2)
			return attention.ZkAttn(b, "a", b.Virtual("s", []int{2, 2}, circuit.Scaled(b, 1<<10, x)), gadget.None, wide)
		},
		"bits of distance": func(b *circuit.Builder) (circuit.ID, circuit.ID) {
			return attention.ZkAttn(b, "a", b.Weight("x", 4, 2, 2), gadget.None, deep)
		},
	} {
		b := witnesstest.Builder()
		f(b)
		if _, err := b.Finish(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

func TestContextBound(t *testing.T) {
	p := attention.Params{InvBits: 10}
	for _, c := range [][4]int64{{-3, 5, -3 << 10, 5 << 10}, {2, 5, 0, 5 << 10}, {-7, -2, -7 << 10, 0}} {
		if lo, hi, err := p.ContextBound(c[0], c[1]); lo != c[2] || hi != c[3] || err != nil {
			t.Errorf("values in %v: %s", c[:2], fmt.Sprint(lo, hi, err))
		}
	}
	if _, _, err := p.ContextBound(0, 1<<52); err == nil {
		t.Error("2^52 at 10 bits is accepted")
	}
}
