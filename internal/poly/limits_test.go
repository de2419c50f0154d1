package poly

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Points whose length does not suit are a caller's defect: no value is made up for them.
func TestPointsOfOtherLengths(t *testing.T) {
	for name, f := range map[string]func(){
		"EqAt":                  func() { EqAt(make([]Element, 2), make([]Element, 3)) },
		"EqAt, other way":       func() { EqAt(make([]Element, 3), make([]Element, 2)) },
		"ValidPair":             func() { ValidPair(make([]Element, 2), make([]Element, 3), 3) },
		"ValidPair, other way":  func() { ValidPair(make([]Element, 3), make([]Element, 2), 3) },
		"EvalInts, short point": func() { EvalInts(make([]int64, 6), []int{2, 3}, make([]Element, 2)) },
		"EvalInts, long point":  func() { EvalInts(make([]int64, 6), []int{2, 3}, make([]Element, 4)) },
		"EvalInts, more values": func() { EvalInts(make([]int64, 7), []int{2, 3}, make([]Element, 3)) },
		"EvalInts, less values": func() { EvalInts(make([]int64, 5), []int{2, 3}, make([]Element, 3)) },
	} {
		require.Panics(t, f, name)
	}
	require.NotPanics(t, func() { EvalInts(make([]int64, 6), []int{2, 3}, make([]Element, 3)) })
}
