package compiler

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// maxProof is the bound that the project sets itself for a proof about a model of 260,000 parameters on 32 tokens.
const maxProof = 48_000

// provedModel is a trained model with an input whose answers are known.
type provedModel struct {
	path   string
	tokens []int64 // prompt
	length int     // of prompt and answer
	pad    int64
}

// sums is the project's own.
var sums = provedModel{path: filepath.Join("..", "models", "sums", "model.onnx"), tokens: []int64{3, 2, 7, 10, 4, 5, 8, 11}, length: 12, pad: 13}

func provedModels(t *testing.T) []provedModel {
	models := []provedModel{sums}
	dir := sharedModel("stories260K-dynamo18")
	if dir == "" {
		t.Log("skipping stories260K: the folder of shared test data is not here")
		return models
	}
	return append(models, provedModel{path: filepath.Join(dir, "model.onnx"), tokens: []int64{1, 403, 407, 261, 378}, length: 32})
}

// setUp is a trained model with its keys.
type setUp struct {
	*Result
	model    provedModel
	key      *engine.Key
	vk       []byte
	accepted *verifier.Key
	answer   *generation.Statement // once a test has asked for it, with its proof
	proof    []byte
}

// The trained models that tests have compiled, and those that they have set up, by folder and by what is revealed of the logits.
var compiledModels, setUpModels sync.Map

// once calls f for the first who asks for a name.
func once[T any](made *sync.Map, name string, f func() (T, error)) (T, error) {
	call, _ := made.LoadOrStore(name, sync.OnceValues(f))
	return call.(func() (T, error))()
}

// compiledOnce is a trained model, compiled once for all tests.
func compiledOnce(m provedModel, reveal string) (*Result, error) {
	name := filepath.Base(filepath.Dir(m.path))
	return once(&compiledModels, name+" "+reveal, func() (*Result, error) {
		return compileFile(context.Background(), m.path, Config{Name: name, Reveal: map[string]string{"": reveal}, Pad: m.pad})
	})
}

// setUpOnce is one that is set up, too.
func setUpOnce(m provedModel, reveal string) (*setUp, error) {
	return once(&setUpModels, m.path+" "+reveal, func() (*setUp, error) {
		r, err := compiledOnce(m, reveal)
		if err != nil {
			return nil, err
		}
		ctx, out := context.Background(), &setUp{Result: r, model: m}
		if out.key, out.vk, err = engine.Setup(ctx, circuit.Single(r.Circuit), weightsOf(r.Circuit, r), engine.Options{Backend: cpu.New()}); err != nil {
			return nil, err
		}
		if len(out.vk) != r.Stats.KeyBytes {
			return nil, fmt.Errorf("a verifying key of %d bytes, and %d are predicted", len(out.vk), r.Stats.KeyBytes)
		}
		out.accepted, err = verifier.ReadKey(ctx, circuit.Single(r.Circuit), generation.Kind, out.vk)
		return out, err
	})
}

func compiledModel(t *testing.T, m provedModel, reveal string) *Result {
	t.Helper()
	r, err := compiledOnce(m, reveal)
	require.NoError(t, err)
	return r
}

// Sums is the project's own model with its keys, for the examples: the one that generated/sums is the code of.
func Sums() (r *Result, key *engine.Key, vk []byte, err error) {
	out, err := setUpOnce(sums, "argmax")
	if err != nil {
		return nil, nil, nil, err
	}
	return out.Result, out.key, out.vk, nil
}

// TestProveRealModels takes trained models through everything: the integer program agrees with the float model, interpreter and
// witness agree on every logit, and a proof of prompt and greedy answer is accepted while forged statements are not. What is revealed makes
// no other program; the second model is proved with its logits alone.
func TestProveRealModels(t *testing.T) {
	for _, m := range provedModels(t) {
		for _, reveal := range []string{"values", "argmax"} {
			t.Run(filepath.Base(filepath.Dir(m.path))+" "+reveal, func(t *testing.T) {
				r, values := compiledModel(t, m, reveal), compiledModel(t, m, "values")
				require.Equal(t, values.program.Int.String(), r.program.Int.String())
				want, err := values.integers()
				require.NoError(t, err)
				got, err := r.integers()
				require.NoError(t, err)
				require.Equal(t, want, got)
				require.LessOrEqual(t, r.Stats.ProofBytes, maxProof)
				if m.path == sums.path || reveal == "values" {
					proveReal(t, m, reveal)
				}
			})
		}
	}
}

func proveReal(t *testing.T, m provedModel, reveal string) {
	r, err := setUpOnce(m, reveal)
	require.NoError(t, err)
	if reveal == "values" {
		report, err := r.Check(context.Background(), nil)
		require.NoError(t, err)
		require.Equal(t, report.Clear, report.ClearAgree, "top tokens differ where the float model is clear")
	}

	c := r.Circuit
	st, proof := r.answered(t)
	began := time.Now()
	require.NoError(t, r.accepted.VerifyStatement(r.Circuit, st, proof))
	t.Logf("proof %d bytes, key %d bytes, verified in %v", len(proof), len(r.vk), time.Since(began))
	require.LessOrEqual(t, len(proof), maxProof)
	require.Equal(t, r.Stats.ProofBytes, len(proof), "predicted")

	for name, forge := range forgeries(c, st) {
		require.Error(t, r.accepted.VerifyStatement(r.Circuit, forge, proof), name)
	}
}

