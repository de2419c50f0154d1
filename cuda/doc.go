// Package cuda is the place of the GPU backend: an implementation of internal/backend.Backend whose proofs are byte-equal to the cpu
// backend's. Its sessions would keep a model's weights on a device, its runs a proof's witness and vectors; internal/test/conformance is the
// suite that it has to pass.
//
// What there is of it stands in the packages below: the kernels, what a device is, GPUs, and an emulator that runs the kernels on the
// processor. Every proof is made on the CPU, and nothing has run on a GPU.
package cuda
