//go:build !amd64

package cpu

// Without kernels no integer fits them.

func dotKernel[T integers](*[(limbs + 1) * lanes]uint64, []T, []uint64) bool { return true }

func foldKernel[T integers]([]uint64, *[foldRows][]T, *[foldRows * limbs]uint64, int) bool {
	return true
}
