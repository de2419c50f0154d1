package verifier_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// A circuit that says nothing of an output, and one without a model, have no valid key.
func TestCircuitsWithoutKeys(t *testing.T) {
	for name, test := range map[string]struct {
		want  string
		build func(b *circuit.Builder)
	}{
		"no output": {"reveals nothing", func(b *circuit.Builder) { b.Lookup(gadget.Range(b, -8, 7), b.Weight("w", 4, 2)) }},
		"no model": {"has no weights", func(b *circuit.Builder) {
			b.Lookup(gadget.Range(b, 0, 1), b.Witness("x", 0, 1, 2))
			b.Output(b.Const("logits", make([]int64, 2), 1, 2))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBuilder(circuit.Config{Name: name, Length: 1, Vocab: 2, Reveal: circuit.RevealArgmax, WeightBits: 4, WitnessBits: 4})
			test.build(b)
			c, err := b.Finish()
			require.NoError(t, err)
			w := format.NewWriter(format.MagicVerifyingKey, c.Digest())
			for range 100 {
				w.Point(group.Affine{})
			}
			_, err = verifier.ReadKey(c, w.Bytes())
			require.ErrorContains(t, err, test.want)
		})
	}
}

// A pinned key is decoded as strictly as one that is verified.
func TestPinnedKeyWithABadPoint(t *testing.T) {
	g := targets()[0]
	bad := bytes.Clone(g.vk)
	bad[keyHead] = 0 // no flag
	_, err := verifier.ReadPinnedKey(g.c, bad, g.key.ModelID())
	require.ErrorIs(t, err, format.ErrEncoding)
	_, err = verifier.ReadPinnedKey(g.c, g.vk[:keyHead+itemSize/2], g.key.ModelID())
	require.ErrorIs(t, err, format.ErrTruncated)
}

// The same points are another model in another circuit.
func TestModelIDNamesTheCircuit(t *testing.T) {
	c, other := model("argmax", circuit.RevealArgmax, false, true), model("another", circuit.RevealArgmax, false, true)
	points := []group.Affine{group.H(), group.U()}
	require.Equal(t, verifier.ModelID(c, points), verifier.ModelID(c, points))
	require.NotEqual(t, verifier.ModelID(c, points), verifier.ModelID(other, points))
	require.NotEqual(t, verifier.ModelID(c, points), verifier.ModelID(c, points[:1]))
	require.NotEqual(t, verifier.ModelID(c, points), verifier.ModelID(c, []group.Affine{group.U(), group.H()}))
}
