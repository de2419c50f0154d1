package witness

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/tensor"
)

// hint runs one rule. A hint with several results computes them one after the other, each from those before it. The parameters,
// as the gadgets write them (w is the limbs' radix, in bits):
//
//	HintRescale  In v; Out y; Params shift
//	HintClamp    In v; Out y, κ, e_first, e_first+1, …; Params shift, lo, hi, first, w
//	HintLimbs    In v; Out limbs 1, 2, … of v (limb 0 is virtual); Params w
//	HintTable    In x; Out f(x); Params first argument, column of the value; the arguments are lines 0, 1, … of Table
//	HintRsqrt    In S; Out limbs 0, 1, … of ⌊√(num/S)⌋; Params num, w
//	HintRecip    In S; Out limbs 0, 1, … of ⌊num/S⌋; Params num, w
//	HintAttn     In s, mask or -1; Out limbs of M − lo, d_lo, u, e, z_u, z_d; Params shift, bits of d_lo, what a mask adds to d,
//	             lo, number of limbs, w; Table is the table of exponentials, lines 0, 1, … the arguments with z_u = 1
//	HintTokens   Out one-hot rows of the private ids
func (g *generator) hint(h *circuit.Hint) error {
	in := make([][]int64, len(h.In))
	for i, id := range h.In {
		if id < 0 {
			continue
		}
		t, err := g.get(id)
		if err != nil {
			return err
		}
		in[i] = t.V
	}
	p := h.Params
	switch h.Kind {
	case circuit.HintRescale:
		g.emit(h.Out[0], cells(len(in[0]), func(i int) int64 { return quotient(in[0][i], p[0]) }))
	case circuit.HintClamp:
		g.clamp(h, in[0])
	case circuit.HintLimbs:
		g.limbs(h.Out, 1, p[0], in[0])
	case circuit.HintTable:
		return g.table(h, in[0])
	case circuit.HintRsqrt:
		g.limbs(h.Out, 0, p[1], cells(len(in[0]), func(i int) int64 { return isqrt(divide(p[0], in[0][i])) }))
	case circuit.HintRecip:
		g.limbs(h.Out, 0, p[1], cells(len(in[0]), func(i int) int64 { return divide(p[0], in[0][i]) }))
	case circuit.HintAttn:
		return g.attention(h, in[0], in[1])
	case circuit.HintTokens:
		return g.tokens(h.Out[0])
	default:
		return fmt.Errorf("unknown hint %d", h.Kind)
	}
	return nil
}

// cells computes n independent cells in parallel.
func cells(n int, f func(i int) int64) []int64 {
	v := make([]int64, n)
	tensor.ParallelRange(n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			v[i] = f(i)
		}
	})
	return v
}

// quotient is ⌊(v + 2^(shift-1)) / 2^shift⌋.
func quotient(v, shift int64) int64 {
	return (v + int64(1)<<shift>>1) >> shift
}

// divide is ⌊num/s⌋, and 0 for the s that only a lying prover meets.
func divide(num, s int64) int64 {
	if s < 1 {
		return 0
	}
	return num / s
}

// isqrt is ⌊√v⌋ for 0 ≤ v < 2^62. The float is off by one at most.
func isqrt(v int64) int64 {
	r := int64(math.Sqrt(float64(v)))
	for r*r > v {
		r--
	}
	for (r+1)*(r+1) <= v {
		r++
	}
	return r
}

// limbs emits the limbs first, first+1, … of values; the last one takes all that is left, so that a value beyond its limbs shows.
func (g *generator) limbs(out []circuit.ID, first int, bits int64, v []int64) {
	for k, id := range out {
		shift, mask := int64(first+k)*bits, int64(1)<<bits-1
		if k == len(out)-1 {
			mask = -1
		}
		g.emit(id, cells(len(v), func(i int) int64 { return v[i] >> shift & mask }))
	}
}

// clamp emits y, the class and the limbs of the excess q − y − κ, which have its sign.
func (g *generator) clamp(h *circuit.Hint, v []int64) {
	shift, lo, hi, first, bits := h.Params[0], h.Params[1], h.Params[2], h.Params[3], h.Params[4]
	q := func(i int) int64 { return quotient(v[i], shift) }
	y := g.emit(h.Out[0], cells(len(v), func(i int) int64 { return min(max(q(i), lo), hi) }))
	class := g.emit(h.Out[1], cells(len(v), func(i int) int64 {
		switch {
		case q(i) > hi:
			return 1
		case q(i) < lo:
			return -1
		}
		return 0
	}))
	limbs := h.Out[2:]
	for k, id := range limbs {
		pos, mask := (first+int64(k))*bits, int64(1)<<bits-1
		if k == len(limbs)-1 {
			mask = -1
		}
		g.emit(id, cells(len(v), func(i int) int64 {
			e := q(i) - y[i] - class[i]
			if e < 0 {
				return -(-e >> pos & mask)
			}
			return e >> pos & mask
		}))
	}
}

