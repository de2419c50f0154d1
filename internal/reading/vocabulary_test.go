package reading_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// A vocabulary is that of the file, else the one that was compiled in, else there is none; it has no more tokens than the model.
func TestVocabulary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vocab.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}}`), 0o600))
	errNone := errors.New("none")
	compiled := func() (tokens.Tokenizer, error) { return nil, errNone }
	v, err := reading.Vocabulary(5, file, compiled)
	require.NoError(t, err)
	require.Equal(t, 5, v.Size())
	_, err = reading.Vocabulary(5, "", compiled)
	require.ErrorIs(t, err, errNone)
	v, err = reading.Vocabulary(5, "", nil)
	require.NoError(t, err)
	require.Nil(t, v)
	_, err = reading.Vocabulary(5, filepath.Join(filepath.Dir(file), "other.json"), compiled)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = reading.Vocabulary(4, file, compiled)
	require.ErrorContains(t, err, "the vocabulary has 5 tokens, the model has 4; it belongs to another model")
}
