// Package cuda is the place of the GPU backend: an implementation of internal/backend.Backend whose proofs are byte-equal to the cpu
// backend's, driven through gorgonia.org/cu and built with the tag cuda. Its sessions would keep a model's weights on the device, its runs
// a proof's witness and vectors; internal/test/conformance is the suite that it has to pass.
//
// There are no kernels in this version: every proof is made on the CPU. What exists is the probe that a GPU build starts with,
// Devices. Without the tag the package links nothing of CUDA and Devices says how to build it.
package cuda

// Device is one GPU.
type Device struct {
	Name         string
	Memory       int64 // bytes
	Major, Minor int   // compute capability
}
