package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Once all cells were read, cells are what they were, and in the runs in which they were read: others could not be compared.
func TestSteadyWeightsAreReadAsBefore(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "steady", WeightBits: 4, WitnessBits: 4})
	id := b.Weight("w", 4, 6)
	b.Lookup(gadget.Range(b, -8, 7), id)
	c, err := b.Finish()
	require.NoError(t, err)
	in := loaded{id: integer.Tensor{Shape: []int{6}, V: []int64{1, 2, 3, 4, 5, 6}}}
	w := newSteady(c, in)
	for _, run := range [][2]int{{0, 4}, {4, 6}} {
		_, err := w.Cells(id, run[0], run[1])
		require.NoError(t, err)
	}
	w.all = true
	v, err := w.Cells(id, 0, 4)
	require.NoError(t, err)
	require.Equal(t, []int64{1, 2, 3, 4}, v.All())
	require.Equal(t, []int{4, 6}, w.ends[id])

	_, err = w.Cells(id, 0, 6)
	require.ErrorContains(t, err, "cells 0 to 5 are read in another way")
	in[id].V[5] = 7
	_, err = w.Cells(id, 4, 6)
	require.ErrorContains(t, err, "has changed since")
}
