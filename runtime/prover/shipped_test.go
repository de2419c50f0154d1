package prover_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/backend/cpu"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

// Outside a test binary everything that is for tests is refused before anything else happens.
func TestTestingIsRefusedInPrograms(t *testing.T) {
	out, err := exec.Command("go", "run", "./testdata/shipped").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, 5, strings.Count(string(out), "for test binaries only"), "%s", out)
}

// Logits are those of the assignment that is proved, whatever the circuit reveals.
func TestLogits(t *testing.T) {
	for _, reveal := range []circuit.Reveal{circuit.Values, circuit.Argmax} {
		c := decoder(t, dims{1, 5, 11, 16, 2, 1, 8, 24, 7}, reveal)
		k, _, err := prover.Setup(context.Background(), c, randomWeights(c), prover.Options{Backend: cpu.New()})
		require.NoError(t, err)
		tokens := []int64{1, 3, 2}
		logits, err := k.Logits(context.Background(), tokens)
		require.NoError(t, err)
		require.Len(t, logits, 3*c.Generation.Vocab)
		st := generation.Statement{Tokens: tokens, Prompt: 3, Next: generation.Unclaimed}
		if reveal == circuit.Values {
			st.Logits = logits[2*c.Generation.Vocab:]
		} else {
			st.Next = statement.Argmax(logits[2*c.Generation.Vocab:])
		}
		a, err := k.Witness(context.Background(), &prover.Input{Statement: &st})
		require.NoError(t, err)
		require.NoError(t, witness.CheckSatisfied(c, a))
		require.Equal(t, a.Tensor(c.Generation.Output).V[:3*c.Generation.Vocab], logits)

		_, err = k.Logits(context.Background(), []int64{11})
		require.ErrorIs(t, err, generation.ErrToken)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = k.Logits(ctx, tokens)
		require.ErrorIs(t, err, context.Canceled)
		_, err = k.Prove(ctx, &prover.Input{Statement: &st}, prover.Options{Backend: cpu.New()})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, prover.ErrFalse)
	}
}
