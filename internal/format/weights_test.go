package format_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// weighted is a circuit with two weights.
func weighted(t testing.TB, name string) (*circuit.Circuit, map[circuit.ID]integer.Tensor) {
	b := circuit.NewBuilder(circuit.Config{Name: name, WeightBits: 4, WitnessBits: 4})
	first, second := b.Weight("first", 4, 2, 3), b.Weight("second", 16, 2)
	b.Lookup(b.TableOf("range", func() [][]int64 { return [][]int64{{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}} }), first)
	c, err := b.Finish()
	require.NoError(t, err)
	return c, map[circuit.ID]integer.Tensor{
		first:  {Shape: []int{2, 3}, V: []int64{-8, -1, 0, 1, 6, 7}},
		second: {Shape: []int{2}, V: []int64{-32768, 32767}},
	}
}

func TestWeights(t *testing.T) {
	c, want := weighted(t, "c")
	data, err := format.EncodeWeights(circuit.Single(c), want)
	require.NoError(t, err)
	require.Len(t, data, format.WeightsSize(circuit.Single(c)))
	got, err := format.DecodeWeights(circuit.Single(c), data)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for id, w := range want {
		v := got[id]
		require.Equal(t, w.Shape, v.Shape)
		require.Equal(t, w.V, v.All())
	}

	var stream bytes.Buffer
	var list []format.Weight
	for i, name := range []string{"first", "second"} {
		w := want[circuit.ID(i)]
		list = append(list, format.Weight{Name: name, Shape: w.Shape, Cells: w.Len(), Read: func(dst []int16, from int) error {
			for i, x := range w.Cells(from, from+len(dst)) {
				dst[i] = int16(x)
			}
			return nil
		}})
	}
	require.NoError(t, format.WriteWeights(&stream, c.Digest(), list))
	require.Equal(t, data, stream.Bytes())
}

// Cells are written as 16 bits, the higher ones first, in whichever type they are, also where they are more than are encoded at a time.
func TestWriteCells(t *testing.T) {
	for _, n := range []int{0, 1, 1<<14 - 1, 1 << 14, 1<<15 + 3} {
		long, short, want := integer.Tensor{V: make([]int64, n)}, integer.Tensor{Short: make([]int16, n)}, make([]byte, 0, 2*n)
		mid := integer.Tensor{Mid: make([]int32, n)}
		for i := range n {
			x := int16(i*7919 - 1<<15)
			long.V[i], mid.Mid[i], short.Short[i] = int64(x), int32(x), x
			want = append(want, byte(uint16(x)>>8), byte(x))
		}
		for _, v := range []integer.Tensor{long, mid, short} {
			var got bytes.Buffer
			require.NoError(t, format.WriteCells(&got, v))
			require.True(t, bytes.Equal(want, got.Bytes()), n)
		}
	}
}

// summed is a file with the checksum put right.
func summed(d []byte) []byte {
	n := max(0, len(d)-format.SumSize)
	sum := sha256.Sum256(d[:n])
	return append(d[:n:n], sum[:len(d)-n]...)
}

// header is what precedes the first weight: magic, version, digest, count.
const header = 8 + 4 + 32 + 4

func TestDecodeWeightsRefuses(t *testing.T) {
	c, w := weighted(t, "c")
	data, err := format.EncodeWeights(circuit.Single(c), w)
	require.NoError(t, err)
	set := func(at int, v uint32) func([]byte) []byte {
		return func(d []byte) []byte { binary.BigEndian.PutUint32(d[at:], v); return d }
	}
	first := header + 4 + len("first") // behind the first weight's name
	for name, k := range map[string]struct {
		f    func([]byte) []byte
		err  error
		text string
	}{
		"damaged":              {func(d []byte) []byte { d[len(d)-format.SumSize-1] ^= 2; return d }, format.ErrDamaged, "damaged"}, // in its last cell
		"checksum":             {func(d []byte) []byte { d[len(d)-1] ^= 1; return d }, format.ErrDamaged, "damaged"},
		"trailing":             {func(d []byte) []byte { return append(d, 0) }, format.ErrTrailing, "1 bytes"},
		"trailing and damaged": {func(d []byte) []byte { return append(set(header-4, 3)(d), 0) }, format.ErrTrailing, "1 bytes"}, // the size comes first
		"kind":                 {func(d []byte) []byte { return append([]byte("zkllm-pf"), d[8:]...) }, format.ErrMagic, "it is a proof, not a weights file"},
		"version":              {set(8, 2), format.ErrVersion, "version 2, want 1"},
		"circuit":              {set(12, 0), format.ErrCircuit, "digest"},
		"count":                {set(header-4, 3), format.ErrWeight, "3 weights, want 2"},
		"name length":          {set(header, 1<<31), format.ErrWeight, "weight 1 of 2, first: the weights do not suit the circuit: its name has"},
		"name":                 {func(d []byte) []byte { d[header+4] = 'F'; return d }, format.ErrWeight, `the file has "First" in its place`},
		"axes":                 {set(first, 1<<30), format.ErrWeight, "axes in the file, want the shape [2 3]"},
		"extent":               {set(first+4, 1<<31), format.ErrWeight, "axis 0 has extent 2147483648"},
		"range":                {func(d []byte) []byte { d[first+12+1] = 0xf7; return d }, format.ErrWeight, "cell 0 is -9, outside the declared [-8, 7]"},
	} {
		d := k.f(append([]byte(nil), data...))
		if k.err != format.ErrDamaged { // who makes a file of his own makes its checksum, too
			d = summed(d)
		}
		_, err := format.DecodeWeights(circuit.Single(c), d)
		require.ErrorIs(t, err, k.err, name)
		require.ErrorContains(t, err, k.text, name)
	}
	for n := range data {
		_, err := format.DecodeWeights(circuit.Single(c), data[:n])
		require.ErrorIs(t, err, format.ErrTruncated, n)
	}
	other, _ := weighted(t, "other")
	_, err = format.DecodeWeights(circuit.Single(other), data)
	require.ErrorIs(t, err, format.ErrCircuit)
}

func TestEncodeWeightsRefuses(t *testing.T) {
	c, w := weighted(t, "c")
	for name, v := range map[string]integer.Tensor{
		"shape": {Shape: []int{3, 2}, V: w[0].V}, "cells": {Shape: []int{2, 3}, V: w[0].V[:5]},
		"range": {Shape: []int{2, 3}, V: []int64{8, 0, 0, 0, 0, 0}},
	} {
		_, err := format.EncodeWeights(circuit.Single(c), map[circuit.ID]integer.Tensor{0: v, 1: w[1]})
		require.ErrorIs(t, err, format.ErrWeight, name)
		require.ErrorContains(t, err, "first", name)
	}
	_, err := format.EncodeWeights(circuit.Single(c), map[circuit.ID]integer.Tensor{0: w[0]})
	require.ErrorContains(t, err, "there is no weight second")
	err = format.WriteCells(&bytes.Buffer{}, integer.Tensor{Shape: []int{2}, V: []int64{-1 << 15, 1 << 15}})
	require.ErrorContains(t, err, "cell 1 is 32768, which 16 bits do not hold")
	unread := errors.New("unread")
	one := format.Weight{Name: "w", Shape: []int{1}, Cells: 1, Read: func([]int16, int) error { return unread }}
	require.ErrorIs(t, format.WriteWeights(&bytes.Buffer{}, c.Digest(), []format.Weight{one}), unread)
	one.Cells = 2
	require.ErrorContains(t, format.WriteWeights(&bytes.Buffer{}, c.Digest(), []format.Weight{one}), "weight w of shape [1] has 2 cells")
}
