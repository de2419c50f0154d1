package checker_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/test/handover"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

type folder struct {
	t   *testing.T
	dir string
}

func (f folder) read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	require.NoError(f.t, err)
	return data
}

func text(s string) *string { return &s }

// TestVerify accepts what is proved, and says why not what is not.
func TestVerify(t *testing.T) {
	f := folder{t, handover.Sums(t)}
	m, err := checker.Open(t.Context(), f.read("sums.bundle"), nil)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(f.read("model.id"))), m.ID())
	id, err := verifier.ParseModelID(m.ID())
	require.NoError(t, err)
	pinned, err := checker.Open(t.Context(), f.read("sums.bundle"), &id)
	require.NoError(t, err)
	first, err := m.Verify(t.Context(), f.read("statement.bin"), f.read("proof.bin"), checker.Question{})
	require.NoError(t, err)
	require.True(t, first.Accepted, first.Error)
	require.Equal(t, handover.Prompt, *first.Texts.Prompt.Text)
	answer := first.Texts.Answer.Of.Text
	for name, c := range map[string]struct {
		proof string
		q     checker.Question
		class string
	}{
		"half an answer":       {"proof.bin", checker.Question{Prompt: text(handover.Prompt), Answer: &answer}, "unfinished"},
		"the prompt alone":     {"proof.bin", checker.Question{Prompt: text(handover.Prompt)}, ""},
		"another prompt":       {"proof.bin", checker.Question{Prompt: text("3+5=")}, "prompt mismatch"},
		"another answer":       {"proof.bin", checker.Question{Answer: text(answer + "0")}, "answer mismatch"},
		"no claim of clamps":   {"proof.bin", checker.Question{NoSaturation: true}, "saturation"},
		"a damaged proof":      {"damaged.bin", checker.Question{}, "final argument"},
		"half a proof":         {"short.bin", checker.Question{}, "decoding"},
		"a key for a proof":    {"model.vk", checker.Question{}, "decoding"},
		"a text, not a prompt": {"proof.bin", checker.Question{Text: text(handover.Prompt)}, "question"},
		"both":                 {"proof.bin", checker.Question{Text: text(handover.Prompt), Prompt: text(handover.Prompt)}, "question"},
		"no text of the model": {"proof.bin", checker.Question{Prompt: text("sum?")}, "question"},
		"no prompt":            {"proof.bin", checker.Question{Prompt: text("")}, "question"},
	} {
		for _, m := range []*checker.Model{m, pinned} {
			r, err := m.Verify(t.Context(), f.read("statement.bin"), f.read(c.proof), c.q)
			require.NoError(t, err, name)
			require.Equal(t, c.class, r.Class, "%s: %s", name, r.Error)
			require.Equal(t, c.class == "", r.Accepted, name)
			require.Equal(t, c.class == "", r.Error == "", name)
		}
	}
	r, err := m.Verify(t.Context(), f.read("proof.bin"), f.read("proof.bin"), checker.Question{})
	require.NoError(t, err)
	require.Equal(t, "statement", r.Class, r.Error)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Verify(ctx, f.read("statement.bin"), f.read("proof.bin"), checker.Question{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestOpen opens no bundle of another model than the trusted one, and none whose parts do not belong together.
func TestOpen(t *testing.T) {
	f := folder{t, handover.Sums(t)}
	_, err := checker.Open(t.Context(), f.read("sums.bundle"), &[32]byte{1})
	require.ErrorIs(t, err, verifier.ErrPinned)
	_, err = checker.Open(t.Context(), f.read("half.bundle"), nil)
	require.ErrorIs(t, err, bundle.ErrBundle)
	for name, c := range map[string]struct {
		change func(*bundle.Bundle)
		err    error
		says   string
	}{
		"another ID on the card": {func(b *bundle.Bundle) { b.Card.ModelID = strings.Repeat("0", 64) }, checker.ErrCard, "the card says 0000"},
		"other ports":            {func(b *bundle.Bundle) { b.Card.Ports[0].Reveals = "nothing" }, checker.ErrCard, "ports"},
		"no circuit":             {func(b *bundle.Bundle) { b.Circuit = b.Key }, verifier.ErrMagic, "circuits: "},
		"a damaged range proof":  {func(b *bundle.Bundle) { b.Key[len(b.Key)-1] ^= 1 }, verifier.ErrRejected, "range proof"},
		"no tokenizer in it":     {func(b *bundle.Bundle) { b.Tokenizer = []byte("{}") }, nil, "tokenizer: "},
		"a larger vocabulary": {func(b *bundle.Bundle) {
			b.Tokenizer = []byte(`{"tokeniser": "character", "vocab": {"0": 0, "1": 99}}`)
		}, nil, "tokenizer: "},
	} {
		b, err := bundle.Read(f.read("sums.bundle"))
		require.NoError(t, err)
		c.change(b)
		var out strings.Builder
		require.NoError(t, b.Write(&out))
		_, err = checker.Open(t.Context(), []byte(out.String()), nil)
		require.ErrorContains(t, err, c.says, name)
		if c.err != nil {
			require.ErrorIs(t, err, c.err, name)
		}
	}
}
