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
			if n >= len(head) {
				require.ErrorIs(t, err, format.ErrTruncated, "%s cut at %d", name, n)
			}
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
		{format.HeaderSize + 4, []byte{7}, format.ErrEncoding}, // a block of no kind
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

// raw is a stream: integers as varints, texts behind their lengths.
func raw(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = binary.AppendVarint(out, int64(p))
		case string:
			out = append(binary.AppendVarint(out, int64(len(p))), p...)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// TestLimits: what is small as a file and large as a circuit is refused before anything is made of it.
func TestLimits(t *testing.T) {
	head := format.NewWriter(format.MagicCircuit, [32]byte{})
	head.Uint32(1)
	const constant, virtual, weight = int(circuit.Const), int(circuit.Virtual), int(circuit.Weight)
	begin := func(tensors int) []byte { return raw(0, "c", 4, 4, -1, 0, 0, tensors) } // no tables, no ports
	factor := raw(0, 0)                                                               // tensor 0, no axes
	for name, c := range map[string]struct {
		stream []byte
		says   string
	}{
		"a constant without cells": {raw(begin(1), constant, "k", 1, 1<<31-1, 0), "0 values for shape"},
		"rows of 2^19":             {raw(0, "c", 19, 4), "a width is 19"},
		"weights without end":      {raw(begin(1), weight, "w", 1, 1<<30, -8, 7), "rows"},
		"a name of two lines":      {raw(0, "c\nmodel ID 0", 4, 4), "do not show"},
		"a name of escapes":        {raw(0, "c\x1b[3A", 4, 4), "do not show"},
		"2000 ports":               {raw(0, "c", 4, 4, -1, 2000), "ports is 2000"},
		"17 columns":               {raw(1, "t", 17), "columns is 17"},
		"65 labels":                {raw(begin(1), virtual, "v", 1, 1, 0, 1, 1, 65), "labels is 65"},
		"33 factors":               {raw(begin(1), virtual, "v", 1, 1, 0, 1, 1, 0, 0, 33), "factors is 33"},
		"a factor after another":   {raw(begin(1), virtual, "v", 1, 1, 0, 1, 1, 0, 0, 2, factor, factor), "the term names 0"},
		"65 terms of no factor":    {raw(begin(1), virtual, "v", 1, 1, 0, 65, bytes.Repeat(raw(1, 0, 0, 0), 65)), "65 terms without factors"},
	} {
		_, err := circuits.Decode(t.Context(), packed(head.Bytes(), c.stream))
		require.ErrorContains(t, err, c.says, name)
	}
}

// TestNames reads no names that would write something else on a screen than a name.
func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"c": true, "模型 1": true, "a\nb": false, "a\x1b[2J": false, "\xff": false, "\u202e": false} {
		b := circuit.NewBuilder(circuit.Config{Name: name, WeightBits: 4, WitnessBits: 4})
		p := b.Input(circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{2}, Lo: -1, Hi: 1, Reveal: circuit.Values})
		x := b.View("x", circuit.PortValues, p)
		b.Carry(p, x)
		w := b.Weight("w", 2, 2)
		table := b.TableOf("r", func() [][]int64 { return [][]int64{{-2, -1, 0, 1}} })
		b.Lookup(table, w)
		y := b.Virtual("y", []int{2}, b.Times(1, "i,i->i i=2", x, w))
		out := b.Output(circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
		told := b.View("told", circuit.PortValues, out)
		b.Zero(b.Virtual("d", []int{2}, b.Times(1, "i->i i=2", y), b.Times(-1, "i->i i=2", told)))
		c, err := b.Finish()
		require.NoError(t, err, name)
		data, err := circuits.Encode(circuit.Single(c))
		require.NoError(t, err)
		_, err = circuits.Decode(t.Context(), data)
		require.Equal(t, ok, err == nil, "%q: %v", name, err)
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
