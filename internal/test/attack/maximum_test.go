package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// A maximum that is the other operand, or something beside both, with everything behind it honestly computed from the lie.
func rejectMaximumThatIsNone(t *testing.T) {
	u := stage(t, "max")
	a, err := u.generate(lie{})
	require.NoError(t, err)
	x, y := a.Tensor(u.id(t, "x")).All(), a.Tensor(u.id(t, "y")).All()
	for i := range x {
		for _, m := range []int64{min(x[i], y[i]), max(x[i], y[i]) + 1, max(x[i], y[i]) - 1, (x[i] + y[i]) / 2} {
			if m != max(x[i], y[i]) {
				u.mustReject(t, lie{override: at("m.excess", i, set(m-y[i]))})
			}
		}
	}
}

// The maximum plus a fraction: of the circuit's constraints only the lookup of the excess, next to the difference, refuses it.
func rejectMaximumThatIsNoInteger(t *testing.T) {
	u := newSubject(t, spec{cfg: config("maximum"), build: func(b *circuit.Builder) {
		gadget.Max(b, "m", b.Weight("x", 4, 3), b.Weight("y", 4, 3))
	}, weights: map[string][]int64{"x": {7, -8, 3}, "y": {-8, 7, 3}}})
	for _, d := range []field.Element{fraction(1, 2), fraction(-5, 3), fraction(1<<40, 1)} {
		delta := map[int]field.Element{1: d}
		foreign{fields: map[string]map[int]field.Element{"m.excess": delta, "m": delta}}.refusedBy(t, u, "m.difference")
	}
}
