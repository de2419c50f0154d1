package compiler_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/generated/sums/verifier"
	"github.com/zkllmc/zkllmc/generated/sums/vocab"
)

// Compile returns the files of a Go package: circuit, prover and verifier of this one model, and its quantised weights.
func ExampleCompile() {
	r, err := compiler.Compile(context.Background(), "../models/sums/model.onnx", compiler.Config{
		Name: "sums", RevealArgmax: true, Pad: 13, ImportPath: "example.com/sums", Vocab: vocab.File,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range r.Files {
		fmt.Println(f.Path)
	}
	// Output:
	// circuit/circuit.go
	// circuit/constants.bin
	// verifier/verifier.go
	// prover/prover.go
	// cmd/prover/main.go
	// cmd/verifier/main.go
	// vocab/vocab.go
	// vocab/vocab.json
	// weights.zkw
}

// A model is refused with the node that is to blame, or with the name that the model does not have.
func ExampleCompile_refused() {
	_, err := compiler.Compile(context.Background(), "../models/sums/model.onnx", compiler.Config{Private: []string{"no such weight"}})
	fmt.Println(errors.Is(err, compiler.ErrName))
	fmt.Println(err)
	// Output:
	// true
	// no such name: the model has no initializer or Constant node "no such weight"
}

// Prove makes keys and a proof of one input, and verifies it, without any generated code: a check of what the generated programs will do.
func ExampleResult_Prove() {
	ctx := context.Background()
	r, err := compiler.Analyse(ctx, "../models/sums/model.onnx", compiler.Config{RevealArgmax: true, Pad: 13})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Prove(ctx, []int64{3, 2, 7, 10, 4, 5, 8, 11})) // 327+458=
	// Output: <nil>
}

// A service pins the ID of a model. One that somebody mistyped is noticed before any file is read.
func Example_embedding() {
	_, err := verifier.ParseModelID("3ea6a05c")
	fmt.Println(err != nil)
	_, err = verifier.ReadVerifyingKey([]byte("not a key")) // of files that come from anywhere: an error, never a panic
	fmt.Println(err != nil)
	// Output:
	// true
	// true
}
