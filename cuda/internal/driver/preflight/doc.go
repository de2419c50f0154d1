// Package preflight says, before anything else runs, what a program for GPUs misses on this machine, and ends it with exit code 3. It has no
// names: it is there to be imported, and does something where the tag cuda is set.
package preflight
