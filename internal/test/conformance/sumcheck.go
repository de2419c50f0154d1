package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Elements is a vector that no run holds yet.
type Elements []field.Element

// Elements is their number.
func (v Elements) Elements() int { return len(v) }

// Factor draws a factor over the variables, which no run holds yet.
func (s *Source) Factor(vars ...int) backend.Factor {
	return backend.Factor{Vals: Elements(s.Elements(1 << len(vars))), Vars: vars}
}

// elements are those of a factor that no run holds yet.
func elements(f *backend.Factor) []field.Element { return f.Vals.(Elements) }

// instances is one batch with every shape of instance: constants, products with missing variables, squares that share memory.
func (s *Source) instances(rounds int) []backend.Instance {
	all := make([]int, rounds)
	for i := range all {
		all[i] = i
	}
	top := max(0, rounds-1)
	out := []backend.Instance{
		{N: 0, Coef: s.Element()},
		{N: 0, Coef: s.Element(), Factors: []backend.Factor{s.Factor(), s.Factor()}},
		{N: rounds, Coef: s.Element(), Factors: []backend.Factor{s.Factor(all...), s.Factor(all...)}},
		{N: rounds, Coef: s.Element(), Factors: []backend.Factor{s.Factor(all...)}},
		{N: rounds, Coef: s.Element()},
		{N: rounds, Coef: s.Element(), Factors: []backend.Factor{s.Factor(), s.Factor(all[top:]...), s.Factor(all...)}},
	}
	square := s.Factor(all...)
	out = append(out, backend.Instance{N: rounds, Coef: s.Element(), Factors: []backend.Factor{square, square}})
	if rounds < 3 {
		return out
	}
	n := rounds - 1
	small := s.Factor(0, 1)
	zero := backend.Factor{Vals: make(Elements, 1<<n), Vars: all[:n]}
	mixed := backend.Factor{Vals: Elements(s.Edgy(1 << n)), Vars: all[:n]}
	return append(out,
		backend.Instance{N: n, Coef: s.Element(), Factors: []backend.Factor{s.Factor(all[:n]...), s.Factor(all[1:n]...), s.Factor(0)}},
		backend.Instance{N: n, Coef: s.Element(), Factors: []backend.Factor{zero, s.Factor(all[:n]...)}},
		backend.Instance{N: n, Coef: s.Element(), Factors: []backend.Factor{mixed, s.Factor(0, n-1)}},
		backend.Instance{N: 2, Coef: s.Element(), Factors: []backend.Factor{small, s.Factor(1), small}},
		// x·x of one slice that two instances share, and one slice under two sets of variables.
		backend.Instance{N: 2, Coef: s.Element(), Factors: []backend.Factor{small, s.Factor(0, 1)}},
		backend.Instance{N: 3, Coef: s.Element(), Factors: []backend.Factor{
			{Vals: small.Vals, Vars: []int{0, 2}}, {Vals: small.Vals, Vars: []int{1, 2}}, s.Factor(0, 1, 2)}},
		backend.Instance{N: rounds, Coef: s.Element(), Factors: []backend.Factor{s.Factor(all[2:]...), s.Factor(all[:2]...)}},
	)
}

// Held are instances whose vectors a run holds: one for all factors that are one vector.
func Held(r backend.Run, in []backend.Instance) []backend.Instance {
	held := map[*field.Element]backend.Vector{}
	out := append([]backend.Instance(nil), in...)
	for k := range out {
		out[k].Factors = append([]backend.Factor(nil), out[k].Factors...)
		for i := range out[k].Factors {
			f := &out[k].Factors[i]
			vals := elements(f)
			if held[&vals[0]] == nil {
				held[&vals[0]] = r.Vector(vals)
			}
			f.Vals = held[&vals[0]]
		}
	}
	return out
}

func sumcheck(t *testing.T, s *Source, ref, cand backend.Run) {
	for _, rounds := range []int{0, 1, 2, 3, 4, 6, 9, 12} {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			in := s.instances(rounds)
			compareSumcheck(t, s, ref, cand, in, rounds, 3)
			compareSumcheck(t, s, ref, cand, in, rounds, 5)
			compareSumcheck(t, s, ref, cand, in[:5], rounds, 2)
			compareSumcheck(t, s, ref, cand, in[:1], rounds, 1)
			compareSumcheck(t, s, ref, cand, nil, rounds, 2)
			checkSumcheck(t, s, cand, in, rounds, 3)
		})
	}
	long := s.Factor(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
	in := []backend.Instance{{N: 14, Coef: s.Element(), Factors: []backend.Factor{long, s.Factor(0, 2, 4, 6, 8, 10, 12), s.Factor(13)}}}
	compareSumcheck(t, s, ref, cand, in, 15, 3)
	checkSumcheck(t, s, cand, in, 15, 3)
	computedFactors(t, s, ref, cand)
	for _, rounds := range []int{1, 2, 5, 10} {
		weighted(t, s, ref, cand, rounds)
	}
}

