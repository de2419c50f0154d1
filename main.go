// Command zkllmc turns a transformer in ONNX into a zero-knowledge prover and verifier in Go.
package main

import (
	_ "embed"
	"os"

	"github.com/zkllmc/zkllmc/compiler/cli"
)

// The module files give generated code that stands in no module the versions that this compiler was built with.
var (
	//go:embed go.mod
	goMod []byte
	//go:embed go.sum
	goSum []byte
)

func main() {
	os.Exit(cli.Main(cli.Module{GoMod: goMod, GoSum: goSum}, os.Args[1:]))
}