// table emits f(x).
func (g *generator) table(h *circuit.Hint, x []int64) error {
	col, first := g.c.Tables[h.Table].Cols, h.Params[0]
	arg, val := col[0], col[h.Params[1]]
	in := func(i int) bool { d := x[i] - first; return d >= 0 && d < int64(len(arg)) && arg[d] == x[i] }
	if !g.unchecked {
		t := g.c.Tensor(h.In[0])
		if err := eachCell(len(x), func(i int) error {
			if !in(i) {
				return fmt.Errorf("tensor %s: cell %v is %d, which is no argument of table %q", t.Name, cell(t.Shape, i), x[i], g.c.Tables[h.Table].Name)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	g.emit(h.Out[0], cells(len(x), func(i int) int64 {
		if !in(i) {
			return 0
		}
		return val[x[i]-first]
	}))
	return nil
}

// attention emits the tensors of zkAttn. A masked position counts as a score lower by offset.
func (g *generator) attention(h *circuit.Hint, s, mask []int64) error {
	shift, dbits, offset, lo, limbs, bits := h.Params[0], h.Params[1], h.Params[2], h.Params[3], int(h.Params[4]), h.Params[5]
	shape := g.c.Tensor(h.In[0]).Shape
	n := shape[len(shape)-1]
	masked := func(i int) bool { return mask != nil && mask[i%len(mask)] != 0 }
	score := func(i int) int64 {
		if masked(i) {
			return quotient(s[i], shift) - offset
		}
		return quotient(s[i], shift)
	}
	top, err := g.rowMax(h, n, len(s)/n, masked, score)
	if err != nil {
		return err
	}
	g.limbs(h.Out[:limbs], 0, bits, cells(len(top), func(i int) int64 { return top[i] - lo }))
	m := g.recompose(h.Out[:limbs], bits, lo)
	d := cells(len(s), func(i int) int64 { return m[i/n] - score(i) })
	rest := h.Out[limbs:]
	dlo := g.emit(rest[0], cells(len(s), func(i int) int64 { return d[i] & (1<<dbits - 1) }))
	u := g.emit(rest[1], cells(len(s), func(i int) int64 { return d[i] >> dbits }))
	exp := g.c.Tables[h.Table].Cols[1][:1<<dbits]
	g.emit(rest[2], cells(len(s), func(i int) int64 {
		if u[i] != 0 || dlo[i] < 0 || dlo[i] >= int64(len(exp)) {
			return 0
		}
		return exp[dlo[i]]
	}))
	zu := g.emit(rest[3], cells(len(s), func(i int) int64 { return indicator(u[i] == 0) }))
	g.emit(rest[4], cells(len(s), func(i int) int64 { return indicator(zu[i] == 1 && dlo[i] == 0) }))
	return nil
}

func indicator(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// rowMax is the maximum of the unmasked scores of every row.
func (g *generator) rowMax(h *circuit.Hint, n, rows int, masked func(int) bool, score func(int) int64) ([]int64, error) {
	top := make([]int64, rows)
	t := g.c.Tensor(h.In[0])
	err := eachCell(rows, func(r int) error {
		found := false
		for i := r * n; i < (r+1)*n; i++ {
			if v := score(i); !masked(i) && (!found || v > top[r]) {
				top[r], found = v, true
			}
		}
		if !found {
			return fmt.Errorf("attention scores %s: row %v has no unmasked position", t.Name, cell(t.Shape[:len(t.Shape)-1], r))
		}
		return nil
	})
	return top, err
}

// recompose is lo + Σ 2^(bits·l)·limb_l.
func (g *generator) recompose(limbs []circuit.ID, bits, lo int64) []int64 {
	v := make([]int64, len(g.vals[limbs[0]].V))
	for i := range v {
		v[i] = lo
		for l, id := range limbs {
			v[i] += g.vals[id].V[i] << (int64(l) * bits)
		}
	}
	return v
}

// tokens emits the one-hot rows of the private ids, pads behind them.
func (g *generator) tokens(out circuit.ID) error {
	if g.private == nil {
		return ErrPrivate
	}
	if len(g.private.Tokens) > g.c.Length {
		return fmt.Errorf("%d private tokens, the circuit has %d positions", len(g.private.Tokens), g.c.Length)
	}
	v := make([]int64, g.c.Length*g.c.Vocab)
	for t := range g.c.Length {
		id := g.c.Pad
		if t < len(g.private.Tokens) {
			id = g.private.Tokens[t]
		}
		if id < 0 || id >= int64(g.c.Vocab) {
			return fmt.Errorf("private token %d is %d, outside the vocabulary of %d", t, id, g.c.Vocab)
		}
		v[t*g.c.Vocab+int(id)] = 1
	}
	g.emit(out, v)
	return nil
}
