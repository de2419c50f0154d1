// Package provided makes what a provider has of small models, in folders, for tests of servers.
package provided

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Alphabet is a model that answers a letter with those that follow it, up to the end: a with bcd.
func Alphabet(t testing.TB) (dir string, customer *checker.Model) {
	f, weights := Letters(t, witnesstest.Text{Name: "alphabet", Length: 6})
	vocab := `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, ";": 4}, "pad_id": 5, "end_token": ";"}`
	return Provide(t, f, weights, map[string]string{"vocab.json": vocab})
}

// letters is the tokenizer.json of a model of letters.
const letters = `{"added_tokens": [{"id": 4, "content": ";", "special": true}], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
	"decoder": {"type": "Fuse"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, ";": 4}, "merges": []}}`

// Chat is Alphabet with a tokenizer.json and a template, which puts a user's words between a and b.
func Chat(t testing.TB) (dir string, customer *checker.Model) {
	f, weights := Letters(t, witnesstest.Text{Name: "chat", Length: 6})
	return Provide(t, f, weights, map[string]string{"tokenizer.json": letters, "template.json": `{"before": "a", "after": "b", "end": ";"}`})
}

// Turns is such a model of 16 positions that takes conversations: the end token stands behind every message, a before an answer and before the
// first message, or b there before one of the system. It answers each with bcd.
func Turns(t testing.TB) (dir string, customer *checker.Model) {
	f, weights := Letters(t, witnesstest.Text{Name: "turns", Length: 16})
	return Provide(t, f, weights, map[string]string{"tokenizer.json": letters, "template.json": `{"before": "a", "after": ";a", "end": ";",
		"answer": {"before": "", "after": ";"}, "system": {"before": "b", "after": ";"}}`})
}

// Unsettled is Alphabet with a tokenizer that shows bc as x, so that the text of b is not the beginning of that of bc.
func Unsettled(t testing.TB) (dir string, customer *checker.Model) {
	f, weights := Letters(t, witnesstest.Text{Name: "unsettled", Length: 6})
	decoder := `{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "bc"}, "content": "x"}]}`
	return Provide(t, f, weights, map[string]string{"tokenizer.json": strings.Replace(letters, `{"type": "Fuse"}`, decoder, 1), "template.json": `{"end": ";"}`})
}

// Letters are the circuit and the weights of Alphabet, with the name, length and secrecy of a text.
func Letters(t testing.TB, text witnesstest.Text) (*circuit.Family, map[circuit.ID]integer.Tensor) {
	text.Vocab, text.Pad, text.WeightBits, text.WitnessBits, text.Reveal = 6, 5, 4, 4, circuit.Argmax
	b := text.Builder()
	w := b.Weight("next", 8, text.Vocab, text.Vocab)
	text.Logits(b, gadget.Embed(b, "logits", text.Tokens(b), w))
	v := make([]int64, 36)
	for i := range 5 {
		v[6*i+(i+1)%5] = 90
	}
	return circuit.Single(witnesstest.Finish(t, b)), map[circuit.ID]integer.Tensor{w: {Shape: []int{6, 6}, V: v}}
}

// Whole is a model that makes a vector of two numbers of a text of up to 6 of the letters a, b and c: [3001,3005] of abc.
func Whole(t testing.TB) (dir string, customer *checker.Model) {
	f, weights := witnesstest.Whole{}.Family(t, 3, 6)
	return Provide(t, f, weights, map[string]string{"vocab.json": `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2}, "pad_id": 3}`})
}

// Provide writes a model's folder, and returns it with what checks proofs about the model.
func Provide(t testing.TB, f *circuit.Family, weights map[circuit.ID]integer.Tensor, vocab map[string]string) (string, *checker.Model) {
	k, vk, err := engine.Setup(t.Context(), f, weights, engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	file, err := circuits.Encode(f)
	require.NoError(t, err)
	dir := t.TempDir()
	files := map[string][]byte{"model.circuit": file, "keys/model.vk": vk, "keys/prover.key": k.Encode()}
	b := &bundle.Bundle{Circuit: file, Key: vk}
	for name, content := range vocab {
		files["vocab/"+name] = []byte(content)
		if name == "template.json" {
			b.Template = []byte(content)
		} else {
			b.Tokenizer = []byte(content)
		}
	}
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, data, 0o600))
	}
	b.Card.Describe(f)
	b.Card.Name, b.Card.ModelID = f.Shortest().Name, fmt.Sprintf("%x", k.ModelID())
	var archive bytes.Buffer
	require.NoError(t, b.Write(&archive))
	m, err := checker.Open(t.Context(), archive.Bytes(), nil)
	require.NoError(t, err)
	return dir, m
}
