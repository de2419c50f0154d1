package compiler

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// service is a program of somebody else's, in a module of its own, that embeds the committed verifier of models/sums with the function of
// README. It takes the files of verifying key and proof, and then questions of four arguments each: a model ID, a prompt, an answer, and
// the file of the statement. It answers each in a line.
const service = `package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/zkllmc/zkllmc/generated/sums/verifier"
	"github.com/zkllmc/zkllmc/runtime/asked"
)

%s
func main() {
	vk, proof := read(os.Args[1]), read(os.Args[2])
	for q := os.Args[3:]; len(q) >= 4; q = q[4:] {
		switch err := check(q[0], vk, q[1], q[2], read(q[3]), proof); {
		case err == nil:
			fmt.Println("accepted")
		case errors.Is(err, asked.ErrUnfinished):
			fmt.Println("unfinished")
		default:
			fmt.Println("no: " + strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
}

func read(name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return data
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
	line, files := []string{write("model.vk", vk), write("proof.bin", proof)}, [2]string{write("true.bin", statements[0]), write("forged.bin", statements[1])}
	const prompt = "327+458="
	other := strings.Repeat("00", 32)
	questions := []struct {
		id, prompt, answer string
		statement          int
		says               string
	}{
		{id, prompt, "785;", 0, "accepted"},
		{id, prompt, "785", 0, "accepted"}, // the end token is let pass
		{"model ID  " + id + "\n", prompt, "785", 0, "accepted"},
		{id, prompt, "786", 0, "another answer"},
		{id, prompt, "78", 0, "another answer"},
		{id, "327+459=", "785", 0, "another prompt"},
		{id, "327+458", "=785", 0, "another prompt"},
		{id, prompt, "786", 1, "the final argument does not verify"}, // a forged statement
		{id, prompt, "seven", 0, "the vocabulary cannot write this text"},
		{other, prompt, "785", 0, "another model"},
		{"7", prompt, "785", 0, "a model ID has 64 hexadecimal digits"},
	}
	for _, q := range questions {
		line = append(line, q.id, q.prompt, q.answer, files[q.statement])
	}
	out, err := exec.Command(filepath.Join(dir, "service"), line...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, answers, len(questions))
	for i, q := range questions {
		require.Contains(t, answers[i], q.says)
		require.Equal(t, q.says == "accepted", answers[i] == "accepted", answers[i])
	}
}

// provedSum proves 327+458=785; with the circuit that is committed in generated/sums, once for all tests. It returns the model's ID and
// verifying key, a true and a forged statement, and the proof.
func provedSum(t *testing.T) (id string, vk []byte, statements [2][]byte, proof []byte) {
	r, err := setUpOnce(sums, "argmax")
	require.NoError(t, err)
	st, proof := r.answered(t)
	require.Equal(t, []int64{7, 8, 5, 12}, st.Tokens[8:])
	forged := generation.Statement{Tokens: append(append([]int64(nil), r.model.tokens...), 7, 8, 6, 12), Prompt: st.Prompt, Next: st.Next}
	for i, s := range []*generation.Statement{st, &forged} {
		var err error
		statements[i], err = s.Encode(r.Circuit)
		require.NoError(t, err)
	}
	model := r.key.ModelID()
	return hex.EncodeToString(model[:]), r.vk, statements, proof
}