// answered is the statement of the model's answer and its proof.
func (r *setUp) answered(t *testing.T) (*generation.Statement, []byte) {
	t.Helper()
	if r.answer == nil {
		st := greedy(t, r)
		began := time.Now()
		proof, err := r.key.Prove(context.Background(), &engine.Input{Statement: st}, engine.Options{Backend: cpu.New()})
		require.NoError(t, err)
		t.Logf("proved in %v", time.Since(began))
		r.answer, r.proof = st, proof
	}
	return r.answer, r.proof
}

// greedy extends the prompt token by token with the integer program and returns the statement. It compares the logits with the witness',
// and those with the interpreter's.
func greedy(t *testing.T, r *setUp) *generation.Statement {
	ctx, c, m := context.Background(), r.Circuit, r.model
	tokens := append([]int64(nil), m.tokens...)
	text, err := r.key.Decode(m.length, nil)
	require.NoError(t, err)
	require.NoError(t, text.Next(ctx, tokens...))
	for len(tokens) < m.length {
		best := statement.Argmax(text.Logits()[(len(tokens)-1)*c.Generation.Vocab:])
		tokens = append(tokens, best)
		require.NoError(t, text.Next(ctx, best))
	}
	probe := generation.Statement{Tokens: tokens, Prompt: len(tokens), Next: generation.Unclaimed}
	if c.Generation.Reveal == circuit.Values {
		probe.Logits = make([]int64, c.Generation.Vocab)
	}
	a, err := r.key.Witness(ctx, &engine.Input{Statement: &probe}, witness.WithoutChecks())
	require.NoError(t, err)
	logits := a.Tensor(c.Generation.Output).V
	require.Equal(t, text.Logits(), logits[:len(tokens)*c.Generation.Vocab], "position by position and as a whole")
	padded, err := r.elements(Tokens(tokens...))
	require.NoError(t, err)
	ids, err := r.program.Elements(padded)
	require.NoError(t, err)
	values, err := eval.Int(r.program.Int, ids...)
	require.NoError(t, err)
	require.Equal(t, values[r.program.Int.Out()], logits, "interpreter and witness")
	st := &generation.Statement{Tokens: tokens, Prompt: len(m.tokens), Next: generation.Unclaimed}
	if c.Generation.Reveal == circuit.Values {
		st.Logits = append([]int64(nil), logits[(st.Prompt-1)*c.Generation.Vocab:len(tokens)*c.Generation.Vocab]...)
	}
	return st
}

// forgeries are statements that differ from a true one in one place.
func forgeries(c *circuit.Circuit, st *generation.Statement) map[string]*generation.Statement {
	forged := map[string]*generation.Statement{}
	change := func(name string, f func(s *generation.Statement)) {
		s := *st
		s.Tokens = append([]int64(nil), st.Tokens...)
		s.Logits = append([]int64(nil), st.Logits...)
		f(&s)
		forged[name] = &s
	}
	change("another answer", func(s *generation.Statement) {
		s.Tokens[s.Prompt] = (s.Tokens[s.Prompt] + 1) % int64(c.Generation.Vocab)
	})
	change("another prompt", func(s *generation.Statement) { s.Tokens[1] = (s.Tokens[1] + 1) % int64(c.Generation.Vocab) })
	if c.Generation.Reveal == circuit.Values {
		change("a logit off by one", func(s *generation.Statement) { s.Logits[len(s.Logits)-1]++ })
	} else {
		change("a shorter prompt", func(s *generation.Statement) { s.Prompt-- })
	}
	return forged
}

// TestSoundnessBudget prints the soundness error of the real models' circuits stage by stage, as SECURITY.md states it.
func TestSoundnessBudget(t *testing.T) {
	for _, m := range provedModels(t) {
		r := compiledModel(t, m, "argmax")
		counts, err := protocol.CheckedSchedule(r.Circuit)
		require.NoError(t, err)
		sums, order := map[string]float64{}, []string{}
		for _, e := range counts.Errors {
			if _, seen := sums[e.Stage]; !seen {
				order = append(order, e.Stage)
			}
			sums[e.Stage] += math.Ldexp(float64(e.Degree), -e.Bits)
		}
		t.Logf("%s: 2^-%d", r.Circuit.Name, protocol.SoundnessBits(counts))
		for _, stage := range order {
			t.Logf("  %-24s 2^%.1f", stage, math.Log2(sums[stage]))
		}
		require.GreaterOrEqual(t, protocol.SoundnessBits(counts), 110)
	}
}
