package witnesstest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// Decoded decodes the tokens of a text by a few at a time, drawn from rng, and compares what is computed with the assignment of a whole
// pass over them, a: the logits of every position, then every cell of every tensor. Some of the last tokens are left to Finish. tokens are
// all that the statement is about. The error is witness.ErrWhole where the circuit's positions cannot be computed by themselves.
func Decoded(in Instance, a *witness.Assignment, tokens []int64, rng *rand.Rand) error {
	ctx, c := context.Background(), in.C
	d, err := witness.NewDecoding(c, in.Weights)
	if err != nil {
		return err
	}
	logits := a.Tensor(c.Generation.Output).All()
	for end := rng.IntN(len(tokens) + 1); len(d.Tokens()) < end; {
		from := len(d.Tokens())
		to := from + 1 + rng.IntN(end-from)
		if err := d.Next(ctx, tokens[from:to]); err != nil {
			return fmt.Errorf("positions %d to %d: %w", from, to, err)
		}
		if got, want := d.Logits(), logits[:to*c.Generation.Vocab]; !slices.Equal(got, want) {
			return fmt.Errorf("%d positions have the logits %v, in a whole pass %v", to, got, want)
		}
	}
	b, err := d.Finish(ctx, tokens, in.Public, in.Private)
	if err != nil {
		return fmt.Errorf("finishing: %w", err)
	}
	for i := range c.Tensors {
		t := &c.Tensors[i]
		got, want := b.Tensor(t.ID), a.Tensor(t.ID)
		if !slices.Equal(got.Shape, want.Shape) || !slices.Equal(got.All(), want.All()) {
			return fmt.Errorf("tensor %s is %v, in a whole pass %v", t.Name, got.All(), want.All())
		}
	}
	return nil
}

// Decodable are the tensors of a circuit that have several time axes, and those that run over positions at all.
func Decodable(c *circuit.Circuit) (several, all int) {
	for i := range c.Tensors {
		n := 0
		axes, _ := c.TimeAxes(c.Tensors[i].ID)
		for _, is := range axes {
			if is {
				n++
			}
		}
		if n > 0 {
			all++
		}
		if n > 1 {
			several++
		}
	}
	return several, all
}
