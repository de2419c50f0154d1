package poly

import "github.com/zkllmc/zkllmc/internal/field"

// LagrangeAt returns the coefficients l_0, …, l_d with f(x) = Σ l_i·f(i) for every polynomial f of degree at most d. x may be a
// node. The cost is linear in d, with one inversion.
func LagrangeAt(d int, x Element) []Element {
	if d < 0 {
		return nil
	}
	// l_i = (−1)^(d−i) / (i!·(d−i)!) · Π_{j≠i} (x − j); the product by prefixes and suffixes, so that x may be a node.
	out := make([]Element, d+1)
	inv := inverseFactorials(d)
	one, diff, prefix := field.One(), x, field.One()
	diffs := make([]Element, d+1)
	for i := range out {
		out[i] = prefix
		diffs[i] = diff
		prefix.Mul(&prefix, &diff)
		diff.Sub(&diff, &one)
	}
	suffix := field.One()
	for i := d; i >= 0; i-- {
		out[i].Mul(&out[i], &suffix)
		suffix.Mul(&suffix, &diffs[i])
		out[i].Mul(&out[i], &inv[i])
		out[i].Mul(&out[i], &inv[d-i])
		if (d-i)&1 == 1 {
			out[i].Neg(&out[i])
		}
	}
	return out
}

// small holds 1/i! for the degrees of sumcheck rounds, which are interpolated often.
var small = computeInverseFactorials(32)

// inverseFactorials returns 1/i! for i = 0, …, d.
func inverseFactorials(d int) []Element {
	if d < len(small) {
		return small
	}
	return computeInverseFactorials(d)
}

func computeInverseFactorials(d int) []Element {
	out := make([]Element, d+1)
	f := field.One()
	for i := 2; i <= d; i++ {
		k := field.FromInt64(int64(i))
		f.Mul(&f, &k)
	}
	f.Inverse(&f)
	for i := d; i > 0; i-- {
		out[i] = f
		k := field.FromInt64(int64(i))
		f.Mul(&f, &k)
	}
	out[0] = f
	return out
}

// Extrapolate continues the values at 0, 1, … of the polynomial of degree below len(vals) to n values, by differences: it takes
// len(vals) additions per value and no product. There is at least one value; what is given is never cut off.
func Extrapolate(vals []Element, n int) []Element {
	out := append(make([]Element, 0, max(n, len(vals))), vals...)
	diff := append([]Element(nil), vals...)
	for k := 1; k < len(diff); k++ {
		for i := 0; i < len(diff)-k; i++ {
			diff[i].Sub(&diff[i+1], &diff[i])
		}
	}
	// Now diff[len−1−k] is the k-th difference that ends at the last point. The highest stays as it is, the others grow by the
	// next higher.
	for len(out) < n {
		for i := 1; i < len(diff); i++ {
			diff[i].Add(&diff[i], &diff[i-1])
		}
		out = append(out, diff[len(diff)-1])
	}
	return out
}
