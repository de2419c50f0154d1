package prover_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/asked"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// texts is what a service has of a bench: a verifier of texts, and the files that came last.
func (b *bench) texts(vocab []byte) (v *asked.Verifier, st, proof []byte) {
	files := b.contents("keys/model.vk", "s.bin", "p.bin")
	f, err := b.build()
	require.NoError(b.t, err)
	key, err := verifier.ReadKey(context.Background(), f, generation.Kind, []byte(files[0]))
	require.NoError(b.t, err)
	v, err = asked.NewVerifier(f, key, parsed(vocab))
	require.NoError(b.t, err)
	return v, []byte(files[1]), []byte(files[2])
}

// A service gives texts: honest proofs are accepted in every mode, with the end token or without, and whatever is not what was asked and
// told is refused for what it is.
func TestVerifyTexts(t *testing.T) {
	ctx := context.Background()
	for name, cfg := range configs {
		b := proved(t, cfg)
		v, st, proof := b.texts([]byte(vocab))
		check := v.VerifyText
		if cfg.PrivateInput {
			require.ErrorIs(t, v.VerifyText(ctx, "a", "bcd", st, proof), asked.ErrHidden)
			check = func(ctx context.Context, _, answer string, st, proof []byte) error {
				return v.VerifyAnswer(ctx, answer, st, proof)
			}
		} else {
			require.NoError(t, v.VerifyAnswer(ctx, "bcd", st, proof), name)
			require.ErrorIs(t, check(ctx, "b", "bcd", st, proof), asked.ErrPrompt, name)
			require.ErrorIs(t, check(ctx, "ab", "cd", st, proof), asked.ErrPrompt, name)
			require.ErrorIs(t, check(ctx, "x", "bcd", st, proof), tokens.ErrText, name)
			require.ErrorIs(t, check(ctx, "", "bcd", st, proof), asked.ErrEmpty, name)
		}
		require.NoError(t, check(ctx, "a", "bcd;", st, proof), name)
		require.NoError(t, check(ctx, "a", "bcd", st, proof), name)
		for _, answer := range []string{"bc", "bcda", "bcb", "", ";"} {
			require.ErrorIs(t, check(ctx, "a", answer, st, proof), asked.ErrAnswer, "%s: %q", name, answer)
		}
		require.ErrorIs(t, check(ctx, "a", "x", st, proof), tokens.ErrText, name)
		require.ErrorIs(t, check(ctx, "a", "bcd", proof, proof), format.ErrMagic, name)
		require.ErrorIs(t, check(ctx, "a", "bcd", st, flipped(append([]byte(nil), proof...))), veil.ErrRejected, name)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorIs(t, check(cancelled, "a", "bcd", st, proof), context.Canceled, name)

		b.prover(0, "prove --force --key @keys/prover.key --prompt a --answer bc -o @p.bin --statement-out @s.bin")
		v, st, proof = b.texts([]byte(vocab))
		if cfg.PrivateInput {
			check = func(ctx context.Context, _, answer string, st, proof []byte) error {
				return v.VerifyAnswer(ctx, answer, st, proof)
			}
		} else {
			check = v.VerifyText
		}
		require.ErrorIs(t, check(ctx, "a", "bc", st, proof), asked.ErrUnfinished, name)
		require.ErrorIs(t, check(ctx, "a", "bcd", st, proof), asked.ErrAnswer, name)
	}
}

// Where nothing but the end token is answered, the answer is the empty text.
func TestVerifyEmptyAnswer(t *testing.T) {
	ctx := context.Background()
	b := proved(t, configs["argmax"])
	b.prover(0, "prove --force --key @keys/prover.key --prompt d -o @p.bin --statement-out @s.bin")
	v, st, proof := b.texts([]byte(vocab))
	require.NoError(t, v.VerifyText(ctx, "d", "", st, proof))
	require.NoError(t, v.VerifyText(ctx, "d", ";", st, proof))
	require.ErrorIs(t, v.VerifyText(ctx, "d", "a", st, proof), asked.ErrAnswer)
	b.prover(0, "prove --force --key @keys/prover.key --prompt a --answer-tokens 1,2,3,4,0 -o @beyond.bin --statement-out @beyond.st") // behind the end
	beyond := b.contents("beyond.st", "beyond.bin")
	for _, answer := range []string{"bcd;a", "bcda", "bcd;", "bcd"} {
		require.ErrorIs(t, v.VerifyText(ctx, "a", answer, []byte(beyond[0]), []byte(beyond[1])), asked.ErrAnswer, answer)
	}
	out, _ := b.verifier(0, verifyLine+" --prompt d --answer=")
	require.Contains(t, out, `answer    ";", as told`)
	_, err := dialogue.Answer(b.c, endless(t), "")
	require.ErrorIs(t, err, asked.ErrEmpty, "no end token is known: nothing would be claimed")
}

// endless is the vocabulary without an end token.
func endless(t *testing.T) tokens.Tokenizer {
	v, err := tokens.Parse([]byte(strings.Replace(vocab, `"end_token"`, `"note"`, 1)))
	require.NoError(t, err)
	return v
}

// A model may answer in other tokens than the usual ones of the text that they make. That is an honest answer; an end token inside is not.
func TestVerifyUnusualAnswer(t *testing.T) {
	ctx := context.Background()
	c, weights, words := pairModel(t)
	d := newDesk(t, c, weights, parsed(words))
	d.proves("--prompt c")
	v, st, proof := d.texts(words)
	require.NoError(t, v.VerifyText(ctx, "c", "abd", st, proof))
	require.ErrorIs(t, v.VerifyText(ctx, "c", "ab", st, proof), asked.ErrAnswer)
	require.ErrorIs(t, v.VerifyText(ctx, " c", "abd", st, proof), asked.ErrPrompt)
	d.proves("--prompt ab --answer-tokens 265,1,267,1")
	v, st, proof = d.texts(words)
	for _, answer := range []string{"c", "cd", "d", ""} {
		require.ErrorIs(t, v.VerifyText(ctx, "ab", answer, st, proof), asked.ErrAnswer, answer)
	}
}

// A statement that claims no answer shows none, whatever was told.
func TestNothingToldIsNothingProved(t *testing.T) {
	b := newBench(t, configs["logits"])
	st := &generation.Statement{Tokens: []int64{0}, Prompt: 1, Next: generation.Unclaimed, Logits: make([]int64, 6)}
	v, err := tokens.Parse([]byte(vocab))
	require.NoError(t, err)
	q, err := dialogue.Told(b.c, v, "")
	require.NoError(t, err)
	require.ErrorIs(t, q.Compare(b.c, v, st), asked.ErrAnswer)
}

// A vocabulary of another model is refused when it is given, not when a proof comes.
func TestVocabularyOfService(t *testing.T) {
	b := proved(t, configs["argmax"])
	data, err := os.ReadFile(b.file("keys/model.vk"))
	require.NoError(t, err)
	key, err := verifier.ReadKey(context.Background(), circuit.Single(b.c), generation.Kind, data)
	require.NoError(t, err)
	_, err = asked.NewVerifier(circuit.Single(b.c), key, parsed([]byte(strings.Replace(vocab, `";": 4`, `";": 4, "e": 6`, 1))))
	require.ErrorContains(t, err, "the vocabulary has 7 tokens, the model has 6")
	_, err = asked.NewVerifier(circuit.Single(b.c), key, nil)
	require.ErrorIs(t, err, tokens.ErrVocabulary)
}
