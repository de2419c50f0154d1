// Package preflight lets programs for GPUs begin on machines that have no driver, or no GPU: what is missing it says to whoever opens a device, and
// nothing ends a process for it. Where the tag cuda is not set it has nothing.
package preflight
