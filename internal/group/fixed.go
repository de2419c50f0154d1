package group

import (
	"sync"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

const (
	combBits    = 10
	combHalf    = 1 << (combBits - 1)
	combWindows = field.Bits/combBits + 1 // the last window takes the carry of the signed digits
)

// fixedBase multiplies one point by many scalars: a table of d·2^(10·w)·P for d = 1, …, 512 (850 kB).
type fixedBase struct {
	table []Affine // window w, digit d at w·(combHalf+1) + d
}

// newFixedBase computes the table of a point; it costs about 13,000 additions.
func newFixedBase(p *Affine) *fixedBase {
	f := &fixedBase{table: make([]Affine, combWindows*(combHalf+1))}
	f.shifts(p)
	q := newAdder(f.table, f.table, f.table)
	defer q.giveBack()
	for have := int32(1); have < combHalf; have *= 2 {
		for w := int32(0); w < combWindows; w++ {
			at := w * (combHalf + 1)
			for d := int32(1); d <= have; d++ {
				q.add(at+have+d, at+have, at+d)
			}
		}
		q.flush()
	}
	return f
}

// shifts stores 2^(10·w)·P as the first entry of each window.
func (f *fixedBase) shifts(p *Affine) {
	js := make([]Jac, combWindows)
	js[0] = fromAffine(p)
	for w := 1; w < combWindows; w++ {
		js[w] = js[w-1]
		for range combBits {
			js[w].DoubleAssign()
		}
	}
	for w, a := range batchToAffine(js) {
		f.table[w*(combHalf+1)+1] = a
	}
}

// mulAdd adds s·P to acc.
func (f *fixedBase) mulAdd(acc *Jac, s *field.Element) {
	limbs := s.Bits()
	carry := uint64(0)
	for w := range combWindows {
		d := window(&limbs, w*combBits) + carry
		carry = 0
		at := w * (combHalf + 1)
		switch {
		case d == 0:
		case d <= combHalf:
			acc.AddMixed(&f.table[at+int(d)])
		default:
			carry = 1
			if d = 1<<combBits - d; d != 0 {
				var neg Affine
				neg.Neg(&f.table[at+int(d)])
				acc.AddMixed(&neg)
			}
		}
	}
}

// window returns combBits bits from a position; bits above the limbs are 0.
func window(limbs *[4]uint64, at int) uint64 {
	i, s := at/64, at%64
	v := limbs[i] >> s
	if s > 64-combBits && i+1 < len(limbs) {
		v |= limbs[i+1] << (64 - s)
	}
	return v & (1<<combBits - 1)
}

// Blind returns points[i] + blinds[i]·H, on a pool.
func Blind(p *parallel.Pool, points []Affine, blinds []field.Element) []Affine {
	if len(points) != len(blinds) {
		panic("group: points and blinders differ in number")
	}
	h := H()
	comb, out := fixedFor(&h), make([]Jac, len(points))
	p.Split(len(out), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = fromAffine(&points[i])
			comb.mulAdd(&out[i], &blinds[i])
		}
	})
	return batchToAffine(out)
}

// fixedMemo keeps the tables of the few points that commitments are blinded with.
var fixedMemo struct {
	sync.Mutex
	byPoint map[Affine]*fixedBase
}

// fixedFor returns the table of a point, from the memo where it is there.
func fixedFor(p *Affine) *fixedBase {
	const keep = 4
	fixedMemo.Lock()
	defer fixedMemo.Unlock()
	if f := fixedMemo.byPoint[*p]; f != nil {
		return f
	}
	if len(fixedMemo.byPoint) >= keep || fixedMemo.byPoint == nil {
		fixedMemo.byPoint = map[Affine]*fixedBase{}
	}
	f := newFixedBase(p)
	fixedMemo.byPoint[*p] = f
	return f
}
