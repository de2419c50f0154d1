//go:build cuda

package main

import "github.com/zkllmc/zkllmc/cuda"

// Workers of a program that is built with the tag cuda make proofs on the first GPU.
func init() { openDevice = cuda.Open }
