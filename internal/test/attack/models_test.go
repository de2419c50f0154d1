package attack

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// trained is a real model, compiled as its users compile it, with a prompt that it answers.
type trained struct {
	name   string
	path   func() string // empty where the model is not at hand
	cfg    compiler.Config
	prompt []int64
	answer int // tokens
}

// The project's own model reveals its answer's arg-max, the other one its logits.
var models = []trained{
	{"sums", func() string { return filepath.Join("..", "..", "..", "models", "sums", "model.onnx") },
		compiler.Config{Reveal: map[string]string{"": "argmax"}, Pad: 13}, []int64{3, 2, 7, 10, 4, 5, 8, 11}, 4},
	{"stories260K", func() string { return sharedModel("stories260K-dynamo18") }, compiler.Config{}, []int64{1, 403, 407, 261, 378}, 3},
}

// sharedModel finds a model of the shared test data, which stand beside the project.
func sharedModel(name string) string {
	for dir, up := filepath.Join("..", "..", ".."), 0; up < 4; dir, up = filepath.Join(dir, ".."), up+1 {
		path := filepath.Join(dir, "shared", "onnx", "models", name, "model.onnx")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

var realSubjects sync.Map

// realSubject compiles a trained model, commits to it and lets it answer; nil where there is no such model here.
func realSubject(t testing.TB, m trained) *subject {
	t.Helper()
	v, _ := realSubjects.LoadOrStore(m.name, &once{})
	o := v.(*once)
	o.Do(func() {
		path := m.path()
		if path == "" {
			return
		}
		r, err := compiler.Analyse(context.Background(), path, m.cfg)
		require.NoError(t, err)
		u := &subject{c: r.Circuit, weights: map[circuit.ID]integer.Tensor{}, big: true}
		for i, id := range protocol.WeightIDs(u.c) {
			cells, err := weights.All(r.Weights[i].Short)
			require.NoError(t, err)
			short := integer.Tensor{Short: cells}
			u.weights[id] = integer.Tensor{Shape: r.Weights[i].Shape, V: short.All()}
		}
		u.commit(t)
		u.st = u.greedy(t, m.prompt, m.answer)
		o.u = u
	})
	return o.u
}

// greedy is the true statement about a prompt and the model's answer of n tokens.
func (u *subject) greedy(t testing.TB, prompt []int64, n int) *generation.Statement {
	t.Helper()
	st := &generation.Statement{Tokens: append([]int64(nil), prompt...), Prompt: len(prompt), Next: generation.Unclaimed}
	for {
		all, err := u.key.Logits(context.Background(), st.Tokens)
		require.NoError(t, err)
		last := len(st.Tokens)
		best := statement.Argmax(all[(last-1)*u.c.Generation.Vocab : last*u.c.Generation.Vocab])
		if last == len(prompt)+n {
			if u.c.Generation.Reveal == circuit.Values {
				st.Logits = append([]int64(nil), all[(st.Prompt-1)*u.c.Generation.Vocab:last*u.c.Generation.Vocab]...)
			} else {
				st.Next = best
			}
			return st
		}
		st.Tokens = append(st.Tokens, best)
	}
}
