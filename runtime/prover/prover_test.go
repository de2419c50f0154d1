package prover_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// setup commits to a model and returns the key as it comes out of its file, with the verifier's.
func setup(t *testing.T, c *circuit.Circuit, kind statement.Kind, weights map[string][]int64) (*prover.Key, *verifier.Key) {
	t.Helper()
	family, err := circuit.NewFamily(c)
	require.NoError(t, err)
	file, err := prover.EncodeWeights(family, weights)
	require.NoError(t, err)
	made, published, err := prover.Setup(t.Context(), family, file, prover.Options{Threads: 1})
	require.NoError(t, err)
	key, err := prover.ReadKey(family, made.Encode())
	require.NoError(t, err)
	require.Equal(t, made.ModelID(), key.ModelID())
	require.Equal(t, made.Encode(), key.Encode())
	vk, err := verifier.ReadKey(t.Context(), family, kind, published)
	require.NoError(t, err)
	return key, vk
}

// A service that has a key's bytes alone learns the model's answer and proves it; a key of another circuit, and one that was cut, are
// refused.
func TestGenerationFromAKeyFile(t *testing.T) {
	c, err := bigrams()
	require.NoError(t, err)
	key, vk := setup(t, c, generation.Kind, map[string][]int64{
		"embedding": {40, 0, 0, 0, 40, 0, 0, 0, 40, -40, 0, 0, 0, -40, 0},
		"head":      {0, 9, 0, 9, 0, 0, 0, -9, 0, 0, 0, 9, -9, 0, 0},
	})
	logits, err := key.Logits(t.Context(), []int64{2, 3})
	require.NoError(t, err)
	require.Equal(t, []int64{0, 0, 0, 90, 0, 0, -90, 0, 0, 90}, logits)
	answer := generation.Statement{Tokens: []int64{2, 3}, Prompt: 1, Next: statement.Argmax(logits[5:])}
	proof, err := key.Prove(t.Context(), &prover.Input{Statement: &answer}, prover.Options{Threads: 1})
	require.NoError(t, err)
	require.NoError(t, vk.VerifyStatement(c, &answer, proof))
	answer.Next = 1
	_, err = key.Prove(t.Context(), &prover.Input{Statement: &answer}, prover.Options{})
	require.ErrorIs(t, err, prover.ErrFalse)

	family, err := circuit.NewFamily(c)
	require.NoError(t, err)
	_, err = prover.ReadKey(family, key.Encode()[1:])
	require.ErrorIs(t, err, verifier.ErrMagic)
	other, err := circuit.NewFamily(scores(t))
	require.NoError(t, err)
	_, err = prover.ReadKey(other, key.Encode())
	require.ErrorIs(t, err, verifier.ErrCircuit)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = key.Logits(ended, []int64{2})
	require.ErrorIs(t, err, context.Canceled)
}

// scores is a function: two integers by two weights, told, and the greater of two, of which only the place is.
func scores(t *testing.T) *circuit.Circuit {
	b := circuit.NewBuilder(circuit.Config{Name: "scores", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{2}, Lo: -9, Hi: 9, Reveal: circuit.Values})
	y := gadget.Input(b, "y", circuit.Port{Name: "y", Kind: circuit.Integers, Shape: []int{1, 2}, Lo: -9, Hi: 9, Reveal: circuit.Nothing})
	score := b.Virtual("score", []int{2}, b.Times(1, "i,i->i i=2", x, b.Weight("w", 8, 2)))
	gadget.Output(b, circuit.Port{Name: "score", Kind: circuit.Integers, Reveal: circuit.Values}, score)
	gadget.Output(b, circuit.Port{Name: "best", Kind: circuit.Integers, Reveal: circuit.Argmax}, y)
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

// A service gives inputs, public and private ones, lets the model say what it says of its outputs, and proves that.
func TestComputedFunction(t *testing.T) {
	c := scores(t)
	key, vk := setup(t, c, function.Kind, map[string][]int64{"w": {3, -2}})
	private := map[int][]int64{1: {4, 7}}
	st := &function.Statement{Ports: [][]int64{{5, 6}, nil, nil, nil}}
	require.NoError(t, key.Compute(t.Context(), st, private))
	require.Equal(t, [][]int64{{5, 6}, nil, {15, -12}, {1}}, st.Ports)
	proof, err := key.Prove(t.Context(), &prover.Input{Statement: st, Private: private}, prover.Options{Threads: 1})
	require.NoError(t, err)
	require.NoError(t, vk.VerifyStatement(c, st, proof))
	st.Ports[3][0] = 0
	require.ErrorIs(t, vk.VerifyStatement(c, st, proof), verifier.ErrRejected)
	st.Ports[0][0] = 10
	require.ErrorIs(t, key.Compute(t.Context(), st, private), function.ErrValue)
}

// erring is a processor that makes one false commitment, of the n-th row of those that it commits to.
type erring struct {
	backend.Run
	n *int
}

func (b erring) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	out := b.Run.CommitRows(gens, rows)
	if at := *b.n; at >= 0 && at < len(out) {
		out[at] = gens[1]
	}
	*b.n -= len(out)
	return out
}

// errs is a processor that errs.
func errs(n int) backend.Backend {
	return kit.Wrapped{Backend: cpu.New(), Run: func(r backend.Run) backend.Run { return erring{r, &n} }}
}

// What a faulty processor makes does not verify, would not hide the weights, and is not returned: of setup a commitment to weights, or one
// of the range proof, and of a proof.
func TestWhatDoesNotVerifyIsKeptBack(t *testing.T) {
	c := scores(t)
	weights := map[string][]int64{"w": {3, -2}}
	family, err := circuit.NewFamily(c)
	require.NoError(t, err)
	file, err := prover.EncodeWeights(family, weights)
	require.NoError(t, err)
	for row := range 2 {
		k, vk, err := prover.Setup(t.Context(), family, file, prover.Options{Backend: errs(row)})
		require.ErrorIs(t, err, verifier.ErrRejected)
		require.ErrorContains(t, err, "kept back")
		require.Nil(t, k)
		require.Nil(t, vk)
	}
	key, _ := setup(t, c, function.Kind, weights)
	private := map[int][]int64{1: {4, 7}}
	st := &function.Statement{Ports: [][]int64{{5, 6}, nil, {15, -12}, {1}}}
	proof, err := key.Prove(t.Context(), &prover.Input{Statement: st, Private: private}, prover.Options{Backend: errs(0)})
	require.ErrorIs(t, err, verifier.ErrRejected)
	require.ErrorContains(t, err, "kept back")
	require.Nil(t, proof)
}
