package veil

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/group"
)

// TestLambda pins the eigenvalue: a primitive cube root of unity, by which (x, y) ↦ (βx, y) multiplies points.
func TestLambda(t *testing.T) {
	require.Equal(t, "2203960485148121921418603742825762020974279258880205651966", lambda.String())
	one := field.One()
	require.NotEqual(t, one, lambda)
	var cube field.Element
	cube.Square(&lambda)
	cube.Mul(&cube, &lambda)
	require.Equal(t, one, cube)

	p := group.U()
	product := group.Mul(&p, &lambda)
	q := group.ToAffine(&product)
	require.Equal(t, p.Y, q.Y)
	require.NotEqual(t, p.X, q.X)
}

// TestFoldChallenges draws challenges: a and b must both matter, and neither may be zero.
func TestFoldChallenges(t *testing.T) {
	seen := map[field.Element]bool{}
	for range 1000 {
		raw := make([]byte, 16)
		_, err := rand.Read(raw)
		require.NoError(t, err)
		x := foldChallenge(raw)
		swapped := foldChallenge(append(append([]byte(nil), raw[8:]...), raw[:8]...))
		require.NotEqual(t, x, swapped, "a + b·λ is not symmetric")
		require.False(t, x.IsZero() || seen[x])
		seen[x] = true
	}
	zeroA, zeroB := make([]byte, 16), make([]byte, 16)
	zeroA[15], zeroB[7] = 1, 1
	a, b := foldChallenge(zeroA), foldChallenge(zeroB)
	require.True(t, a.IsZero() && b.IsZero(), "refused by the caller")
}
