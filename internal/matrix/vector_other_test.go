//go:build !amd64

package matrix

// vectors are all functions for tiles that this processor runs.
func vectors() map[string]func(int, []float64, []float64, *[tileRows * tileCols]float64) {
	return map[string]func(int, []float64, []float64, *[tileRows * tileCols]float64){"portable": tilePortable, "chosen": tile}
}
