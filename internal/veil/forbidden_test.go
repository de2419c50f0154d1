package veil_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// chosen is a transcript one of whose challenges is what the test says.
type chosen struct {
	transcript.Source
	label string
	value field.Element
	bytes []byte
}

func (c *chosen) Challenge(label string) field.Element {
	v := c.Source.Challenge(label)
	if label == c.label {
		return c.value
	}
	return v
}

func (c *chosen) ChallengeBytes(label string, n int) []byte {
	raw := c.Source.ChallengeBytes(label, n)
	if label == c.label {
		return c.bytes
	}
	return raw
}

// A challenge for which the protocol is undefined is refused as such, whatever the proof: an interpolation point of the product block
// (its free values would carry a false product), a scale 0 of segments, of the inner product, of a folding.
func TestForbiddenChallenges(t *testing.T) {
	c := toy(t, circuit.Argmax, false, 4)
	k, key, err := engine.Setup(context.Background(), circuit.Single(c), kit.Weights(c, 3, 4), engine.Options{Backend: processor})
	require.NoError(t, err)
	in, _ := claims(t, c, k)
	proof, err := k.Prove(context.Background(), in, engine.Options{Backend: processor})
	require.NoError(t, err)
	p := public(c, model(t, c, key), in.Statement)
	counts, err := p.Count()
	require.NoError(t, err)
	last := int64(2 * counts.Products)
	bytes := func(at ...int) []byte {
		raw := make([]byte, 16)
		for _, i := range at {
			raw[i] = 1
		}
		return raw
	}
	for _, test := range []struct {
		label string
		value field.Element
		bytes []byte
		want  error
	}{
		{"c", field.FromInt64(0), nil, veil.ErrForbidden}, {"c", field.FromInt64(1), nil, veil.ErrForbidden},
		{"c", field.FromInt64(last), nil, veil.ErrForbidden}, {"c", field.FromInt64(last + 1), nil, veil.ErrRejected},
		{"theta", field.Element{}, nil, veil.ErrForbidden}, {"theta", field.One(), nil, veil.ErrRejected},
		{"x", field.Element{}, nil, veil.ErrForbidden}, {"x", field.One(), nil, veil.ErrRejected},
		{"fold", field.Element{}, bytes(), veil.ErrForbidden}, {"fold", field.Element{}, bytes(7), veil.ErrForbidden},
		{"fold", field.Element{}, bytes(15), veil.ErrForbidden}, {"fold", field.Element{}, bytes(7, 15), veil.ErrRejected},
	} {
		r, err := format.NewReader(proof, format.MagicProof, c.Digest())
		require.NoError(t, err)
		require.NotNil(t, r.Raw(32))
		source := &chosen{Source: p.Transcript(), label: test.label, value: test.value, bytes: test.bytes}
		err = p.Run(veil.NewVerifier(source, r))
		require.ErrorIs(t, err, test.want, "%s = %s, %x", test.label, test.value.String(), test.bytes)
	}
}
