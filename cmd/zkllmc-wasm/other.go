//go:build !(js && wasm)

// Command zkllmc-wasm is for js/wasm alone.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "zkllmc-wasm is the verifier for JavaScript: build it with GOOS=js GOARCH=wasm, or take zkllmc-verifier")
	os.Exit(2)
}
