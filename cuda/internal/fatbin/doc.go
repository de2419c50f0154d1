// Package fatbin has the code of the CUDA kernels for GPUs, where it was built (make fatbin) and the tag cuda is set.
package fatbin
