package montgomery

// Affine is base + Σ c·v over one or two columns of integers v.
type Affine[E Words] struct {
	m         *Modulus
	columns   int
	constants [3 * limbs]uint64
}

// AffineBits bounds the integers that Affine takes: −2^51 ≤ v < 2^51.
const AffineBits = 51

// NewAffine prepares base + Σ c·v of one or two columns. The caller gives base − Σ c·2^51 and the coefficients 2^52-fold.
func NewAffine[E Words](m *Modulus, base E, coefficients ...E) *Affine[E] {
	a := &Affine[E]{m: m, columns: len(coefficients)}
	if a.columns < 1 || a.columns > 2 {
		panic("montgomery: one or two columns")
	}
	for i, e := range append([]E{base}, coefficients...) {
		l := Limbs(&e)
		copy(a.constants[i*limbs:], l[:])
	}
	return a
}

// Columns is how many columns there are.
func (a *Affine[E]) Columns() int { return a.columns }

// Ints are the columns' types.
type Ints interface{ int16 | int64 }

// Fill computes dst[i] from the columns' entry i, and says whether all integers were in range; if not, dst means nothing.
func Fill[E Words, T Ints](a *Affine[E], dst []E, cols [2][]T) (ok bool) {
	whole := len(dst) &^ (lanes - 1)
	far := uint64(0)
	if whole > 0 {
		far = fill(a, &dst[0][0], &cols, whole)
	}
	if whole < len(dst) {
		var out [lanes]E
		var last [2][]T
		for c := range a.columns {
			last[c] = make([]T, lanes)
			copy(last[c], cols[c][whole:len(dst)])
		}
		far |= fill(a, &out[0][0], &last, lanes)
		copy(dst[whole:], out[:])
	}
	return far>>limbBits == 0
}

func fill[E Words, T Ints](a *Affine[E], dst *uint64, cols *[2][]T, n int) uint64 {
	table, constants := &a.m.table[0], &a.constants[0]
	switch c := any(cols).(type) {
	case *[2][]int16:
		if a.columns == 1 {
			return affine1x16(table, dst, constants, &c[0][0], n)
		}
		return affine2x16(table, dst, constants, &c[0][0], &c[1][0], n)
	case *[2][]int64:
		if a.columns == 1 {
			return affine1x64(table, dst, constants, &c[0][0], n)
		}
		return affine2x64(table, dst, constants, &c[0][0], &c[1][0], n)
	}
	panic("montgomery: no such integers")
}

// FillQuarters is Fill for n entries, a multiple of eight; dst[i mod 4][i/4] takes entry i.
func FillQuarters[E Words, T Ints](a *Affine[E], dst [4][]E, cols [2][]T, n int) (ok bool) {
	if n%lanes != 0 {
		panic("montgomery: not a multiple of eight")
	}
	if n == 0 {
		return true
	}
	table, constants := &a.m.table[0], &a.constants[0]
	d0, d1, d2, d3 := &dst[0][0][0], &dst[1][0][0], &dst[2][0][0], &dst[3][0][0]
	var far uint64
	switch c := any(&cols).(type) {
	case *[2][]int16:
		if a.columns == 1 {
			far = affine1x16Quarters(table, d0, d1, d2, d3, constants, &c[0][0], n)
		} else {
			far = affine2x16Quarters(table, d0, d1, d2, d3, constants, &c[0][0], &c[1][0], n)
		}
	case *[2][]int64:
		if a.columns == 1 {
			far = affine1x64Quarters(table, d0, d1, d2, d3, constants, &c[0][0], n)
		} else {
			far = affine2x64Quarters(table, d0, d1, d2, d3, constants, &c[0][0], &c[1][0], n)
		}
	}
	return far>>limbBits == 0
}
