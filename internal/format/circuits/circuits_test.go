package circuits_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	sums "github.com/zkllmc/zkllmc/generated/sums/circuit"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
)

// stored are circuit files of package format's known answers, of every kind of tensor, port and statement.
func stored(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("../testdata/*/model.circuit")
	require.NoError(t, err)
	require.Greater(t, len(names), 5)
	out := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		out[filepath.Base(filepath.Dir(name))] = data
	}
	return out
}

// unpacked is a file cut into its head and what deflate packs.
func unpacked(t testing.TB, file []byte) (head, stream []byte) {
	n := format.HeaderSize + 4
	stream, err := io.ReadAll(flate.NewReader(bytes.NewReader(file[n:])))
	require.NoError(t, err)
	return file[:n], stream
}

func packed(head, stream []byte) []byte {
	out := bytes.NewBuffer(bytes.Clone(head))
	z, _ := flate.NewWriter(out, flate.BestSpeed)
	z.Write(stream)
	z.Close()
	return out.Bytes()
}

// TestRoundTrip reads what was written: the same circuits, in every field that is not derived.
func TestRoundTrip(t *testing.T) {
	f, err := sums.Build()
	require.NoError(t, err)
	data, err := circuits.Encode(f)
	require.NoError(t, err)
	files := stored(t)
	files["sums"] = data
	for name, data := range files {
		got, err := circuits.Decode(t.Context(), data)
		require.NoError(t, err, name)
		again, err := circuits.Encode(got)
		require.NoError(t, err, name)
		require.Equal(t, data, again, name)
	}
	got, err := circuits.Decode(t.Context(), data)
	require.NoError(t, err)
	require.Equal(t, f.Shortest(), got.Shortest())
}

// TestDamaged: no file that was cut or changed is read as another circuit, and none makes the reader panic. Of changed ones the digest
// tells those that deflate and the builder do not.
func TestDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, data := range stored(t) {
		f, err := circuits.Decode(t.Context(), data)
		require.NoError(t, err, name)
		head, stream := unpacked(t, data)
		for n := 0; n < len(data); n += 1 + rng.IntN(1+len(data)/40) {
			_, err := circuits.Decode(t.Context(), data[:n])
			require.Error(t, err, "%s cut at %d", name, n)
		}
		for range 60 {
			other := bytes.Clone(stream)
			other[rng.IntN(len(other))] ^= byte(1 << rng.IntN(8))
			if got, err := circuits.Decode(t.Context(), packed(head, other)); err == nil {
				require.Equal(t, f.Digest(), got.Digest(), name)
			}
		}
		_, err = circuits.Decode(t.Context(), append(bytes.Clone(data), 0))
		require.ErrorIs(t, err, format.ErrTrailing, name)
		_, err = circuits.Decode(t.Context(), packed(head, append(bytes.Clone(stream), 0)))
		require.ErrorIs(t, err, format.ErrTrailing, name)
		other := bytes.Clone(data)
		other[12] ^= 1 // the digest
		_, err = circuits.Decode(t.Context(), other)
		require.ErrorIs(t, err, format.ErrEncoding, name)
	}
}

// TestForeign tells files of other kinds, versions and numbers of circuits.
func TestForeign(t *testing.T) {
	data := stored(t)["tiny"]
	for _, c := range []struct {
		at   int
		with []byte
		err  error
	}{
		{0, []byte(format.MagicProof), format.ErrMagic},
		{8, []byte{0, 0, 0, 9}, format.ErrVersion},
		{format.HeaderSize, []byte{0, 0, 0, 0}, format.ErrEncoding},
		{format.HeaderSize, []byte{255, 255, 255, 255}, format.ErrEncoding},
		{format.HeaderSize, []byte{0, 0, 0, 2}, format.ErrTruncated},
	} {
		other := bytes.Clone(data)
		copy(other[c.at:], c.with)
		_, err := circuits.Decode(t.Context(), other)
		require.ErrorIs(t, err, c.err)
	}
}

// TestBomb: a small file that unpacks to much is given up before that is in memory.
func TestBomb(t *testing.T) {
	head := format.NewWriter(format.MagicCircuit, [32]byte{})
	head.Uint32(1)
	list := func(n int64, fill byte, more ...byte) []byte {
		return append(append(more, binary.AppendVarint(nil, n)...), bytes.Repeat([]byte{fill}, 1<<23)...)
	}
	for name, stream := range map[string][]byte{
		"tables without columns":  list(1<<26, 0),
		"a column":                list(1<<26, 2, 2, 0, 2),
		"a length beyond all":     list(1<<40, 0),
		"a text that ends early":  append([]byte{2}, binary.AppendVarint(nil, 1<<16)...),
		"a varint without an end": bytes.Repeat([]byte{255}, 1<<20),
	} {
		var err error
		grown := testing.AllocsPerRun(1, func() { _, err = circuits.Decode(context.Background(), packed(head.Bytes(), stream)) })
		require.Error(t, err, name)
		require.Less(t, grown, 3e6, name)
	}
}

// TestCancelled gives up with the context's error.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := circuits.Decode(ctx, stored(t)["tiny"])
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzDecode looks for files that make the reader panic, or that it reads as circuits with another digest than they say.
func FuzzDecode(f *testing.F) {
	for _, data := range stored(f) {
		_, stream := unpacked(f, data)
		f.Add(stream)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		head := format.NewWriter(format.MagicCircuit, [32]byte{})
		head.Uint32(1)
		var family *circuit.Family
		family, err := circuits.Decode(t.Context(), packed(head.Bytes(), stream))
		if err == nil {
			t.Fatalf("it is read as circuit %x", family.Digest())
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	f, err := sums.Build()
	require.NoError(b, err)
	data, err := circuits.Encode(f)
	require.NoError(b, err)
	b.ReportMetric(float64(len(data)), "bytes")
	for b.Loop() {
		_, err := circuits.Decode(b.Context(), data)
		require.NoError(b, err)
	}
}
