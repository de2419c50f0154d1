package veil

import (
	"crypto/rand"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/transcript"
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

// What is named is what it stands for: form and target of checks on defined expressions are those of the expressions written out, and a
// chain that doubles 60 times has as many terms as steps.
func TestDefine(t *testing.T) {
	build := func(steps int, name func(*Channel, Expr) Expr) *Channel {
		c := NewCounter(transcript.New("define"))
		c.Open()
		w := c.Vector("vector", 3, nil)
		older, e := w[0], name(c, w[1].Add(w[2].Scale(field.FromInt64(5))).Add(Constant(field.FromInt64(7))))
		for i := range steps {
			next := e.Scale(field.FromInt64(int64(i + 2))).Add(older).Add(e.Scale(field.FromInt64(-3)))
			older, e = e, name(c, next.Add(Constant(field.FromInt64(int64(i)))))
		}
		c.Zero("last", e)
		c.Zero("earlier", older.Sub(w[0]))
		return c
	}
	written := func(_ *Channel, e Expr) Expr { return e }
	nu, theta := field.FromInt64(11), field.FromInt64(13)
	named, plain := build(8, (*Channel).Define), build(8, written)
	require.Len(t, named.defined, 9)
	require.Greater(t, len(plain.linear[0].expr.Terms), 1<<8)
	got, want := assembled(named, nu, theta), assembled(plain, nu, theta)
	require.Equal(t, want.form, got.form)
	require.Equal(t, want.target, got.target)
	require.Equal(t, got, assembled(named, nu, theta), "to assemble changes nothing")

	c := build(60, (*Channel).Define)
	terms := 0
	for _, e := range c.defined {
		terms += len(e.Terms)
	}
	require.LessOrEqual(t, terms, 3*61)
	one := FromWire(Wire{Seg: 1, Pos: 2}).Scale(field.FromInt64(4))
	require.Equal(t, one, c.Define(one), "one wire needs no name")
}

// A dry run counts messages: it asks for no weights of an opening and makes no form of the checks.
func TestCounterMakesNoForm(t *testing.T) {
	c := NewCounter(transcript.New("dry"))
	c.Open()
	unused := func() []field.Element { t.Error("a dry run has computed weights"); return nil }
	c.Inner("opening", Opening{Name: "rows", N: 1 << 20}, unused, Constant(field.One()))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, c.Finish())
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "a form has 2^20 elements")
}
