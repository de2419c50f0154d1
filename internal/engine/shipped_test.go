package engine_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// hooks are what lets tests play a lying prover.
var hooks = []string{"engine.Dishonest", "witness.WithOverride", "witness.WithoutChecks", "veil.Tampered"}

// rehearsals are what counts proofs that are none, for inspect.
var rehearsals = []string{"engine.Rehearse", "witness.Rehearsed", "veil.Rehearse", "group.Placeholders"}

// No program links a hook, nor package testing: what is not there cannot be called.
func TestProgramsLinkNoHook(t *testing.T) {
	program := filepath.Join(t.TempDir(), "prover")
	inlined := "-gcflags=github.com/zkllmc/zkllmc/...=-l" // nothing of ours is, so that every function that is called has a symbol
	out, err := exec.Command("go", "build", inlined, "-ldflags=-w", "-o", program, "../../generated/sums/cmd/prover").CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command("go", "tool", "nm", program).CombinedOutput()
	require.NoError(t, err)
	symbols := string(out)
	linked := func(name string) bool { return strings.Contains(symbols, name) }
	require.True(t, linked("zkllmc/internal/engine.MakeKeys\n"), "the control: names are listed")
	for _, hook := range slices.Concat(hooks, rehearsals) {
		require.False(t, linked("/"+hook), hook)
	}
	require.False(t, linked(" testing."))
}

// Nothing but tests calls a hook, and the one that hands on a message's changes to the channel.
func TestHooksAreForTests(t *testing.T) {
	called := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, hook := range hooks {
			if !strings.Contains(string(text), hook+"(") {
				continue
			}
			called++
			path := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			forTests := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "internal/test/")
			require.True(t, forTests || hook == "veil.Tampered" && path == "internal/engine/prover.go", "%s calls %s", path, hook)
		}
		return nil
	}))
	require.Greater(t, called, 5, "the control: tests call them")
}

// Logits are those of the assignment that is proved, whatever the circuit reveals.
func TestLogits(t *testing.T) {
	for _, reveal := range []circuit.Reveal{circuit.Values, circuit.Argmax} {
		c := decoder(t, dims{1, 5, 11, 16, 2, 1, 8, 24, 7}, reveal)
		k, _, err := engine.Setup(context.Background(), circuit.Single(c), randomWeights(c), engine.Options{Backend: cpu.New()})
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
		a, err := k.Witness(context.Background(), &engine.Input{Statement: &st})
		require.NoError(t, err)
		require.NoError(t, witness.CheckSatisfied(c, a))
		require.Equal(t, a.Tensor(c.Generation.Output).V[:3*c.Generation.Vocab], logits)

		_, err = k.Logits(context.Background(), []int64{11})
		require.ErrorIs(t, err, generation.ErrToken)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = k.Logits(ctx, tokens)
		require.ErrorIs(t, err, context.Canceled)
		_, err = k.Prove(ctx, &engine.Input{Statement: &st}, engine.Options{Backend: cpu.New()})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, engine.ErrFalse)
	}
}
