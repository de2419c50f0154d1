package compiler

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// TestCircuitIsTheIntegerProgram runs the slow interpreter on an input and claims its logits, all of them, in a statement: the
// circuit has a satisfying assignment for these logits, and none is found for others.
func TestCircuitIsTheIntegerProgram(t *testing.T) {
	ctx := context.Background()
	results := map[string]*Result{
		"llama": compileGraph(t, synthetic.Graph(2, 16, 2, 6, 20, 3), Config{}),
		"gpt":   compileGraph(t, synthetic.GPT(2, 16, 2, 6, 20, 3), Config{}),
	}
	results["sums"] = compiledModel(t, sums, "values")
	for name, r := range results {
		for _, in := range randomInputs(r, 3) {
			ids := ints(in)
			vals, err := eval.Int(r.program.Int, ids)
			require.NoError(t, err)
			logits := vals[r.program.Int.Out()]
			require.NoError(t, satisfy(ctx, r, ids, logits), name)
			wrong := append([]int64(nil), logits...)
			wrong[len(wrong)-1]++
			require.Error(t, satisfy(ctx, r, ids, wrong), name)
		}
	}
}

// Texts are decoded a few positions at a time, whatever attends to what: with the integers of a whole pass, in every cell. Models of more
// kinds are decoded by TestProperty.
func TestDecodingIsTheWholePass(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	results := map[string]*Result{}
	for _, c := range goldenCases {
		results[c.name] = compileGraph(t, c.g(), c.cfg)
	}
	results["heads in parts"] = compileGraph(t, synthetic.Graph(1, 24, 3, 4, 5, 7), Config{Reveal: map[string]string{"": "argmax"}})
	for name, r := range results {
		t.Run(name, func(t *testing.T) {
			c, g := r.Circuit, r.Circuit.Generation
			several, all := witnesstest.Decodable(c)
			require.Greater(t, several, 2, "scores have two time axes")
			require.Greater(t, all, len(c.Hints))
			for range 6 {
				ids := ints(randomInputs(r, 1)[0])[:1+rng.IntN(g.Length)]
				st := &generation.Statement{Tokens: ids, Prompt: len(ids), Next: generation.Unclaimed}
				in := witnesstest.Instance{C: c, Weights: weightsOf(c, r), Publics: map[circuit.ID]integer.Tensor{}, Private: generation.PrivateInput(c, ids)}
				publics := func(id circuit.ID) integer.Tensor { return *st.Hide(c).Public(c, id) }
				a, err := witness.Evaluate(context.Background(), c, in.Weights, publics, in.Private)
				require.NoError(t, err)
				logits := a.Tensor(g.Output)
				if st.Next = statement.Argmax(logits.V[(len(ids)-1)*g.Vocab : len(ids)*g.Vocab]); g.Reveal == circuit.Values {
					st.Next = generation.Unclaimed
					st.Reveal(c, logits)
				}
				a, err = witness.Generate(context.Background(), c, in.Weights, publics, in.Private)
				require.NoError(t, err)
				for i := range c.Tensors {
					if t := &c.Tensors[i]; t.Kind == circuit.Public {
						in.Publics[t.ID] = publics(t.ID)
					}
				}
				for range 3 {
					require.NoError(t, witnesstest.Decoded(in, a, ids, rng))
				}
			}
		})
	}
}

// ints are the token ids of an input.
func ints(in Input) (ids []int64) {
	for _, x := range in.Elements[0].Values {
		ids = append(ids, int64(x))
	}
	return ids
}

// satisfy computes the assignment of a statement that reveals the logits of all positions.
func satisfy(ctx context.Context, r *Result, ids, logits []int64) error {
	c := r.Circuit
	weights, err := r.integers()
	if err != nil {
		return err
	}
	st := &generation.Statement{Tokens: ids, Prompt: 1, Next: generation.Unclaimed, Logits: logits}
	_, err = witness.Generate(ctx, c, weights, func(id circuit.ID) integer.Tensor { return *st.Public(c, id) }, nil)
	return err
}
