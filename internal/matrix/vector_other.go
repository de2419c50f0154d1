//go:build !amd64

package matrix

func tile(n int, a, b []float64, c *[tileRows * tileCols]float64) { tilePortable(n, a, b, c) }