// Computed compares sumchecks whose vectors backends compute themselves.
func Computed(t *testing.T, reference, candidate backend.Backend) {
	s, ref, cand := NewSource(1), Fresh(t, reference), Fresh(t, candidate)
	computedFactors(t, s, ref, cand)
	weighted(t, s, ref, cand, 5)
}

// weighted compares sumchecks with eq tables of all variables of an instance, at points some of whose coordinates are 0 and 1, beside none and
// several other factors, once and twice, from the first round on and later.
func weighted(t *testing.T, s *Source, ref, cand backend.Run, rounds int) {
	points, coefs := [][]field.Element{s.Edgy(rounds), s.Elements(rounds)}, s.Elements(9)
	all := make([]int, rounds)
	for i := range all {
		all[i] = i
	}
	few := all[:(rounds+1)/2]
	a, b, c, d, e := s.Factor(all...), s.Factor(all...), s.Factor(few...), s.Factor(all[rounds/2:]...), s.Factor()
	sumcheck := func(r backend.Run) backend.Sumcheck {
		held := func(factors ...backend.Factor) []backend.Factor {
			return Held(r, []backend.Instance{{Factors: factors}})[0].Factors
		}
		eq := func(vars []int, point []field.Element) backend.Factor {
			terms := []backend.Weights{{Scale: small(1), Axes: []backend.Axis{{Point: point[:len(vars)], Extent: 1 << len(vars)}}}}
			return backend.Factor{Vals: r.Tables([]backend.Table{{Bits: len(vars), Terms: terms}})[0], Vars: vars}
		}
		var in []backend.Instance
		for i, p := range points {
			in = append(in,
				backend.Instance{N: rounds, Coef: coefs[0], Factors: append(held(a, b), eq(all, p))},
				backend.Instance{N: rounds, Coef: coefs[1], Factors: append([]backend.Factor{eq(all, p)}, held(a, a)...)},
				backend.Instance{N: rounds, Coef: coefs[2], Factors: append(held(a), eq(all, p), eq(all, points[1-i]))},
				backend.Instance{N: rounds, Coef: coefs[3], Factors: append(held(d, e), eq(all, p))},
				backend.Instance{N: rounds, Coef: coefs[4], Factors: []backend.Factor{eq(all, p)}},
				backend.Instance{N: rounds, Coef: coefs[5], Factors: append(held(a), eq(few, p))},
				backend.Instance{N: len(few), Coef: coefs[6], Factors: append(held(c), eq(few, p))},
				backend.Instance{N: len(few), Coef: coefs[7], Factors: append(held(c, c), eq(few, p), held(e)[0])},
				backend.Instance{N: len(few), Coef: coefs[8], Factors: []backend.Factor{eq(few, p)}})
		}
		return r.Sumcheck(in, rounds, 4)
	}
	x, y := sumcheck(ref), sumcheck(cand)
	for i, rho := range s.Edgy(rounds) {
		equal(t, fmt.Sprintf("weighted: round %d of %d", i, rounds), x.Round(), y.Round())
		x.Bind(rho)
		y.Bind(rho)
	}
	want, got := x.Finals(), y.Finals()
	for i := range want {
		equal(t, fmt.Sprintf("weighted: finals of instance %d", i), want[i], got[i])
	}
}

func compareSumcheck(t *testing.T, s *Source, ref, cand backend.Run, in []backend.Instance, rounds, degree int) {
	a, b := ref.Sumcheck(Held(ref, in), rounds, degree), cand.Sumcheck(Held(cand, in), rounds, degree)
	for i, r := range s.Edgy(rounds) {
		equal(t, fmt.Sprintf("round %d of degree %d", i, degree), a.Round(), b.Round())
		a.Bind(r)
		b.Bind(r)
	}
	want, got := a.Finals(), b.Finals()
	equal(t, "finals", slices.Concat(want...), slices.Concat(got...))
	for i := range want {
		equal(t, fmt.Sprintf("finals of instance %d", i), want[i], got[i])
	}
}

