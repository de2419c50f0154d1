//go:build !cuda

package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda"
)

// Without the tag there is no GPU, and a word on how to build for one.
func TestOpenWithoutTheTag(t *testing.T) {
	be, err := cuda.Open(0)
	require.ErrorIs(t, err, cuda.ErrNotBuilt)
	require.ErrorContains(t, err, "-tags cuda")
	require.Nil(t, be)
}
