package prover_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// A circuit of five tokens: each has an embedding of three numbers, and the model answers with the token whose row of the head has the
// largest inner product with it. Generated code builds circuits in the same way.
func bigrams() (*circuit.Circuit, error) {
	b := circuit.NewBuilder(circuit.Config{Name: "bigrams", WeightBits: 5, WitnessBits: 5})
	b.Generation(0) // statements are a prompt and its answer; behind them stands token 0
	tokens := gadget.Input(b, "tokens", circuit.Port{Name: "tokens", Kind: circuit.IDs, Shape: []int{4}, Hi: 4, Reveal: circuit.Values})
	x := gadget.Embed(b, "x", tokens, b.Weight("embedding", 8, 5, 3))
	h := gadget.Rescale(b, "h", x, 2, -32, 31)
	logits := b.Virtual("logits", []int{4, 5}, b.Times(1, "td,vd->tv t=4 d=3 v=5", h, b.Weight("head", 8, 5, 3)))
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Argmax}, logits)
	return b.Finish()
}

// Setup commits to a model, Prove proves an answer, and the verifier, which knows the model by its commitment alone, accepts the true
// answer and rejects another.
func Example() {
	ctx := context.Background()
	c, err := bigrams()
	if err != nil {
		log.Fatal(err)
	}
	family, err := circuit.NewFamily(c) // of several lengths, where there are circuits for them
	if err != nil {
		log.Fatal(err)
	}
	weights, err := prover.EncodeWeights(family, map[string][]int64{
		"embedding": {40, 0, 0, 0, 40, 0, 0, 0, 40, -40, 0, 0, 0, -40, 0},
		"head":      {0, 9, 0, 9, 0, 0, 0, -9, 0, 0, 0, 9, -9, 0, 0},
	})
	if err != nil {
		log.Fatal(err)
	}
	options := prover.Options{Threads: 1}
	key, published, err := prover.Setup(ctx, family, weights, options)
	if err != nil {
		log.Fatal(err)
	}
	answer := generation.Statement{Tokens: []int64{2, 3, 4}, Prompt: 1, Next: 2} // 2 is followed by 3, 4, and 2 again
	proof, err := key.Prove(ctx, &prover.Input{Statement: &answer}, options)
	if err != nil {
		log.Fatal(err)
	}
	forged := answer
	forged.Next = 0
	_, err = key.Prove(ctx, &prover.Input{Statement: &forged}, options)
	fmt.Println("a forged answer is not proved:", errors.Is(err, prover.ErrFalse))

	vk, err := verifier.ReadKey(context.Background(), family, generation.Kind, published) // checks that the weights are in their ranges
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same model:", vk.ModelID() == key.ModelID())
	fmt.Println("the answer is accepted:", vk.VerifyStatement(c, &answer, proof) == nil)
	fmt.Println("a forged answer is rejected:", errors.Is(vk.VerifyStatement(c, &forged, proof), verifier.ErrRejected))
	// Output:
	// a forged answer is not proved: true
	// the same model: true
	// the answer is accepted: true
	// a forged answer is rejected: true
}
