package kerneltest

import (
	"testing"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	Constants(t, map[string]int{
		"field_operations": fieldOperations,
		"point_operations": pointOperations,
	})
}
