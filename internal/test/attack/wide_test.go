package attack

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// A quotient that is off by so much that 2^shift times it is a multiple of 2^64, in a limb of it or of its excess. The remainder is what it was modulo 2^64, so that a witness generator who computes in 64 bits finds every lookup in its table. In the
// field it is another number.
func rejectQuotientModulo64(t *testing.T) {
	for name, places := range map[string]map[string]int64{
		"digits of a wide tensor": {"q.digit1": 1 << 2},
		"clamp of a wide tensor":  {"q.excess1": 1 << 6},
		"wide factor":             {"q.in.excess1": 1 << 4, "r.excess1": 1 << 5},
	} {
		u := stage(t, name)
		a, err := u.generate(lie{})
		require.NoError(t, err)
		wide := slices.ContainsFunc(u.c.Tensors, func(c circuit.Tensor) bool { return c.Wide() && a.Tensor(c.ID).High != nil })
		require.True(t, wide, name)
		tried := 0
		for _, place := range u.c.Tensors {
			by, is := places[place.Name]
			if !is {
				continue
			}
			for cell, honest := range a.Tensor(place.ID).All() {
				for _, lied := range []int64{honest + by, honest - by} {
					l := lie{override: at(place.Name, cell, set(lied))}
					if !u.agreesModulo64(l) { // beyond its range, or not what stands beside it
						continue
					}
					tried++
					require.NoError(t, u.rejected(l), fmt.Sprintf("%s: %s[%d] = %d instead of %d", name, place.Name, cell, lied, honest))
				}
			}
		}
		require.GreaterOrEqual(t, tried, 3, name)
	}
}

// agreesModulo64 says whether a prover finds nothing wrong with a lie.
func (u *subject) agreesModulo64(l lie) bool {
	override := witness.WithOverride(func(id circuit.ID, v *integer.Tensor) { l.override(u.c.Tensor(id).Name, v.V) })
	publics := func(id circuit.ID) integer.Tensor { return *u.st.Public(u.c, id) }
	_, err := witness.Generate(context.Background(), u.c, u.weights, publics, u.private, override)
	return err == nil
}
