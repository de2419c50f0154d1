package checker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/test/handover"
	"github.com/zkllmc/zkllmc/internal/test/provided"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/tokens"
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

// said is a conversation of one message.
func said(prompt string) []byte {
	return []byte(`[{"role": "user", "content": "` + prompt + `"}]`)
}

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
		"half an answer":              {"proof.bin", checker.Question{Prompt: text(handover.Prompt), Answer: &answer}, "unfinished"},
		"the prompt alone":            {"proof.bin", checker.Question{Prompt: text(handover.Prompt)}, ""},
		"another prompt":              {"proof.bin", checker.Question{Prompt: text("3+5=")}, "prompt mismatch"},
		"another answer":              {"proof.bin", checker.Question{Answer: text(answer + "0")}, "answer mismatch"},
		"no claim of clamps":          {"proof.bin", checker.Question{NoSaturation: true}, "saturation"},
		"a damaged proof":             {"damaged.bin", checker.Question{}, "final argument"},
		"half a proof":                {"short.bin", checker.Question{}, "decoding"},
		"a key for a proof":           {"model.vk", checker.Question{}, "decoding"},
		"a text, not a prompt":        {"proof.bin", checker.Question{Text: text(handover.Prompt)}, "question"},
		"both":                        {"proof.bin", checker.Question{Text: text(handover.Prompt), Prompt: text(handover.Prompt)}, "question"},
		"no text of the model":        {"proof.bin", checker.Question{Prompt: text("sum?")}, "question"},
		"no prompt":                   {"proof.bin", checker.Question{Prompt: text("")}, "question"},
		"a conversation":              {"proof.bin", checker.Question{Messages: said(handover.Prompt)}, ""},
		"another conversation":        {"proof.bin", checker.Question{Messages: said("3+5=")}, "prompt mismatch"},
		"no words of the model":       {"proof.bin", checker.Question{Messages: said("sum?")}, "question"},
		"several turns":               {"proof.bin", checker.Question{Messages: []byte(`[{"role": "user", "content": "1+1="}, {"role": "assistant", "content": "2;"}, {"role": "user", "content": "327+458="}]`)}, "question"},
		"a prompt and a conversation": {"proof.bin", checker.Question{Prompt: text(handover.Prompt), Messages: said(handover.Prompt)}, "question"},
		"no answer of the model":      {"proof.bin", checker.Question{Answer: text("sum?")}, "question"},
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

// TestText compares the inputs of a function with those of a text that it reads whole.
func TestText(t *testing.T) {
	dir, m := provided.Whole(t)
	f, err := circuits.Decode(t.Context(), folder{t, dir}.read("model.circuit"))
	require.NoError(t, err)
	k, err := engine.ReadKey(f, folder{t, dir}.read("keys/prover.key"))
	require.NoError(t, err)
	reader, err := passage.NewReader(f, func() (tokens.Tokenizer, error) { return tokens.Parse(folder{t, dir}.read("vocab/vocab.json")) })
	require.NoError(t, err)
	read, err := reader.Read("abc")
	require.NoError(t, err)
	c, err := read.Shortest()
	require.NoError(t, err)
	inputs, err := read.Elements(c)
	require.NoError(t, err)
	st := &function.Statement{Ports: make([][]int64, len(c.Ports))}
	for i, x := range inputs {
		st.Ports[i] = x
	}
	run, err := k.Run(t.Context(), st, nil, cpu.New())
	require.NoError(t, err)
	proof, err := run.Prove(t.Context(), engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	encoded, err := statement.Encode(c, st)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		q     checker.Question
		class string
	}{
		"nothing asked":      {checker.Question{}, ""},
		"the text":           {checker.Question{Text: text("abc")}, ""},
		"another text":       {checker.Question{Text: text("abb")}, "text mismatch"},
		"no text of letters": {checker.Question{Text: text("abx")}, "question"},
		"a prompt":           {checker.Question{Prompt: text("abc")}, "question"},
		"an answer":          {checker.Question{Answer: text("abc")}, "question"},
	} {
		r, err := m.Verify(t.Context(), encoded, proof, c.q)
		require.NoError(t, err, name)
		require.Equal(t, c.class, r.Class, "%s: %s", name, r.Error)
		require.Equal(t, c.class == "", r.Accepted, name)
	}
}

// TestNothingToCompare refuses questions that no proof of a model could answer, before it looks at one.
func TestNothingToCompare(t *testing.T) {
	letters := map[string]string{"vocab.json": `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2}, "pad_id": 3}`}
	f, weights := witnesstest.Whole{Private: "input_ids"}.Family(t, 3)
	_, hidden := provided.Provide(t, f, weights, letters)
	f, weights = witnesstest.Whole{Real: "token_type_ids"}.Family(t, 3)
	_, reals := provided.Provide(t, f, weights, letters)
	f, weights = provided.Letters(t, witnesstest.Text{Name: "secret", Length: 6, PrivateInput: true})
	_, secret := provided.Provide(t, f, weights, map[string]string{"vocab.json": `{"tokeniser": "character", "vocab": {"a": 0, "b": 5}}`})
	_, mute := provided.Provide(t, f, weights, nil)
	for name, c := range map[string]struct {
		m    *checker.Model
		q    checker.Question
		says string
	}{
		"a text that is hidden":    {hidden, checker.Question{Text: text("abc")}, passage.ErrHidden.Error()},
		"inputs of another kind":   {reals, checker.Question{Text: text("abc")}, "token_type_ids takes real numbers"},
		"a prompt that is hidden":  {secret, checker.Question{Prompt: text("a")}, dialogue.ErrHidden.Error()},
		"a conversation that is":   {secret, checker.Question{Messages: said("a")}, dialogue.ErrHidden.Error()},
		"an answer of no letters":  {secret, checker.Question{Answer: text("x")}, "answer: "},
		"texts without tokenizer":  {mute, checker.Question{Answer: text("a")}, "no tokenizer"},
		"a text of no text":        {secret, checker.Question{Text: text("a")}, "one that reads a text whole a text"},
		"a prompt and also a text": {secret, checker.Question{Answer: text("a"), Text: text("a")}, "one that reads a text whole a text"},
	} {
		r, err := c.m.Verify(t.Context(), nil, nil, c.q)
		require.NoError(t, err, name)
		require.Equal(t, "question", r.Class, "%s: %s", name, r.Error)
		require.ErrorContains(t, errors.New(r.Error), c.says, name)
	}
	r, err := secret.Verify(t.Context(), nil, nil, checker.Question{Answer: text("a")})
	require.NoError(t, err)
	require.Equal(t, "statement", r.Class, r.Error)
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
