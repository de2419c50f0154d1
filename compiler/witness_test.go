package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/ir/eval"
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
	results["sums"] = trained(t, provedModels(t)[0], "values").Result
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
	weights := map[circuit.ID]backend.Tensor{}
	next := 0
	for i := range c.Tensors {
		if c.Tensors[i].Kind == circuit.Weight {
			weights[circuit.ID(i)] = backend.Tensor{Shape: r.Weights[next].Shape, V: r.Weights[next].Values}
			next++
		}
	}
	st := &generation.Statement{Tokens: ids, Prompt: 1, Next: generation.Unclaimed, Logits: logits}
	_, err := witness.Generate(ctx, c, weights, func(id circuit.ID) backend.Tensor { return *st.Public(c, id) }, nil)
	return err
}
