package tensor_test

import (
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/tensor"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// cell is a cell of a tensor.
func cell(t integer.Tensor, i int) *big.Int {
	x := big.NewInt(t.Cells(i, i+1)[0])
	if t.High != nil {
		x.Add(x, new(big.Int).Lsh(big.NewInt(t.High[i]), 64))
	}
	return x
}

// of is terms of tensors.
func of(terms []circuit.Term, vals func(circuit.ID) integer.Tensor) []backend.Term {
	return witness.Terms(terms, func(id circuit.ID) backend.Tensor { v := vals(id); return &v })
}

// naive is the definition of a sum of terms, of which add adds one: all values of all labels, one by one. It is called with the cell of the
// result and those of the factors.
func naive(terms []circuit.Term, vals map[circuit.ID]integer.Tensor, shape []int, add func(t *circuit.Term, out int, cells []int)) {
	at := func(axes [][]int, shape, extents, idx []int) int {
		p := 0
		for a, labels := range axes {
			x := 0
			for _, l := range labels {
				x = x*extents[l] + idx[l]
			}
			p = p*shape[a] + x
		}
		return p
	}
	for i := range terms {
		t := &terms[i]
		idx, cells := make([]int, len(t.Extents)), make([]int, len(t.Factors))
		for c := range circuit.Size(t.Extents) {
			for l := len(idx) - 1; l >= 0; l-- {
				idx[l] = c % t.Extents[l]
				c /= t.Extents[l]
			}
			for j, f := range t.Factors {
				cells[j] = at(f.Axes, vals[f.T].Shape, t.Extents, idx)
			}
			add(t, at(t.Out, shape, t.Extents, idx), cells)
		}
	}
}

func random(rng *rand.Rand, density float64, shape ...int) integer.Tensor {
	t := integer.Tensor{Shape: shape, V: make([]int64, circuit.Size(shape))}
	for i := range t.V {
		if rng.Float64() < density {
			t.V[i] = rng.Int64N(1<<16) - 1<<15
		}
	}
	return t
}

// inWide compares the terms in 128 bits, of factors of 16, 64 and 128, with what they are modulo 2^128.
func inWide(t *testing.T, rng *rand.Rand, terms []circuit.Term, vals map[circuit.ID]integer.Tensor, shape []int) {
	vals = maps.Clone(vals)
	for kinds := range 1 << min(len(vals), 3) {
		for id, v := range vals {
			v = integer.Tensor{Shape: v.Shape, V: make([]int64, v.Len())}
			if kinds>>(id%3)&1 == 1 {
				v.High = make([]int64, v.Len())
			}
			for i := range v.V {
				if v.V[i] = int64(rng.Uint64()); v.High != nil {
					v.High[i] = rng.Int64N(1<<20) - 1<<19
				}
			}
			if kinds%3 == 2 && v.High == nil {
				v = short(v)
			}
			vals[id] = v
		}
		n := circuit.Size(shape)
		got := integer.Tensor{Shape: shape, V: make([]int64, n), High: make([]int64, n)}
		tensor.Part{}.Add(got, of(terms, func(id circuit.ID) integer.Tensor { return vals[id] }))
		want, wrap := make([]big.Int, circuit.Size(shape)), new(big.Int).Lsh(big.NewInt(1), 128)
		naive(terms, vals, shape, func(t *circuit.Term, out int, cells []int) {
			p := big.NewInt(t.Coef)
			for j, f := range t.Factors {
				p.Mul(p, cell(vals[f.T], cells[j]))
			}
			want[out].Add(&want[out], p)
		})
		for i := range want {
			if d := new(big.Int).Sub(&want[i], cell(got, i)); d.Mod(d, wrap).Sign() != 0 {
				t.Fatalf("cell %d in 128 bits is off by %v", i, d)
			}
		}
	}
}

// short is a tensor in 16 bits.
func short(t integer.Tensor) integer.Tensor {
	s := integer.Tensor{Shape: t.Shape, Short: make([]int16, len(t.V))}
	for i, x := range t.V {
		s.Short[i] = int16(x)
	}
	return s
}

func TestEval(t *testing.T) {
	cases := []struct {
		spec    string
		density float64
		shape   []int
		factors [][]int
	}{
		{"tk,kj->tj t=3 k=5 j=7", 1, []int{3, 7}, [][]int{{3, 5}, {5, 7}}},
		{"tk,kj->tj t=70 k=33 j=67", 1, []int{70, 67}, [][]int{{70, 33}, {33, 67}}},
		{"tk,kj->tj t=70 k=33 j=67", 0.05, []int{70, 67}, [][]int{{70, 33}, {33, 67}}},
		{"tk,jk->tj t=65 k=130 j=129", 1, []int{65, 129}, [][]int{{65, 130}, {129, 130}}},
		{"hik,hjk->hij h=3 i=9 k=16 j=10", 1, []int{3, 9, 10}, [][]int{{3, 9, 16}, {3, 10, 16}}},
		{"i(hk),j(hk)->hij h=3 i=9 k=16 j=10", 1, []int{3, 9, 10}, [][]int{{9, 48}, {10, 48}}},
		{"hij,j(hd)->i(hd) h=3 i=12 j=11 d=8", 1, []int{12, 24}, [][]int{{3, 12, 11}, {11, 24}}},
		{"hi,hij,jd->i(hd) h=3 i=5 j=6 d=4", 0.5, []int{5, 12}, [][]int{{3, 5}, {3, 5, 6}, {6, 4}}},
		{"ij,ij->ij i=130 j=257", 1, []int{130, 257}, [][]int{{130, 257}, {130, 257}}},
		{"ij,ij->i i=6 j=257", 1, []int{6}, [][]int{{6, 257}, {6, 257}}},
		{"ij,i,j->ij i=6 j=257", 1, []int{6, 257}, [][]int{{6, 257}, {6}, {257}}},
		{"i,i,i->i i=1000", 1, []int{1000}, [][]int{{1000}, {1000}, {1000}}},
		{"ij->ji i=130 j=257", 1, []int{257, 130}, [][]int{{130, 257}}},
		{"ij->i i=13 j=257", 1, []int{13}, [][]int{{13, 257}}},
		{"ij->j i=13 j=257", 1, []int{257}, [][]int{{13, 257}}},
		{"ij->ik i=13 j=257 k=31", 1, []int{13, 31}, [][]int{{13, 257}}},
		{"ji->kil i=13 j=257 k=3 l=70", 1, []int{3, 13, 70}, [][]int{{257, 13}}},
		{"ij,ik->ik i=13 j=257 k=31", 1, []int{13, 31}, [][]int{{13, 257}, {13, 31}}},
		{"ij,ik,kl->ik i=13 j=25 k=31 l=9", 1, []int{13, 31}, [][]int{{13, 25}, {13, 31}, {31, 9}}},
		{"ij,ik->i i=5 j=25 k=31", 1, []int{5}, [][]int{{5, 25}, {5, 31}}},
		{"hijm,hkj->hki h=3 i=9 j=16 k=10 m=4", 1, []int{3, 10, 9}, [][]int{{3, 9, 16, 4}, {3, 10, 16}}},
		{"ij->. i=13 j=257", 1, []int{1}, [][]int{{13, 257}}},
		{"i->ij i=13 j=40000", 1, []int{13, 40000}, [][]int{{13}}},
		{"->ij i=13 j=257", 1, []int{13, 257}, nil},
		{".i,i.->. i=1", 1, []int{1}, [][]int{{1, 1}, {1, 1}}},
		{"i,j->ij i=64 j=64", 1, []int{64, 64}, [][]int{{64}, {64}}},
		{"i,i,i,i,i,i,i,i,i->i i=5", 1, []int{5}, [][]int{{5}, {5}, {5}, {5}, {5}, {5}, {5}, {5}, {5}}},
		{"ik,jk->ij i=40 j=3 k=4", 1, []int{40, 3}, [][]int{{40, 4}, {3, 4}}},
		{"(ab)c->b(ac) a=3 b=4 c=8", 1, []int{4, 24}, nil},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s/%v", c.spec, c.density), func(t *testing.T) {
			b := circuit.NewBuilder(circuit.Config{WeightBits: 4, WitnessBits: 4})
			vals := map[circuit.ID]integer.Tensor{}
			var ids []circuit.ID
			factors := c.factors
			if c.spec[0] == '(' {
				factors = [][]int{{12, 8}}
			}
			for i, s := range factors {
				id := b.Weight(fmt.Sprint("w", i), 16, s...)
				vals[id] = random(rng, c.density, s...)
				ids = append(ids, id)
			}
			terms := []circuit.Term{b.Times(3, c.spec, ids...), b.Times(-7, c.spec, ids...)}
			b.VirtualBound("out", c.shape, 0, 0, "unused", terms...)
			b.Lookup(b.TableOf("t", func() [][]int64 { return [][]int64{{0}} }), 0)
			if _, err := b.Finish(); err != nil {
				t.Fatal(err)
			}
			want := make([]int64, circuit.Size(c.shape))
			naive(terms, vals, c.shape, func(t *circuit.Term, out int, cells []int) {
				p := t.Coef
				for j, f := range t.Factors {
					p *= vals[f.T].V[cells[j]]
				}
				want[out] += p
			})
			for shorts := range 1 << min(len(ids), 3) { // which factors have 16 bits
				got := tensor.Part{}.Eval(of(terms, func(id circuit.ID) integer.Tensor {
					if v := vals[id]; shorts>>(id%3)&1 == 0 {
						return v
					} else {
						return short(v)
					}
				}), c.shape)
				for i, w := range want {
					if got.V[i] != w {
						t.Fatalf("cell %d is %d, want %d", i, got.V[i], w)
					}
				}
			}
			if circuit.Size(terms[0].Extents) < 5000 {
				inWide(t, rng, terms, vals, c.shape)
			}
		})
	}
}
