package group

// Small integers are written with digits −8..8 to base 17: balanced and unique, so that a table of the combinations of digits
// needs one of each pair ±x, and four digits hold 16 bits with sign including ±2^15.
const (
	base      = 17
	half      = base / 2
	maxDigits = 8 // 17^8 > 2^32
)

// digitsFor returns how many digits hold the integers up to m in absolute value.
func digitsFor(m uint32) int {
	k, reach, power := 0, uint64(0), uint64(half)
	for reach < uint64(m) {
		reach += power
		power *= base
		k++
	}
	return k
}

// addDigits adds weight times each digit of v to the offsets.
func addDigits(off *[maxDigits]int32, v, weight int32) {
	u := uint32(v)
	if v < 0 {
		u, weight = -u, -weight
	}
	for k := 0; u != 0; k++ {
		q := (u + half) / base
		off[k] += (int32(u) - int32(q*base)) * weight
		u = q
	}
}

// A table of g bases holds Σ d_i·B_i at the offset Σ d_i·17^(g−1−i), for all combinations of digits with positive offset. Index 0 is
// unused.
const (
	tableOne   = half + 1
	tableTwo   = (base*base-1)/2 + 1
	tableThree = (base*base*base-1)/2 + 1
)

// fillTable computes the table of up to three bases in t; it works in steps, each of independent additions.
func fillTable(q *adder, t []Affine, bases []Affine) {
	q.dst, q.a, q.b = t, t, t
	multiples(q, t, bases)
	stride := int32(base)
	for range bases[1:] {
		// Every combination of the lower bases is added to and subtracted from every multiple.
		for d := int32(1); d <= half; d++ {
			for low := int32(1); low <= (stride-1)/2; low++ {
				q.add(d*stride+low, d*stride, low)
				q.subtract(d*stride-low, d*stride, low)
			}
		}
		q.flush()
		stride *= base
	}
}

// multiples stores p, 2p, …, 8p of every base at stride, 2·stride, …, the last base's stride being 1. All bases' share the inversions.
func multiples(q *adder, t []Affine, bases []Affine) {
	for have := int32(0); have < half; have = max(1, 2*have) {
		stride := int32(1)
		for i := len(bases) - 1; i >= 0; i-- {
			if have == 0 {
				t[stride] = bases[i]
			}
			for d := int32(1); d <= have; d++ {
				q.add((have+d)*stride, have*stride, d*stride)
			}
			stride *= base
		}
		q.flush()
	}
}
