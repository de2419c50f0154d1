package circuit

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// checkTerm records an error unless the term is well formed for a result of the given shape.
func (b *Builder) checkTerm(name string, shape []int, t Term) bool {
	ok := b.checkAxes(name, "the result", shape, t.Out, t.Extents)
	used := make([]bool, len(t.Extents))
	mark := func(axes [][]int) {
		for _, a := range axes {
			for _, l := range a {
				if l >= 0 && l < len(used) {
					used[l] = true
				}
			}
		}
	}
	mark(t.Out)
	for _, f := range t.Factors {
		if !b.has(f.T) {
			return false
		}
		ft := &b.c.Tensors[f.T]
		if ft.Mult {
			b.Fail("tensor %s: %s are no factor: nothing bounds them", name, ft.Name)
			return false
		}
		ok = b.checkAxes(name, ft.Name, ft.Shape, f.Axes, t.Extents) && ok
		mark(f.Axes)
	}
	for l, u := range used {
		if !u {
			b.Fail("tensor %s: label %d of a term is neither in the result nor in a factor", name, l)
			ok = false
		}
	}
	return ok
}

func (b *Builder) checkAxes(name, what string, shape []int, axes [][]int, extents []int) bool {
	if len(axes) != len(shape) {
		b.Fail("tensor %s: %s has %d axes, the term names %d", name, what, len(shape), len(axes))
		return false
	}
	seen := make([]bool, len(extents))
	for a, labels := range axes {
		d := 1
		for i, l := range labels {
			if l < 0 || l >= len(extents) || seen[l] || extents[l] < 1 {
				b.Fail("tensor %s: label %d of %s is unknown, empty or repeated", name, l, what)
				return false
			}
			seen[l] = true
			if i > 0 && extents[l]&(extents[l]-1) != 0 {
				b.Fail("tensor %s: axis %d of %s is split at extent %d, which is no power of two; only the leading part of a split axis may be any size", name, a, what, extents[l])
				return false
			}
			d *= extents[l]
		}
		if d != shape[a] {
			b.Fail("tensor %s: axis %d of %s has extent %d, its labels %d", name, a, what, shape[a], d)
			return false
		}
	}
	return true
}

// wrapBits bounds the sum of the terms' magnitudes, whatever bound is declared for it: 2^250 < p/4, so that an equation over F
// between such sums is one over the integers.
const wrapBits = 250

// fits says whether the terms are well formed and far from wrapping around the field, by interval arithmetic alone.
func (b *Builder) fits(name string, shape []int, terms []Term) bool {
	lo, hi, ok := b.sumInterval(name, shape, terms)
	if ok && (lo.BitLen() > wrapBits || hi.BitLen() > wrapBits) {
		b.Fail("tensor %s: cells may reach [%v, %v] and wrap around the field; use coarser scales", name, lo, hi)
		return false
	}
	return ok
}

// interval bounds a sum of terms over all inputs within their bounds.
func (b *Builder) interval(name string, shape []int, terms []Term) (lo, hi int64) {
	sumLo, sumHi, ok := b.sumInterval(name, shape, terms)
	if !ok {
		return 0, 0
	}
	limit := big.NewInt(MaxBound)
	if sumHi.Cmp(limit) >= 0 || new(big.Int).Neg(sumLo).Cmp(limit) >= 0 {
		b.Fail("tensor %s: cells may reach [%v, %v], beyond 2^62; use coarser scales", name, sumLo, sumHi)
		return 0, 0
	}
	return sumLo.Int64(), sumHi.Int64()
}

func (b *Builder) sumInterval(name string, shape []int, terms []Term) (lo, hi *big.Int, ok bool) {
	lo, hi = new(big.Int), new(big.Int)
	for _, t := range terms {
		if !b.checkTerm(name, shape, t) {
			return nil, nil, false
		}
		l, h := b.termInterval(t)
		lo.Add(lo, l)
		hi.Add(hi, h)
	}
	return lo, hi, true
}

// termInterval bounds a term over its factors' declared bounds.
func (b *Builder) termInterval(t Term) (lo, hi *big.Int) {
	return boundTerm(t, func(id ID) (lo, hi *big.Int) {
		f := &b.c.Tensors[id]
		return big.NewInt(f.Lo), big.NewInt(f.Hi)
	})
}

