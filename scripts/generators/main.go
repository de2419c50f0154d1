// Generators writes files of generators into a folder, those that proofs of models of any size begin with, for the page on which customers
// check proofs: deriving them in a browser takes seconds.
//
//	go run ./scripts/generators FOLDER
package main

import (
	"fmt"
	"os"

	"github.com/zkllmc/zkllmc/internal/group"
)

// The widths of rows of the models that we know, and more pads and vectors than their proofs have. What a proof takes beyond is derived.
const (
	narrowest, widest = 1 << 9, 1 << 16
	pads              = 1 << 11
	vectors           = 4
	vector            = 1 << 12
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "generators: want a folder")
		os.Exit(2)
	}
	group.KeepIn(os.Args[1])
	for width := narrowest; width <= widest; width *= 2 {
		group.Row(width)
	}
	group.Pad(pads)
	for k := range vectors {
		group.Vec(k, vector)
	}
	if files, err := os.ReadDir(os.Args[1]); err != nil || len(files) != 13 {
		fmt.Fprintln(os.Stderr, "generators: they could not be written into", os.Args[1], err)
		os.Exit(1)
	}
}
