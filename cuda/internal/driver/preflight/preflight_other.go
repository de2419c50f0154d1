//go:build cuda && !(linux && (amd64 || arm64))

package preflight

// Missing says nothing: here gorgonia.org/cu ends a program without a device itself.
func Missing() string { return "" }
