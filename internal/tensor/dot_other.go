//go:build !amd64 && !arm64

package tensor

// kernels are those that this processor runs: there are none for it.
func kernels() []kernel { return nil }
