package tensor

//go:noescape
func dotNEON(dst *int64, a *int16, aStride int, b *int16, bStride, n int)

// kernels are those that this processor runs: every one of this architecture has NEON.
func kernels() []kernel { return []kernel{{"NEON", dotNEON}} }
