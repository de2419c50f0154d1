package compiler

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// service is a program of somebody else's, in a module of its own, that embeds the committed verifier of models/sums with the function of
// README. It takes a model ID, a prompt, an answer, and the files of verifying key, statement and proof.
const service = `package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/zkllmc/zkllmc/generated/sums/verifier"
	"github.com/zkllmc/zkllmc/runtime/asked"
)

%s
func main() {
	var files [3][]byte
	for i := range files {
		data, err := os.ReadFile(os.Args[i+4])
		if err != nil {
			panic(err)
		}
		files[i] = data
	}
	switch err := check(os.Args[1], files[0], os.Args[2], os.Args[3], files[1], files[2]); {
	case err == nil:
		fmt.Println("accepted")
	case errors.Is(err, asked.ErrUnfinished):
		fmt.Println("unfinished")
	default:
		fmt.Println(err)
		os.Exit(1)
	}
}
`

// recipe is the function check of README, with its comment.
func recipe(t *testing.T) string {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	const indent = "    "
	_, text, ok := strings.Cut(string(readme), "\n"+indent+"// check returns nil")
	require.True(t, ok, "README has no function check")
	text, _, ok = strings.Cut(text, "\n"+indent+"}\n")
	require.True(t, ok)
	return strings.ReplaceAll(indent+"// check returns nil"+text+"\n"+indent+"}\n", "\n"+indent, "\n")[len(indent):]
}

// TestServiceEmbedsTheVerifier builds the service, gives it true and forged statements and texts, and looks at what it links.
func TestServiceEmbedsTheVerifier(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, data, 0o600))
		return name
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	write("main.go", []byte(fmt.Sprintf(service, recipe(t))))
	write("go.sum", sum)
	write("go.mod", []byte("module example.com/service\n\ngo 1.26.8\n\nrequire github.com/zkllmc/zkllmc v0.0.0\n\nreplace github.com/zkllmc/zkllmc => "+root+"\n"))
	goRun := func(args ...string) string {
		c := exec.Command("go", args...)
		c.Dir, c.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	goRun("build", "-o", "service", ".")
	for _, module := range strings.Fields(goRun("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		require.Contains(t, []string{"example.com/service", "github.com/zkllmc/zkllmc", "github.com/consensys/gnark-crypto",
			"github.com/bits-and-blooms/bitset", "golang.org/x/sys"}, module)
	}

	id, vk, statements, proof := provedSum(t)
	keyFile, proofFile := write("model.vk", vk), write("proof.bin", proof)
	const prompt = "327+458="
	other := strings.Repeat("00", 32)
	for _, c := range []struct {
		id, prompt, answer string
		statement, code    int
		says               string
	}{
		{id, prompt, "785;", 0, 0, "accepted"},
		{id, prompt, "785", 0, 0, "accepted"}, // the end token is let pass
		{"model ID  " + id + "\n", prompt, "785", 0, 0, "accepted"},
		{id, prompt, "786", 0, 1, "another answer"},
		{id, prompt, "78", 0, 1, "another answer"},
		{id, "327+459=", "785", 0, 1, "another prompt"},
		{id, "327+458", "=785", 0, 1, "another prompt"},
		{id, prompt, "786", 1, 1, "the final argument does not verify"}, // a forged statement
		{id, prompt, "seven", 0, 1, "the vocabulary cannot write this text"},
		{other, prompt, "785", 0, 1, "another model"},
		{"7", prompt, "785", 0, 1, "a model ID has 64 hexadecimal digits"},
	} {
		p := exec.Command(filepath.Join(dir, "service"), c.id, c.prompt, c.answer, keyFile, write("statement.bin", statements[c.statement]), proofFile)
		out, _ := p.CombinedOutput()
		require.Equal(t, c.code, p.ProcessState.ExitCode(), "%s", out)
		require.Contains(t, string(out), c.says)
	}
}

// provedSum proves 327+458=785; with the circuit that is committed in generated/sums. It returns the model's ID and verifying key, a
// true and a forged statement, and the proof.
func provedSum(t *testing.T) (id string, vk []byte, statements [2][]byte, proof []byte) {
	ctx := context.Background()
	m := provedModel{path: filepath.Join("..", "models", "sums", "model.onnx"), tokens: []int64{3, 2, 7, 10, 4, 5, 8, 11}, length: 12, pad: 13}
	r, err := Analyse(ctx, m.path, Config{Reveal: map[string]string{"": "argmax"}, Pad: m.pad, Name: "sums"})
	require.NoError(t, err)
	weights := map[circuit.ID]backend.Tensor{}
	for i, w := range r.Circuit.Weights() {
		weights[w.ID] = backend.Tensor{Shape: r.Weights[i].Shape, V: r.Weights[i].Values}
	}
	o := engine.Options{Backend: cpu.New()}
	key, vk, err := engine.Setup(ctx, r.Circuit, weights, o)
	require.NoError(t, err)
	st := greedy(t, r, key, m)
	require.Equal(t, []int64{7, 8, 5, 12}, st.Tokens[8:])
	proof, err = key.Prove(ctx, &engine.Input{Statement: st}, o)
	require.NoError(t, err)
	forged := generation.Statement{Tokens: append(append([]int64(nil), m.tokens...), 7, 8, 6, 12), Prompt: st.Prompt, Next: st.Next}
	for i, s := range []*generation.Statement{st, &forged} {
		statements[i], err = s.Encode(r.Circuit)
		require.NoError(t, err)
	}
	model := key.ModelID()
	return hex.EncodeToString(model[:]), vk, statements, proof
}
