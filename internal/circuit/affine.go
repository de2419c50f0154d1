package circuit

import (
	"fmt"
	"strings"

	"github.com/zkllmc/zkllmc/internal/poly"
)

// Affine declares a tensor that both sides know: its cell at (i, j, k, …) is 1 where an expression, linear in the indices, is zero, else
// 0. As a factor of a term it is a map of indices: with "i - 2j - k + 1" a term over x[i], the tensor and w[k] is a window of k that
// moves over x in steps of 2, one cell to the left; indices outside of a box match nothing. Slices, shifts, padding and
// concatenation are such maps, and neither prover nor verifier sees more of one than the equation.
//
// It needs no argument but that of a constant: the verifier evaluates its multilinear extension himself (poly.EvalAffine). The
// expression names the axes by the letters i, j, k, … in their order.
func (b *Builder) Affine(name, where string, shape ...int) ID {
	values, err := parseLinear(where, len(shape))
	if err != nil {
		b.Fail("affine tensor %s: %v", name, err)
		values = make([]int64, len(shape)+1)
	}
	id := b.add(Tensor{Name: name, Kind: Affine, Shape: shape, Values: values, Hi: 1})
	if b.err == nil {
		if n := poly.AffineWork(values[0], values[1:], shape); n > maxAffineWork {
			b.Fail("affine tensor %s: evaluating it takes %d products, the limit is %d; the strides of its equation are too large", name, n, maxAffineWork)
		}
	}
	return id
}

// maxAffineWork keeps one evaluation of an affine tensor below about 40 ms of one core.
const maxAffineWork = 1 << 20

// maxStride bounds offset and strides, so that sums over a box of 2^31 cells fit 64 bits.
const maxStride = 1 << 30

// parseLinear reads an expression such as "i - 2j + 3": the constant, then the coefficients of i, j, k, ….
func parseLinear(s string, axes int) ([]int64, error) {
	out := make([]int64, axes+1)
	fail := func(why string) ([]int64, error) { return nil, fmt.Errorf("expression %q: %s", s, why) }
	if axes > maxAffineAxes {
		return fail(fmt.Sprintf("%d axes, at most %d are supported", axes, maxAffineAxes))
	}
	for at, first := 0, true; ; first = false {
		sign := int64(1)
		at = skipSpace(s, at)
		switch {
		case at == len(s) && !first:
			return out, nil
		case at < len(s) && (s[at] == '+' || s[at] == '-'):
			if s[at] == '-' {
				sign = -1
			}
			at = skipSpace(s, at+1)
		case !first:
			return fail("terms are joined by + or -")
		}
		n, digits := int64(0), 0
		for ; at < len(s) && s[at] >= '0' && s[at] <= '9'; at++ {
			if n = 10*n + int64(s[at]-'0'); n > maxStride {
				return fail("numbers are at most 2^30")
			}
			digits++
		}
		axis := -1
		if at < len(s) && s[at] >= 'i' && s[at] < 'i'+byte(axes) {
			axis = int(s[at] - 'i')
			at++
		}
		switch {
		case axis < 0 && digits == 0:
			return fail("a term is a number, an axis, or a number and an axis")
		case axis >= 0 && digits == 0:
			n = 1
		}
		if out[axis+1] += sign * n; out[axis+1] > maxStride || out[axis+1] < -maxStride {
			return fail("numbers are at most 2^30")
		}
	}
}

// maxAffineAxes: one letter per axis, and a step of the evaluation makes a product per choice of a bit of each.
const maxAffineAxes = 8

func skipSpace(s string, at int) int {
	for at < len(s) && s[at] == ' ' {
		at++
	}
	return at
}

// Linear writes offset + Σ strides·index as Builder.Affine reads it.
func Linear(offset int64, strides []int64) string {
	var b strings.Builder
	term := func(v int64, axis string) {
		if v == 0 {
			return
		}
		switch {
		case b.Len() == 0 && v < 0:
			b.WriteString("-")
		case v < 0:
			b.WriteString(" - ")
		case b.Len() > 0:
			b.WriteString(" + ")
		}
		if v = max(v, -v); v != 1 || axis == "" {
			fmt.Fprint(&b, v)
		}
		b.WriteString(axis)
	}
	for a, s := range strides {
		term(s, string(rune('i'+a)))
	}
	term(offset, "")
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}

// Equation returns the offset and the strides of an Affine tensor.
func (t *Tensor) Equation() (offset int64, strides []int64) { return t.Values[0], t.Values[1:] }

// EvaluationWork is the number of products that a verifier makes to evaluate a Const or Affine tensor.
func (t *Tensor) EvaluationWork() int64 {
	if t.Kind == Affine {
		offset, strides := t.Equation()
		return poly.AffineWork(offset, strides, t.Shape)
	}
	return int64(Size(t.Shape))
}

// KnownCells returns the cells of a Const or Affine tensor, row-major.
func (t *Tensor) KnownCells() []int64 {
	if t.Kind == Affine {
		offset, strides := t.Equation()
		return poly.AffineCells(offset, strides, t.Shape)
	}
	return t.Values
}
