package circuit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/interval"
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
	sum, ok := b.sumInterval(name, shape, terms)
	if ok && sum.BitLen() > wrapBits {
		b.Fail("tensor %s: cells may reach [%v, %v] and wrap around the field; use coarser scales", name, sum.Lo, sum.Hi)
		return false
	}
	return ok
}

// sumInterval bounds a sum of terms over their factors' declared bounds.
func (b *Builder) sumInterval(name string, shape []int, terms []Term) (sum interval.Interval, ok bool) {
	for _, t := range terms {
		if !b.checkTerm(name, shape, t) {
			return sum, false
		}
	}
	return sumBounds(terms, b.Interval, b.singleOf), true
}

// singleOf is interval.Factor's of a tensor that both sides know. Large constants are looked at once, however many terms they are in.
func (b *Builder) singleOf(id ID) interval.Single {
	s, ok := b.single[id]
	if !ok {
		s = b.newSingle(id)
		b.single[id] = s
	}
	return s
}

func (b *Builder) newSingle(id ID) interval.Single {
	switch t := &b.c.Tensors[id]; t.Kind {
	case Affine:
		_, strides := t.Equation()
		return interval.SolvedBy(strides, t.Shape)
	case Const:
		return interval.SingleCells(t.Values, t.Shape)
	}
	return nil
}

// sumBounds bounds a sum of terms over all values of their factors within the given bounds. single, which may be nil, is Factor.Single.
func sumBounds(terms []Term, of func(ID) interval.Interval, single func(ID) interval.Single) interval.Interval {
	sum := interval.Of(0, 0)
	for _, t := range terms {
		factors := make([]interval.Factor, len(t.Factors))
		for i, f := range t.Factors {
			factors[i] = interval.Factor{Tensor: int(f.T), Axes: f.Axes, Bounds: of(f.T)}
			if single != nil {
				factors[i].Single = single(f.T)
			}
		}
		sum = sum.Plus(interval.Term(t.Coef, t.Extents, t.Out, factors))
	}
	return sum
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
