package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

func argument(t *testing.T, s *Source, ref, cand backend.Run) {
	for _, n := range []int{1, 2, 4, 16, 128} {
		for _, short := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d short %v", n, short), func(t *testing.T) { compareArguments(t, s, ref, cand, n, short) })
		}
	}
}

// compareArguments folds to a single entry and checks P' = x·P + x²·L + R in every round, for P = ⟨u,g⟩ + ⟨u,l⟩·U.
func compareArguments(t *testing.T, s *Source, ref, cand backend.Run, n int, short bool) {
	u, l, g, base := s.Edgy(n), s.Edgy(n), s.Points(n), s.Points(1)[0]
	for i := n - n/8; i < n; i++ { // padding positions
		g[i], l[i] = group.Affine{}, field.Element{}
	}
	if n >= 16 { // generators that meet their own negative or double while folding
		g[1] = g[1+n/2]
		g[2].Neg(&g[2+n/2])
	}
	p := commitment(ref, u, l, g, base)
	mask, segments := s.split(u)
	bases := backend.Bases{{Points: g[:n/2]}, {At: n / 2, Points: g[n/2:]}}
	start := func(r backend.Run) backend.Argument {
		own := slices.Clone(segments)
		for i := range own {
			if i%2 == 1 {
				own[i].Held, own[i].Vals = r.Vector(own[i].Vals), nil
			}
		}
		return r.Argument(mask, own, l, bases, base)
	}
	a, b := start(ref), start(cand)
	for k := n; k > 1; k /= 2 {
		la, ra := a.Round()
		lb, rb := b.Round()
		equalPoints(t, fmt.Sprintf("round at %d", k), []group.Affine{la, ra}, []group.Affine{lb, rb})
		x := s.challenge(short)
		a.Fold(x)
		b.Fold(x)
		equal(t, "rest", a.Rest(), b.Rest())
		p = ref.MSM(backend.From([]group.Affine{p, lb, rb}), []field.Element{x, mul(x, x), small(1)})
		u, l, g = foldAll(ref, u, l, g, x)
		equal(t, "folded vector", u, b.Rest())
		equalPoints(t, "P'", []group.Affine{commitment(ref, u, l, g, base)}, []group.Affine{p})
	}
}

// challenge draws a full challenge, a short integer, or one of the edges ±1.
func (s *Source) challenge(short bool) field.Element {
	switch {
	case s.Intn(6) == 0:
		return small(int64(1 - 2*s.Intn(2)))
	case short:
		x := small(s.Int63() | 1)
		return add(mul(x, x), small(5))
	}
	return s.Element()
}

// split draws a mask and scaled segments, which may overlap, that add up to u.
func (s *Source) split(u []field.Element) (mask []field.Element, segments []backend.Segment) {
	mask = copyElements(u)
	for lo := 0; lo < len(u); lo += max(1, len(u)/3) {
		vals := s.Edgy(min(len(u)-lo, 1+s.Intn(len(u))))
		scale := s.Element()
		for i := range vals {
			mask[lo+i] = sub(mask[lo+i], mul(scale, vals[i]))
		}
		segments = append(segments, backend.Segment{Offset: lo, Scale: scale, Vals: vals})
	}
	return mask, segments
}

// commitment returns ⟨u,g⟩ + ⟨u,l⟩·U.
func commitment(ref backend.Run, u, l []field.Element, g []group.Affine, base group.Affine) group.Affine {
	var inner field.Element
	for i := range u {
		inner = add(inner, mul(u[i], l[i]))
	}
	return ref.MSM(backend.Bases{{Points: g}, {At: len(g), Points: []group.Affine{base}}}, append(copyElements(u), inner))
}

// foldAll folds the three vectors as backend.Argument says.
func foldAll(ref backend.Run, u, l []field.Element, g []group.Affine, x field.Element) (nu, nl []field.Element, ng []group.Affine) {
	h := len(u) / 2
	for i := range h {
		nu = append(nu, add(mul(x, u[i]), u[h+i]))
		nl = append(nl, add(l[i], mul(x, l[h+i])))
		ng = append(ng, ref.MSM(backend.From([]group.Affine{g[i], g[h+i]}), []field.Element{small(1), x}))
	}
	return nu, nl, ng
}
