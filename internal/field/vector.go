package field

import "github.com/consensys/gnark-crypto/ecc/grumpkin/fr"

// Vector is a slice of elements with operations element by element: the library's, or a prover's kernels. Operands have the receiver's
// length; the receiver may be one of them.
type Vector []Element

// Kernels do what methods of Vector do, faster. The lengths that they are called with agree.
type Kernels struct {
	Mul   func(v, a, b []Element)
	Scale func(v, a []Element, c *Element)
	Lerp  func(v, lo, hi []Element, c *Element)
	// Dot returns Σ a[i]·b[i] of at most DotTerms products as an integer, least significant word first.
	Dot      func(a, b []Element) [9]uint64
	DotTerms int
}

var kernels *Kernels

// Use makes Vector use kernels from now on. Backends of provers call it as they are linked, before anything runs; a verifier, which links no
// backend, computes with the library alone.
func Use(k *Kernels) { kernels = k }

// same panics where lengths differ.
func same(n int, others ...int) {
	for _, m := range others {
		if m != n {
			panic("field: slices of different length")
		}
	}
}

// Mul sets v[i] = a[i]·b[i].
func (v Vector) Mul(a, b Vector) {
	same(len(v), len(a), len(b))
	if kernels != nil {
		kernels.Mul(v, a, b)
		return
	}
	(*fr.Vector)(&v).Mul(fr.Vector(a), fr.Vector(b))
}

// ScalarMul sets v[i] = a[i]·c.
func (v Vector) ScalarMul(a Vector, c *Element) {
	same(len(v), len(a))
	if kernels != nil {
		kernels.Scale(v, a, c)
		return
	}
	(*fr.Vector)(&v).ScalarMul(fr.Vector(a), c)
}

// Lerp sets v[i] = lo[i] + c·(hi[i] − lo[i]).
func (v Vector) Lerp(lo, hi Vector, c *Element) {
	same(len(v), len(lo), len(hi))
	if kernels != nil {
		kernels.Lerp(v, lo, hi, c)
		return
	}
	var difference [lerpRun]Element
	for len(v) > 0 {
		n := min(len(v), lerpRun)
		d := Vector(difference[:n])
		d.Sub(hi[:n], lo[:n])
		d.ScalarMul(d, c)
		v[:n].Add(d, lo[:n])
		v, lo, hi = v[n:], lo[n:], hi[n:]
	}
}

// lerpRun is the number of differences that are kept apart: the receiver may be an operand.
const lerpRun = 128

// Add sets v[i] = a[i] + b[i].
func (v Vector) Add(a, b Vector) { (*fr.Vector)(&v).Add(fr.Vector(a), fr.Vector(b)) }

// Sub sets v[i] = a[i] − b[i].
func (v Vector) Sub(a, b Vector) { (*fr.Vector)(&v).Sub(fr.Vector(a), fr.Vector(b)) }

// Sum returns Σ v[i].
func (v Vector) Sum() Element { return (*fr.Vector)(&v).Sum() }

// InnerProduct returns Σ v[i]·b[i]. The products are summed before they are reduced.
func (v Vector) InnerProduct(b Vector) (total Element) {
	same(len(v), len(b))
	switch {
	case kernels == nil && WideVectors() && uint64(len(v)) < 1<<31:
		return (*fr.Vector)(&v).InnerProduct(fr.Vector(b))
	case kernels == nil:
		return innerProduct(v, b)
	}
	for n := 0; len(v) > 0; v, b = v[n:], b[n:] {
		n = min(kernels.DotTerms, len(v))
		part := reduceSum(kernels.Dot(v[:n], b[:n]))
		total.Add(&total, &part)
	}
	return total
}
