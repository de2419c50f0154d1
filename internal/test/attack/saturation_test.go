package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// silent is a statement that says that no value was clamped, to a prover, or a verifier, who does not look at the classes.
type silent struct{ statement.Statement }

func (silent) Unsaturated() bool { return false }

// exactly is the subject's statement with the claim that no value was clamped.
func (u *subject) exactly() *function.Statement {
	return &function.Statement{Ports: u.ports().Ports, NoSaturation: true}
}

// A saturated run under a statement that says that no value was clamped: with the class that it has, with none, with the value that no
// clamp would give, and by a prover who leaves the claims on classes out, which is what a verifier who forgets them accepts. The flag
// given to the proof of a statement without it, and taken from one with it. Beside them, runs that do not saturate, of all kinds of clamps.
func rejectClampedUnderTheFlag(t *testing.T) {
	for name, small := range map[string]map[string][]int64{
		"clamp":               {"x": {-34, 29, 3, 0, 1, -20}},
		"clamp without shift": {"x": {-8, 7, 3, 0, 1}},
		"rescale table":       {"w": {-24, 22, 5, -8, 0}},
		"wide clamp":          {"x": {0, 0, 0, 0}, "y": {-16, 14, 9, -3}},
		"clamped digits":      {"x": {0, 0, 0, 0}, "y": {-16, 14, 9, -3}},
	} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			classes, err := u.c.Classes()
			require.NoError(t, err)
			require.Len(t, classes, 1)
			class := u.c.Tensor(classes[0]).Name
			value := class[:len(class)-len(".class")]
			if name == "clamped digits" {
				value += ".digit0"
			}
			cell := -1
			for i, v := range u.truth(t).Tensor(classes[0]).All() {
				if v == 1 {
					cell = i
				}
			}
			require.GreaterOrEqual(t, cell, 0, "the stage saturates")

			flagged := u.exactly()
			u.mustReject(t, lie{claims: flagged})
			u.reject(t, lie{claims: flagged, override: at(class, cell, set(0))})
			u.reject(t, lie{claims: flagged, override: both(at(class, cell, set(0)), at(value, cell, add(-1)))})
			u.reject(t, lie{claims: silent{flagged}})
			proof, err := u.prove(lie{claims: silent{flagged}})
			require.NoError(t, err)
			require.NoError(t, u.vk.VerifyStatement(u.c, silent{flagged}, proof), "the claims on classes alone refuse it")
			require.ErrorIs(t, u.verify(flagged, u.proved(t)), veil.ErrRejected, "a proof of the same without the flag")

			s := stages[name]
			s.weights = small
			exact := newSubject(t, s)
			exact.accept(t, lie{})
			exact.accept(t, lie{claims: exact.exactly()})
			proof, err = exact.prove(lie{claims: exact.exactly()})
			require.NoError(t, err)
			require.Len(t, proof, len(u.proved(t)), "the claim takes no byte")
			require.ErrorIs(t, exact.verify(exact.st, proof), veil.ErrRejected, "a proof with the flag for the same without it")
			require.ErrorIs(t, exact.verify(exact.exactly(), exact.proved(t)), veil.ErrRejected)
		})
	}
}
