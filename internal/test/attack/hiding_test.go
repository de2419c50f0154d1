package attack

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/test/messages"
)

// shared counts the 32-byte items that two proofs have in common, wherever they stand, and those a proof has twice itself.
func shared(a, b []byte) (n int) {
	seen := map[string]bool{}
	for i := header; i < len(a); i += 32 {
		k := string(a[i : i+32])
		if seen[k] {
			n++
		}
		seen[k] = true
	}
	for i := header; i < len(b); i += 32 {
		if seen[string(b[i:i+32])] {
			n++
		}
	}
	return n
}

// Two proofs share no group element and no scalar, not of two statements about one model, and not where the operating system yields
// the same bytes twice. The same bytes for the same statement and witness give the same proof, which
// shows that the comparison would see a pad used again.
func rejectReusedRandomness(t *testing.T) {
	seed := []byte("a broken generator of random bytes")
	u := stage(t, "reveal logits")
	other := u.answered(t, 1, 1)
	a, err := u.prove(lie{seed: seed})
	require.NoError(t, err)
	for what, l := range map[string]lie{
		"another statement": {seed: seed, input: other, claims: other},
		"another witness":   {seed: seed, override: at("h", 0, add(1))},
		"another seed":      {seed: []byte("another generator")},
		"fresh bytes":       {},
	} {
		b, err := u.prove(l)
		require.NoError(t, err)
		require.Zero(t, shared(a, b), what)
	}
	again, err := u.prove(lie{seed: seed})
	require.NoError(t, err)
	require.Equal(t, a, again)
	require.NotZero(t, shared(a, again))
}

// Two models with the same weights, and two setups of one, share no item of their keys: blinders are fresh in every setup.
func rejectSetupsThatShare(t *testing.T) {
	u := stage(t, "rescale")
	again := newSubject(t, stages["rescale"])
	require.Equal(t, u.weights, again.weights)
	pad := make([]byte, header-44) // verifying keys have a shorter header
	require.Zero(t, shared(append(pad, u.vkBytes...), append(pad, again.vkBytes...)))
	// Statements about both with the same seed: the prover's secret is another one.
	seed := []byte("a broken generator of random bytes")
	a, err := u.prove(lie{seed: seed})
	require.NoError(t, err)
	b, err := again.prove(lie{seed: seed})
	require.NoError(t, err)
	require.Zero(t, shared(a, b))
}

// Every item of a proof is a commitment, a padded scalar or a masked one, as the list of messages says; and no padded or masked scalar is
// what it hides. Hidden values of honest provers are recorded before they are padded.
func TestNothingIsSentInClear(t *testing.T) {
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			proof := u.proved(t)
			sent, part := u.record(t)
			items := map[string]bool{}
			for i := header; i < len(proof); i += 32 {
				items[string(proof[i:i+32])] = true
			}
			hidden, clear := 0, map[string]bool{}
			for i, n := range part {
				for j := range sent[i].scalars {
					v := &sent[i].scalars[j]
					switch n {
					case messages.Padded, messages.Vector:
						hidden++
						require.False(t, items[string(field.Encode(nil, v))], "%s is in the proof as it is", sent[i].label)
					case messages.Masked:
						clear[sent[i].label] = true
						require.True(t, items[string(field.Encode(nil, v))])
					}
				}
			}
			require.Positive(t, hidden)
			require.Equal(t, map[string]bool{"f(c), g(c)": true, "t_D": true, "phi": true, "rest": true}, clear)
			small(t, items)
		})
	}
}

// small demands that no item is a small integer: whatever leaks unpadded from an integer program would be one.
func small(t *testing.T, items map[string]bool) {
	t.Helper()
	for x := int64(-1 << 10); x <= 1<<10; x++ {
		v := field.FromInt64(x)
		require.False(t, items[string(field.Encode(nil, &v))], fmt.Sprint(x))
	}
}
