package compiler_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/generated/sums/verifier"
	"github.com/zkllmc/zkllmc/generated/sums/vocab"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Compile returns the files of a Go package: circuit, prover and verifier of this one model, and its quantised weights.
func ExampleCompile() {
	r, err := compiler.Compile(context.Background(), "../models/sums/model.onnx", compiler.Config{
		Name: "sums", Reveal: map[string]string{"": "argmax"}, Pad: 13, ImportPath: "example.com/sums", Vocab: vocab.File,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range r.Files {
		fmt.Println(f.Path)
	}
	// Output:
	// model.circuit
	// circuit/circuit.go
	// circuit/constants.bin
	// verifier/verifier.go
	// prover/prover.go
	// cmd/prover/main.go
	// cmd/prover/nodes.txt
	// cmd/prover/device.go
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
	// no such name: the model has no initializer or Constant node "no such weight"; inspect lists those that weights are made of, beside the circuit's names
}

// Prove makes keys and a proof of one input, and verifies it, without any generated code: a check of what the generated programs will do.
func ExampleResult_Prove() {
	ctx := context.Background()
	r, err := compiler.Analyse(ctx, "../models/sums/model.onnx", compiler.Config{Reveal: map[string]string{"": "argmax"}, Pad: 13})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Prove(ctx, compiler.Tokens(3, 2, 7, 10, 4, 5, 8, 11))) // 327+458=
	// Output: <nil>
}

// A service embeds the generated verifier of a model. What reaches it from outside is three files; which model it trusts, what it has asked
// and what it was told it knows by itself.
func Example_embedding() {
	published, encoded, proof, trusted := answered()

	vk, err := verifier.ReadVerifyingKey(published)
	if err != nil {
		log.Fatal(err)
	}
	pinned, err := verifier.ParseModelID(trusted)
	fmt.Println("the model that is trusted:", err == nil && vk.ModelID() == pinned)
	fmt.Println(vk.VerifyText("327+458=", "785;", encoded, proof))
	fmt.Println(vk.VerifyText("327+458=", "786;", encoded, proof))
	// Output:
	// the model that is trusted: true
	// <nil>
	// the proof holds, but for another answer: expected "786;" (tokens 7,8,6,12), proved "785;" (tokens 7,8,5,12)
}

// answered is the provider's side: the verifying key, a statement and its proof as files, and the model's ID as accept prints it.
func answered() (vk, encoded, proof []byte, id string) {
	ctx, options := context.Background(), engine.Options{Backend: cpu.New()}
	r, key, vk, err := compiler.Sums()
	if err != nil {
		log.Fatal(err)
	}
	st := generation.Statement{Tokens: []int64{3, 2, 7, 10, 4, 5, 8, 11, 7, 8, 5, 12}, Prompt: 8, Next: generation.Unclaimed} // 327+458=785;
	if proof, err = key.Prove(ctx, &engine.Input{Statement: &st}, options); err != nil {
		log.Fatal(err)
	}
	if encoded, err = st.Encode(r.Circuit); err != nil {
		log.Fatal(err)
	}
	return vk, encoded, proof, fmt.Sprintf("%x", key.ModelID())
}
