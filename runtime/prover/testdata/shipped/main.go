// Command shipped is a program that is no test and asks for what only tests may have. Whatever went further than the refusal would
// panic: there is no circuit, no key and no backend.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

func main() {
	ctx, o, k := context.Background(), prover.Options{Testing: &prover.Testing{}}, &prover.Key{}
	_, _, setup := prover.Setup(ctx, nil, nil, o)
	_, prove := k.Prove(ctx, &prover.Input{}, o)
	_, assignment := k.ProveAssignment(ctx, &generation.Statement{}, nil, o)
	_, unchecked := k.Witness(ctx, &prover.Input{}, witness.WithoutChecks())
	_, generate := witness.Generate(ctx, nil, nil, nil, nil, witness.WithOverride(nil))
	for _, err := range []error{setup, prove, assignment, unchecked, generate} {
		if err == nil {
			os.Exit(1)
		}
		fmt.Println(err)
	}
}
