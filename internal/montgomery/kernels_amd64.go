package montgomery

import "golang.org/x/sys/cpu"

//go:generate go run -C asm . -out ../kernels_amd64.s -pkg montgomery

//go:noescape
func mulKernel(table, dst, a, b *uint64, n int)

//go:noescape
func scaleKernel(table, dst, a, c *uint64, n int)

//go:noescape
func lerpKernel(table, dst, lo, hi, c *uint64, n int)

//go:noescape
func dotKernel(table, sums, a, b *uint64, n int)

//go:noescape
func mulSplitKernel(table, even, odd, a, b *uint64, n int)

//go:noescape
func lerpSplitKernel(table, even, odd, lo, hi, c *uint64, n int)

//go:noescape
func axpySplitKernel(table, even, odd, a, b, c *uint64, n int)

//go:noescape
func fractionsKernel(table, pEven, pOdd, qEven, qOdd, p0, p1, q0, q1 *uint64, n int)

//go:noescape
func onesKernel(table, pEven, pOdd, qEven, qOdd, q0, q1 *uint64, n int)

//go:noescape
func affine1x16(table, dst, constants *uint64, col0 *int16, n int) uint64

//go:noescape
func affine1x16Quarters(table, dst0, dst1, dst2, dst3, constants *uint64, col0 *int16, n int) uint64

//go:noescape
func affine2x16(table, dst, constants *uint64, col0, col1 *int16, n int) uint64

//go:noescape
func affine2x16Quarters(table, dst0, dst1, dst2, dst3, constants *uint64, col0, col1 *int16, n int) uint64

//go:noescape
func affine1x64(table, dst, constants *uint64, col0 *int64, n int) uint64

//go:noescape
func affine1x64Quarters(table, dst0, dst1, dst2, dst3, constants *uint64, col0 *int64, n int) uint64

//go:noescape
func affine2x64(table, dst, constants *uint64, col0, col1 *int64, n int) uint64

//go:noescape
func affine2x64Quarters(table, dst0, dst1, dst2, dst3, constants *uint64, col0, col1 *int64, n int) uint64

//go:noescape
func pairs1Quarters(table, p0, p1, p2, p3, q0, q1, q2, q3, constants *uint64, col0 *int16, n int)

//go:noescape
func pairs2Quarters(table, p0, p1, p2, p3, q0, q1, q2, q3, constants *uint64, col0, col1 *int16, n int)

//go:noescape
func bound1Split(table, even0, odd0, even1, odd1, constants *uint64, col0 *int16, n int)

//go:noescape
func bound2Split(table, even0, odd0, even1, odd1, constants *uint64, col0, col1 *int16, n int)

//go:noescape
func boundPairs1Split(table, sum, other, even0, odd0, even1, odd1, constants *uint64, col0 *int16, n int)

//go:noescape
func boundPairs2Split(table, sum, other, even0, odd0, even1, odd1, constants *uint64, col0, col1 *int16, n int)

//go:noescape
func lerpPairsKernel(table, dst, a, c *uint64, n int)

//go:noescape
func slopesKernel(table, den, num, a, b *uint64, ops *int32, n int)

//go:noescape
func productsKernel(table, dst, a, b *uint64, n int)

//go:noescape
func lowerKernel(table, dst, a *uint64, n int)

//go:noescape
func raiseKernel(table, dst, a *uint64, n int)

//go:noescape
func chordsKernel(table, num, inv, dst, a, b *uint64, ops *int32, n int)

// haveKernels says whether this processor runs them.
func haveKernels() bool {
	return cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512IFMA && cpu.X86.HasAVX512VBMI2
}
