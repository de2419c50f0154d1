package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The command writes what it is told to, says what, keeps what is there unless told otherwise, and explains itself.
func TestCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "model")
	model := func(args string) (string, error) {
		var out strings.Builder
		err := run(context.Background(), strings.Fields(args), &out, &out)
		return out.String(), err
	}
	for _, args := range []string{
		"gpt2 --layers 1 --width 16 --heads 2 --vocabulary 20 --length 4 -o " + dir,
		"llama --width 16 --heads 4 --kv-heads 2 --mlp 24 --vocabulary 20 --half --force -o " + dir,
		"llama --block --width 16 --heads 4 --mlp 24 --force -o " + dir,
	} {
		out, err := model(args)
		require.NoError(t, err, args)
		require.Contains(t, out, "model.onnx: ")
		info, err := os.Stat(filepath.Join(dir, "model.onnx"))
		require.NoError(t, err)
		require.Positive(t, info.Size())
	}
	_, err := model("gpt2 --layers 1 --width 16 --heads 2 -o " + dir)
	require.ErrorContains(t, err, "the file exists")
	_, err = model("gpt2 --width 16")
	require.ErrorContains(t, err, "out")
	_, err = model("gpt2 --heads 7 -o " + dir)
	require.ErrorContains(t, err, "not a multiple of 7 heads")
	out, err := model("llama --help")
	require.NoError(t, err)
	for _, want := range []string{"LLaMA-2-7B", "--kv-heads", "--block", "--force", "(default 11008)"} {
		require.Contains(t, out, want)
	}
}
