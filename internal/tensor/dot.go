package tensor

// What every kernel for inner products is asked for: four rows against four, of a multiple of dotStep cells and at most maxRun. A kernel
// may add up products in lanes of 32 bits, at least four of them: maxDigit·2^15·maxRun/4 < 2^31.
const (
	dotTile  = 4
	dotStep  = 32
	maxRun   = 1024
	maxDigit = 255 // of a; b is any integer of 16 bits
)

// products are the inner products of four rows with four.
type products [dotTile * dotTile]int64

// dot is dotPortable, as fast as the processor can; narrowPays says that this is faster than products of integers of 64 bits.
var dot, narrowPays = fastest()

func fastest() (f func(dst *products, a []int16, as int, b []int16, bs, n int), pays bool) {
	if all := kernels(); len(all) > 0 {
		return all[0].dot, true
	}
	return dotPortable, false
}

// dotPortable writes the inner products of four rows of a with four rows of b, of n cells each: dst[4·i + j] = Σ_k a[i·as + k]·b[j·bs + k].
// It defines what kernels give.
func dotPortable(dst *products, a []int16, as int, b []int16, bs, n int) {
	for i := range dotTile {
		x := a[i*as:][:n]
		for j := range dotTile {
			y, sum := b[j*bs:][:n], int64(0)
			for k, v := range x {
				sum += int64(v) * int64(y[k])
			}
			dst[i*dotTile+j] = sum
		}
	}
}

// kernel is dot in assembly.
type kernel struct {
	needs string // of the processor
	run   func(dst *int64, a *int16, aStride int, b *int16, bStride, n int)
}

// dot looks at the operands before the kernel reads them.
func (k kernel) dot(dst *products, a []int16, as int, b []int16, bs, n int) {
	if n <= 0 || n%dotStep != 0 || n > maxRun || as < 0 || bs < 0 {
		panic("tensor: rows of a length that no kernel takes")
	}
	_, _ = a[(dotTile-1)*as+n-1], b[(dotTile-1)*bs+n-1]
	k.run(&dst[0], &a[0], as, &b[0], bs, n)
}
