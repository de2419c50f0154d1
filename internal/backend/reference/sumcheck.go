package reference

import (
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// sumcheck holds every factor expanded to all N variables of its instance.
type sumcheck struct {
	instances []instance
	left      int // rounds left
	degree    int
}

// instance is a product of MLEs; free counts its variables not yet bound, so every factor has 2^free values.
type instance struct {
	coef    field.Element
	free    int
	factors [][]field.Element
}

// Sumcheck expands the factors: the value at x of a factor that lacks variables is the value at the bits it has.
func (*run) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	s := &sumcheck{left: rounds, degree: degree}
	for _, in := range instances {
		e := instance{coef: in.Coef, free: in.N}
		for _, f := range in.Factors {
			full, vals := make([]field.Element, 1<<in.N), values(f.Vals)
			for x := range full {
				idx := 0
				for bit, v := range f.Vars {
					idx |= (x >> v & 1) << bit
				}
				full[x] = vals[idx]
			}
			e.factors = append(e.factors, full)
		}
		s.instances = append(s.instances, e)
	}
	return s
}

// Round adds up the instances' round polynomials at 0, 2, …, D.
func (s *sumcheck) Round() []field.Element {
	out := make([]field.Element, max(1, s.degree))
	for i := range out {
		at := i
		if i > 0 {
			at++
		}
		for k := range s.instances {
			v := s.at(&s.instances[k], fromInt(int64(at)))
			out[i].Add(&out[i], &v)
		}
	}
	return out
}

// at returns the instance's share of g(x): the sum over all assignments of the variables after this round's. An instance whose
// variables all come later does not depend on x, and each of the left−1−free constant variables between doubles its sum.
func (s *sumcheck) at(in *instance, x field.Element) field.Element {
	sum := in.coef
	if in.free < s.left {
		total := productSum(in.factors, in.free)
		sum.Mul(&sum, &total)
		for i := 0; i < s.left-1-in.free; i++ {
			sum.Double(&sum)
		}
		return sum
	}
	bound := make([][]field.Element, len(in.factors))
	for i, f := range in.factors {
		bound[i] = bindLowest(f, x)
	}
	total := productSum(bound, in.free-1)
	sum.Mul(&sum, &total)
	return sum
}

// productSum returns Σ_{x ∈ {0,1}^n} Π factors(x).
func productSum(factors [][]field.Element, n int) field.Element {
	var sum field.Element
	for x := 0; x < 1<<n; x++ {
		var prod field.Element
		prod.SetOne()
		for _, f := range factors {
			prod.Mul(&prod, &f[x])
		}
		sum.Add(&sum, &prod)
	}
	return sum
}

func (s *sumcheck) Bind(r field.Element) {
	for k := range s.instances {
		in := &s.instances[k]
		if in.free < s.left {
			continue
		}
		for i, f := range in.factors {
			in.factors[i] = bindLowest(f, r)
		}
		in.free--
	}
	s.left--
}

// Finals returns what is left of the factors.
func (s *sumcheck) Finals() [][]field.Element {
	out := make([][]field.Element, len(s.instances))
	for k := range s.instances {
		for _, f := range s.instances[k].factors {
			out[k] = append(out[k], f[0])
		}
	}
	return out
}
