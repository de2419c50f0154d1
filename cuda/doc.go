// Package cuda is the backend for GPUs, which Open opens: an implementation of internal/backend.Backend over a device, whose proofs are byte-equal to the cpu
// backend's. Sessions keep a model's weights on the device as long as there is memory, programs a witness, runs a proof's vectors; what a kernel is to do goes up as lists of
// tasks, results come down in one piece, and in between nothing waits. The last rounds of sums, too short for a device, are the cpu backend's.
//
// The packages below, which nobody else imports, have the kernels, what a device is, GPUs, and an emulator that runs the kernels on the processor, on
// which all of this has run.
// Nothing has run on a GPU.
package cuda
