package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The digits of the right argument that put it into the piece before or behind its own, where the line is another one: the offset lies
// beyond the piece. What follows is computed from the lie, value and slope from the table.
func rejectArgumentInANeighbouringPiece(t *testing.T) {
	u := stage(t, "piecewise")
	a, err := u.generate(lie{})
	require.NoError(t, err)
	index, offset := u.c.Tensor(u.id(t, "y.in.digit1")), a.Tensor(u.id(t, "y.in.digit0")).All()
	for i, piece := range a.Tensor(index.ID).All() {
		for _, d := range []int64{-1, 1} {
			if piece+d >= index.Lo && piece+d <= index.Hi {
				u.mustReject(t, lie{override: both(at(index.Name, i, set(piece+d)), at("y.in.digit0", i, set(offset[i]-8*d)))})
			}
		}
	}
}

// The value of one piece with the slope of another, both of another piece than the argument's, and what is on no line: a value or slope
// that is off by so much that the result is right where the offset is zero, or at its greatest.
func rejectAnotherPiece(t *testing.T) {
	u := stage(t, "piecewise")
	a, err := u.generate(lie{})
	require.NoError(t, err)
	values, slopes := a.Tensor(u.id(t, "y.value")).All(), a.Tensor(u.id(t, "y.slope")).All()
	for i := range values {
		k := (i + 1) % len(values)
		for _, l := range []struct{ value, slope int64 }{{values[k], slopes[i]}, {values[i], slopes[k]}, {values[k], slopes[k]}, {values[i], slopes[i] + 1}, {values[i] + 7, slopes[i] - 1}} {
			if l.value != values[i] || l.slope != slopes[i] {
				u.mustReject(t, lie{override: both(at("y.value", i, set(l.value)), at("y.slope", i, set(l.slope)))})
			}
		}
	}
}

// Digits with fractions that make up the argument all the same: the index is more by a fraction, and the offset less by eight times that.
// Of the circuit's constraints only the lookups of the two refuse it, and that of the index alone where the offset stays an integer.
func rejectArgumentThatIsNoInteger(t *testing.T) {
	u := newSubject(t, spec{cfg: config("piecewise"), build: func(b *circuit.Builder) {
		gadget.PiecewiseLinear(b, "y", b.Weight("x", 6, 3), 0, -32, 31, 3, "silu", 3, 5)
	}, weights: map[string][]int64{"x": {31, -32, 5}}})
	a, err := u.generate(lie{})
	require.NoError(t, err)
	slope := field.FromInt64(a.Tensor(u.id(t, "y.slope")).All()[2])
	for _, c := range []struct {
		fraction field.Element
		lookups  []string
	}{{fraction(1, 8), []string{"y.in.digit1"}}, {fraction(-5, 3), []string{"y.in.digit0", "y.in.digit1"}}, {fraction(1<<40, 3), []string{"y.in.digit0", "y.in.digit1"}}} {
		offset := mul(c.fraction, field.FromInt64(-8))
		foreign{fields: map[string]map[int]field.Element{
			"y.in.digit1": {2: c.fraction}, "y.in.digit0": {2: offset}, "y": {2: mul(offset, slope)},
		}}.refusedBy(t, u, c.lookups...)
	}
}
