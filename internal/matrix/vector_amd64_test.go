package matrix

import "golang.org/x/sys/cpu"

// vectors are all functions for tiles that this processor runs.
func vectors() map[string]func(int, []float64, []float64, *[tileRows * tileCols]float64) {
	kinds := map[string]func(int, []float64, []float64, *[tileRows * tileCols]float64){"portable": tilePortable, "chosen": tile}
	some := func(f func(int, *float64, *float64, *float64)) func(int, []float64, []float64, *[tileRows * tileCols]float64) {
		return func(n int, a, b []float64, c *[tileRows * tileCols]float64) {
			if n > 0 {
				f(n, &a[0], &b[0], &c[0])
			}
		}
	}
	if cpu.X86.HasAVX {
		kinds["AVX"] = some(tileAVX)
	}
	if cpu.X86.HasAVX512F {
		kinds["AVX-512"] = some(tileAVX512)
	}
	return kinds
}
