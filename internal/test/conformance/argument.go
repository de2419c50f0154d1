package conformance

import (
	"fmt"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

func argument(t *testing.T, s *Source, ref, cand backend.Backend) {
	for _, n := range []int{1, 2, 4, 16, 128} {
		for _, short := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d short %v", n, short), func(t *testing.T) { compareArguments(t, s, ref, cand, n, short) })
		}
	}
}

// compareArguments folds to a single entry and checks P' = x·P + x²·L + R in every round, for P = ⟨u,g⟩ + ⟨u,l⟩·U.
func compareArguments(t *testing.T, s *Source, ref, cand backend.Backend, n int, short bool) {
	u, l, g, base := s.Edgy(n), s.Edgy(n), s.Points(n), s.Points(1)[0]
	for i := n - n/8; i < n; i++ { // padding positions
		g[i], l[i] = group.Affine{}, field.Element{}
	}
	if n >= 16 { // generators that meet their own negative or double while folding
		g[1] = g[1+n/2]
		g[2].Neg(&g[2+n/2])
	}
	p := commitment(ref, u, l, g, base)
	a, b := ref.Argument(u, l, g, base), cand.Argument(copyElements(u), copyElements(l), g, base)
	for k := n; k > 1; k /= 2 {
		la, ra := a.Round()
		lb, rb := b.Round()
		equalPoints(t, fmt.Sprintf("round at %d", k), []group.Affine{la, ra}, []group.Affine{lb, rb})
		x := s.challenge(short)
		a.Fold(x)
		b.Fold(x)
		equal(t, "rest", a.Rest(), b.Rest())
		p = ref.MSM([]group.Affine{p, lb, rb}, []field.Element{x, mul(x, x), small(1)})
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

// commitment returns ⟨u,g⟩ + ⟨u,l⟩·U.
func commitment(ref backend.Backend, u, l []field.Element, g []group.Affine, base group.Affine) group.Affine {
	var inner field.Element
	for i := range u {
		inner = add(inner, mul(u[i], l[i]))
	}
	return ref.MSM(append(append([]group.Affine(nil), g...), base), append(copyElements(u), inner))
}

// foldAll folds the three vectors as backend.Argument says.
func foldAll(ref backend.Backend, u, l []field.Element, g []group.Affine, x field.Element) (nu, nl []field.Element, ng []group.Affine) {
	h := len(u) / 2
	for i := range h {
		nu = append(nu, add(mul(x, u[i]), u[h+i]))
		nl = append(nl, add(l[i], mul(x, l[h+i])))
		ng = append(ng, ref.MSM([]group.Affine{g[i], g[h+i]}, []field.Element{small(1), x}))
	}
	return nu, nl, ng
}
