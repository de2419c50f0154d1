package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every way in which an answer can differ from the reference is told, and ends in an error; equal ones do not.
func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	file := `[{"prompt": "a?", "prompt_ids": [1, 2], "answer_ids": [3, 4, 5]}]`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answers.json"), []byte(file), 0o600))
	for _, k := range []struct {
		got  answered
		want string
	}{
		{answered{[]int64{1, 2}, []int64{3, 4, 5}}, "a?: 3 tokens, equal\n1 of 1 answers"},
		{answered{[]int64{1, 2}, []int64{3, 4, 6}}, "token 2 is 6, not 5\n0 of 1"},
		{answered{[]int64{1, 2}, []int64{3, 4}}, "ends after 2\n0 of 1"},
		{answered{[]int64{1, 2}, []int64{3, 4, 5, 6}}, "goes on for 1\n0 of 1"},
		{answered{[]int64{1, 7}, []int64{3, 4, 5}}, "the prompt has the tokens [1 7], not [1 2]\n0 of 1"},
	} {
		var out strings.Builder
		err := run(t.Context(), &out, []string{dir}, func(_ context.Context, prompt string, most int) (answered, error) {
			require.Equal(t, "a?", prompt)
			require.Equal(t, 3, most)
			return k.got, nil
		})
		require.Contains(t, out.String(), k.want)
		require.Equal(t, strings.Contains(k.want, "equal"), err == nil, k.want)
	}
	broken := errors.New("no key")
	err := run(t.Context(), &strings.Builder{}, []string{dir}, func(context.Context, string, int) (answered, error) { return answered{}, broken })
	require.ErrorIs(t, err, broken)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "answers.json"), []byte("[]"), 0o600))
	require.Error(t, run(t.Context(), &strings.Builder{}, []string{dir}, nil), "nothing was compared")
	require.Error(t, run(t.Context(), &strings.Builder{}, nil, nil))
}
