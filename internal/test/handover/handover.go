// Package handover makes what a customer gets of the sample model, for tests of verifiers.
package handover

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	sums "github.com/zkllmc/zkllmc/generated/sums/circuit"
	words "github.com/zkllmc/zkllmc/generated/sums/vocab"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Prompt is what the proof is about, as text and as tokens.
const (
	Prompt = "3+4="
	Tokens = "3,10,4,11"
)

// Sums writes a folder with what a customer gets of the sample model, of drawn weights: sums.bundle, and its parts model.circuit, model.vk,
// vocab.json; model.id; statement.bin and proof.bin of an answer of one token to Prompt; and what must be refused: damaged.bin and short.bin
// for the proof, half.circuit and half.bundle.
func Sums(t testing.TB) (dir string) {
	dir = t.TempDir()
	f, err := sums.Build()
	require.NoError(t, err)
	c := f.Shortest()
	o := engine.Options{Backend: cpu.New()}
	k, vk, err := engine.Setup(t.Context(), f, kit.Weights(c, 3, 2), o)
	require.NoError(t, err)
	vocab, err := words.Tokenizer()
	require.NoError(t, err)
	ids, err := vocab.Encode(Prompt)
	require.NoError(t, err)
	in, err := kit.Answered(c, k, ids, 1)
	require.NoError(t, err)
	proof, err := k.Prove(t.Context(), in, o)
	require.NoError(t, err)
	st, err := statement.Encode(c, in.Statement)
	require.NoError(t, err)
	file, err := circuits.Encode(f)
	require.NoError(t, err)
	key, err := verifier.ReadKey(t.Context(), f, kit.Kind(c), vk)
	require.NoError(t, err)
	b := &bundle.Bundle{Circuit: file, Key: vk, Tokenizer: words.File}
	b.Card.Describe(f)
	b.Card.Name, b.Card.ModelID = sums.Name, fmt.Sprintf("%x", key.ModelID())
	var archive bytes.Buffer
	require.NoError(t, b.Write(&archive))
	damaged := bytes.Clone(proof)
	damaged[len(damaged)-1] ^= 1
	for name, data := range map[string][]byte{
		"sums.bundle": archive.Bytes(), "model.circuit": file, "model.vk": vk, "vocab.json": words.File, "model.id": []byte(b.Card.ModelID + "\n"),
		"statement.bin": st, "proof.bin": proof, "damaged.bin": damaged, "short.bin": proof[:100],
		"half.circuit": file[:len(file)/2], "half.bundle": archive.Bytes()[:archive.Len()/2],
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}