// boundTerm bounds a term over all values of its factors within the bounds that of returns.
func boundTerm(t Term, of func(ID) (lo, hi *big.Int)) (lo, hi *big.Int) {
	lo, hi = big.NewInt(1), big.NewInt(1)
	for i := 0; i < len(t.Factors); i++ {
		fl, fh := of(t.Factors[i].T)
		// A square is not negative: x·x with equal axes takes one factor [0, max(lo², hi²)].
		if i+1 < len(t.Factors) && sameFactor(t.Factors[i], t.Factors[i+1]) {
			fl, fh = square(fl, fh)
			i++
		}
		lo, hi = mulInterval(lo, hi, fl, fh)
	}
	// The number of summed cells, and zero outside nothing: every label outside Out repeats the product.
	n := big.NewInt(t.Coef)
	inOut := make([]bool, len(t.Extents))
	for _, a := range t.Out {
		for _, l := range a {
			inOut[l] = true
		}
	}
	for l, e := range t.Extents {
		if !inOut[l] {
			n.Mul(n, big.NewInt(int64(e)))
		}
	}
	return mulInterval(lo, hi, n, n)
}

func sameFactor(a, b Factor) bool {
	return a.T == b.T && fmt.Sprint(a.Axes) == fmt.Sprint(b.Axes)
}

func square(lo, hi *big.Int) (l, h *big.Int) {
	a, c := new(big.Int).Mul(lo, lo), new(big.Int).Mul(hi, hi)
	if a.Cmp(c) > 0 {
		a, c = c, a
	}
	if lo.Sign() <= 0 && hi.Sign() >= 0 {
		a = new(big.Int)
	}
	return a, c
}

func mulInterval(al, ah, bl, bh *big.Int) (lo, hi *big.Int) {
	for i, p := range [...]*big.Int{new(big.Int).Mul(al, bl), new(big.Int).Mul(al, bh), new(big.Int).Mul(ah, bl), new(big.Int).Mul(ah, bh)} {
		if i == 0 || p.Cmp(lo) < 0 {
			lo = p
		}
		if i == 0 || p.Cmp(hi) > 0 {
			hi = p
		}
	}
	return lo, hi
}

// Times writes a term as text: spec is "tk,kj->tj t=32 k=64 j=64", a letter per label, parentheses around the labels of a
// merged axis, "." for an axis of extent 1 without labels, then the extent of every label. The operands are the factors in
// the order of the spec; "->tj t=2 j=3" is the constant coef everywhere.
func (b *Builder) Times(coef int64, spec string, operands ...ID) Term {
	fail := func(why string) Term {
		b.Fail("term %q: %s", spec, why)
		return Term{}
	}
	fields := strings.Fields(spec)
	if len(fields) == 0 {
		return fail("is empty")
	}
	labels := map[byte]int{}
	t := Term{Coef: coef}
	for _, f := range fields[1:] {
		if len(f) < 3 || f[1] != '=' {
			return fail("extents are written k=64")
		}
		n, err := strconv.Atoi(f[2:])
		if err != nil || n < 1 {
			return fail("extent " + f)
		}
		if _, dup := labels[f[0]]; dup {
			return fail("label twice")
		}
		labels[f[0]] = len(t.Extents)
		t.Extents = append(t.Extents, n)
	}
	in, out, found := strings.Cut(fields[0], "->")
	if !found {
		return fail("has no ->")
	}
	var err error
	if t.Out, err = parseAxes(out, labels); err != nil {
		return fail(err.Error())
	}
	var parts []string
	if in != "" {
		parts = strings.Split(in, ",")
	}
	if len(parts) != len(operands) {
		return fail(fmt.Sprintf("names %d operands, got %d", len(parts), len(operands)))
	}
	for i, p := range parts {
		axes, err := parseAxes(p, labels)
		if err != nil {
			return fail(err.Error())
		}
		t.Factors = append(t.Factors, Factor{T: operands[i], Axes: axes})
	}
	return t
}

func parseAxes(s string, labels map[byte]int) ([][]int, error) {
	axes := [][]int{}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '.':
			axes = append(axes, nil)
		case s[i] == '(':
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				return nil, fmt.Errorf("missing )")
			}
			var group []int
			for _, ch := range []byte(s[i+1 : i+end]) {
				l, ok := labels[ch]
				if !ok {
					return nil, fmt.Errorf("label %q has no extent", ch)
				}
				group = append(group, l)
			}
			axes = append(axes, group)
			i += end
		default:
			l, ok := labels[s[i]]
			if !ok {
				return nil, fmt.Errorf("label %q has no extent", s[i])
			}
			axes = append(axes, []int{l})
		}
	}
	return axes, nil
}
