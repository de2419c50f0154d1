// Command zkllmc turns a transformer in ONNX into a zero-knowledge prover and verifier in Go.
package main

import (
	_ "embed"
	"os"

	"github.com/zkllmc/zkllmc/compiler/cli"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// The module files give generated code that stands in no module the versions that this compiler was built with.
var (
	//go:embed go.mod
	goMod []byte
	//go:embed go.sum
	goSum []byte
)

// openDevice opens a device to make proofs on, of a program that is built for one.
var openDevice func(ordinal int) (backend.Backend, error)

func main() {
	os.Exit(cli.Main(cli.Module{GoMod: goMod, GoSum: goSum, Device: openDevice}, os.Args[1:]))
}