// computedFactors compares sumchecks of vectors that a run makes of tensors and points: squares, products with an eq table, and factors of
// which an instance does not have all variables, or not from its first round on.
func computedFactors(t *testing.T, s *Source, ref, cand backend.Run) {
	const high, low = 40, 100
	point, other := s.Elements(13), s.Elements(13)
	tensors := []*integer.Tensor{s.tensor([]int{high, low}, 7), s.tensor([]int{high, low}, 20), s.tensor([]int{high, low}, 40)}
	for _, x := range tensors[:2] {
		x.Shorten()
	}
	coefs := s.Elements(6)
	sumcheck := func(r backend.Run) (backend.Sumcheck, []backend.Vector) {
		labels := []backend.Label{{Extent: high, Var: 7}, {Extent: low, Var: 0}}
		var partials []backend.Partial
		for _, x := range tensors {
			partials = append(partials, backend.Partial{T: r.Load(x), Labels: labels, Bits: 13})
		}
		partials = append(partials, partials[0])
		vecs := r.Partials(partials)
		for _, p := range [][]field.Element{point, other} {
			eq := backend.Weights{Scale: small(1), Axes: []backend.Axis{{Point: p, Extent: 1 << 13}}}
			vecs = append(vecs, r.Tables([]backend.Table{{Bits: 13, Terms: []backend.Weights{eq}}})...)
		}
		all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
		factors := make([]backend.Factor, len(vecs))
		for i, v := range vecs {
			factors[i] = backend.Factor{Vals: v, Vars: all}
		}
		a, b, c, d, p, q := factors[0], factors[1], factors[2], factors[3], factors[4], factors[5]
		apart := q
		apart.Vars = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13}
		return r.Sumcheck([]backend.Instance{
			{N: 13, Coef: coefs[0], Factors: []backend.Factor{a, d, p}}, {N: 13, Coef: coefs[1], Factors: []backend.Factor{b, c, q}},
			{N: 14, Coef: coefs[2], Factors: []backend.Factor{a, apart}}, {N: 13, Coef: coefs[3], Factors: []backend.Factor{c}},
			{N: 13, Coef: coefs[4], Factors: []backend.Factor{b, seven(r)}},
		}, 14, 3), vecs
	}
	x, ofX := sumcheck(ref)
	y, ofY := sumcheck(cand)
	for i, rho := range s.Edgy(14) {
		equal(t, fmt.Sprintf("round %d", i), x.Round(), y.Round())
		x.Bind(rho)
		y.Bind(rho)
	}
	want, got := x.Finals(), y.Finals()
	equal(t, "finals", slices.Concat(want...), slices.Concat(got...))
	ref.Free(ofX[3])
	cand.Free(ofY[3]) // the same as another one
	for i := range 3 {
		equal(t, fmt.Sprintf("vector %d", i), ref.Values(ofX[i]), cand.Values(ofY[i]))
	}
	equal(t, "a combination", ref.Values(ref.Combine(ofX[4:], coefs[:2])), cand.Values(cand.Combine(ofY[4:], coefs[:2])))
}

// seven is the factor 7, of no variable.
func seven(r backend.Run) backend.Factor {
	return backend.Factor{Vals: r.Vector([]field.Element{small(7)})}
}

// checkSumcheck plays the verifier: g(1) follows from the claim, the last claim is the sum of the products at the point.
func checkSumcheck(t *testing.T, s *Source, cand backend.Run, in []backend.Instance, rounds, degree int) {
	var claim field.Element
	for _, k := range in {
		sum := mul(k.Coef, cubeSum(k))
		for i := k.N; i < rounds; i++ {
			sum = add(sum, sum)
		}
		claim = add(claim, sum)
	}
	prover, point := cand.Sumcheck(Held(cand, in), rounds, degree), s.Elements(rounds)
	for _, r := range point {
		sent := prover.Round()
		g := append([]field.Element{sent[0], sub(claim, sent[0])}, sent[1:]...)
		claim = interpolate(g, r)
		prover.Bind(r)
	}
	var want field.Element
	finals := prover.Finals()
	for i, k := range in {
		prod, own := k.Coef, point[rounds-k.N:]
		var values []field.Element
		for _, f := range k.Factors {
			var at []field.Element
			for _, v := range f.Vars {
				at = append(at, own[v])
			}
			v := evaluate(elements(&f), at)
			values, prod = append(values, v), mul(prod, v)
		}
		equal(t, "finals", values, finals[i])
		want = add(want, prod)
	}
	equal(t, "final product", []field.Element{want}, []field.Element{claim})
}

// cubeSum returns Σ_x Π factors(x) without the coefficient.
func cubeSum(in backend.Instance) (sum field.Element) {
	for x := 0; x < 1<<in.N; x++ {
		prod := small(1)
		for _, f := range in.Factors {
			idx := 0
			for bit, v := range f.Vars {
				idx |= (x >> v & 1) << bit
			}
			prod = mul(prod, elements(&f)[idx])
		}
		sum = add(sum, prod)
	}
	return sum
}

// interpolate returns at r the polynomial with the values g at 0, 1, ….
func interpolate(g []field.Element, r field.Element) (sum field.Element) {
	for i := range g {
		num, den := g[i], small(1)
		for k := range g {
			if k != i {
				num = mul(num, sub(r, small(int64(k))))
				den = mul(den, small(int64(i-k)))
			}
		}
		den.Inverse(&den)
		sum = add(sum, mul(num, den))
	}
	return sum
}
