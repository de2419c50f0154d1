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
		if from > 0 && rng.IntN(2) == 0 {
			to, err = guess(ctx, d, c, tokens, to, rng)
		} else {
			err = d.Next(ctx, tokens[from:to])
		}
		if err != nil {
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

// guess reads tokens up to one, and some of the next or others as guesses: it says up to which the text is read.
func guess(ctx context.Context, d *witness.Decoding, c *circuit.Circuit, tokens []int64, to int, rng *rand.Rand) (int, error) {
	guesses := slices.Clone(tokens[to:])
	guesses = guesses[:rng.IntN(len(guesses)+1)]
	right := len(guesses)
	if right > 0 && rng.IntN(3) > 0 {
		right = rng.IntN(right)
		for i := range guesses[right:] {
			guesses[right+i] = rng.Int64N(int64(c.Generation.Vocab))
		}
	}
	from, told := len(d.Tokens()), false
	n, err := d.Guess(ctx, tokens[from:to], guesses, func(logits []int64) int {
		told = len(logits) == (to-from+len(guesses))*c.Generation.Vocab
		return right
	})
	switch {
	case err != nil:
		return to, err
	case !told && len(guesses) > 0 && n > 0:
		return to, fmt.Errorf("%d guesses counted, and nobody was asked", n)
	case told && n != right:
		return to, fmt.Errorf("%d guesses counted of %d that are right", n, right)
	}
	return to + n, nil
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
