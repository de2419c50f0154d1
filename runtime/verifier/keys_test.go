package verifier_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// A circuit that says nothing of an output has no valid key.
func TestCircuitsWithoutKeys(t *testing.T) {
	for name, test := range map[string]struct {
		want  string
		build func(b *circuit.Builder)
	}{
		"a private output": {"reveals nothing", func(b *circuit.Builder) {
			w := b.Weight("w", 4, 2)
			b.Lookup(gadget.Range(b, -8, 7), w)
			gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Nothing}, w)
		}},
		"no output": {"reveals nothing", func(b *circuit.Builder) { b.Lookup(gadget.Range(b, -8, 7), b.Weight("w", 4, 2)) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBuilder(circuit.Config{Name: name, WeightBits: 4, WitnessBits: 4})
			test.build(b)
			c, err := b.Finish()
			require.NoError(t, err)
			w := format.NewWriter(format.MagicVerifyingKey, c.Digest())
			for range 100 {
				w.Point(group.Affine{})
			}
			_, err = verifier.ReadKey(context.Background(), circuit.Single(c), function.Kind, w.Bytes())
			require.ErrorContains(t, err, test.want)
		})
	}
}

// A verifier that takes statements of another kind than the circuit's has no valid key.
func TestKeyOfAnotherKind(t *testing.T) {
	g := targets()[0]
	_, err := verifier.ReadKey(context.Background(), circuit.Single(g.c), function.Kind, g.vk)
	require.ErrorIs(t, err, statement.ErrKind)
}

// A pinned key is decoded as strictly as one that is verified.
func TestPinnedKeyWithABadPoint(t *testing.T) {
	g := targets()[0]
	bad := bytes.Clone(g.vk)
	bad[keyHead] = 0 // no flag
	_, err := verifier.ReadPinnedKey(context.Background(), circuit.Single(g.c), generation.Kind, bad, g.key.ModelID())
	require.ErrorIs(t, err, format.ErrEncoding)
	_, err = verifier.ReadPinnedKey(context.Background(), circuit.Single(g.c), generation.Kind, g.vk[:keyHead+itemSize/2], g.key.ModelID())
	require.ErrorIs(t, err, format.ErrTruncated)
}

// The same points are another model in another circuit.
func TestModelIDNamesTheCircuit(t *testing.T) {
	c, other := model("argmax", circuit.Argmax, false, true), model("another", circuit.Argmax, false, true)
	points := []group.Affine{group.H(), group.U()}
	require.Equal(t, protocol.ModelID(circuit.Single(c), points), protocol.ModelID(circuit.Single(c), points))
	require.NotEqual(t, protocol.ModelID(circuit.Single(c), points), protocol.ModelID(circuit.Single(other), points))
	require.NotEqual(t, protocol.ModelID(circuit.Single(c), points), protocol.ModelID(circuit.Single(c), points[:1]))
	require.NotEqual(t, protocol.ModelID(circuit.Single(c), points), protocol.ModelID(circuit.Single(c), []group.Affine{group.U(), group.H()}))
}

// What is too long or too short is refused for that, before anything in it is looked at: all elements of these files are no points and no
// scalars, and only that of the right size gets so far that somebody notices.
func TestSizesComeFirst(t *testing.T) {
	g := targets()[0]
	damaged := func(data []byte, head, more int) []byte {
		d := append(bytes.Clone(data[:head]), bytes.Repeat([]byte{0xff}, len(data)-head+max(more, 0))...)
		return d[:len(data)+more]
	}
	for name, c := range map[string]struct {
		data []byte
		head int
		read func([]byte) error
	}{
		"proof": {g.proofs[0], proofHead, func(d []byte) error { return g.key.Verify(g.statement, d) }},
		"key": {g.vk, keyHead, func(d []byte) error {
			_, err := verifier.ReadKey(context.Background(), circuit.Single(g.c), generation.Kind, d)
			return err
		}},
		"pinned key": {g.vk, keyHead, func(d []byte) error {
			_, err := verifier.ReadPinnedKey(context.Background(), circuit.Single(g.c), generation.Kind, d, g.key.ModelID())
			return err
		}},
	} {
		require.ErrorIs(t, c.read(damaged(c.data, c.head, 0)), format.ErrEncoding, name)
		for _, more := range []int{1, itemSize, 10 << 20} {
			require.ErrorIs(t, c.read(damaged(c.data, c.head, more)), format.ErrTrailing, "%s, %d more", name, more)
		}
		for _, less := range []int{1, itemSize} {
			require.ErrorIs(t, c.read(damaged(c.data, c.head, -less)), format.ErrTruncated, "%s, %d less", name, less)
		}
	}
	require.ErrorContains(t, g.key.Verify(append(bytes.Clone(g.statement), make([]byte, 10<<20)...), nil), "trailing")
}

// countdown is a context that ends at the n-th look at it.
type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// Whenever the context ends, so does the work, with the context's error; the rest is not read. One that lasts changes nothing.
func TestCancelled(t *testing.T) {
	g := targets()[0]
	for name, f := range map[string]func(ctx context.Context) error{
		"verify": func(ctx context.Context) error { return g.key.VerifyContext(ctx, g.statement, g.proofs[0]) },
		"key": func(ctx context.Context) error {
			_, err := verifier.ReadKey(ctx, circuit.Single(g.c), generation.Kind, g.vk)
			return err
		},
		"pinned": func(ctx context.Context) error {
			_, err := verifier.ReadPinnedKey(ctx, circuit.Single(g.c), generation.Kind, g.vk, g.key.ModelID())
			return err
		},
	} {
		all := &countdown{context.Background(), 1 << 20}
		require.NoError(t, f(all), name)
		looks := 1<<20 - all.n
		require.Positive(t, looks)
		for _, n := range []int{0, min(1, looks-1), looks / 2, looks - 1} {
			c := &countdown{context.Background(), n}
			require.ErrorIs(t, f(c), context.Canceled, "%s, %d of %d", name, n, looks)
			require.Equal(t, -1, c.n, "%s: it went on reading", name)
		}
	}
}

// What accept writes and prints is read back, and nothing that is not an ID.
func TestParseModelID(t *testing.T) {
	id := targets()[0].key.ModelID()
	hex := fmt.Sprintf("%x", id)
	for _, text := range []string{hex, hex + "\n", hex + "\r\n", "  " + hex + " ", "model ID  " + hex, "model ID  " + hex + "\n", strings.ToUpper(hex)} {
		got, err := verifier.ParseModelID(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, id, got)
	}
	for _, text := range []string{"", hex[1:], hex + "00", hex[:63] + "g", hex + " " + hex, "circuit   " + hex, "model ID", hex + "\x00", "0x" + hex} {
		_, err := verifier.ParseModelID(text)
		require.ErrorIs(t, err, verifier.ErrModelID, "%q", text)
	}
}
