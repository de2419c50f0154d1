package matrix

import "golang.org/x/sys/cpu"

//go:generate go -C asm run . -out ../tile_amd64.s -stubs ../tile_amd64.go -pkg matrix

// tile is tilePortable with the widest vectors that the processor has.
func tile(n int, a, b []float64, c *[tileRows * tileCols]float64) {
	switch {
	case n == 0:
	case cpu.X86.HasAVX512F:
		tileAVX512(n, &a[0], &b[0], &c[0])
	case cpu.X86.HasAVX:
		tileAVX(n, &a[0], &b[0], &c[0])
	default:
		tilePortable(n, a, b, c)
	}
}
