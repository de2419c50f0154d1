// Package driver opens GPUs, as devices of package cuda/device, through gorgonia.org/cu, where the tag cuda is set. Without the tag it links
// nothing of CUDA, and Open says how to build it.
//
// No part of it has ever run on a GPU.
package driver

// GPU describes one.
type GPU struct {
	Name         string
	Memory       int64 // bytes
	Major, Minor int   // compute capability
}
