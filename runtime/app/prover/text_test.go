package prover_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/texts"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"

	functions "github.com/zkllmc/zkllmc/runtime/statement/function"
)

// wholes is a model that reads texts of up to 3 and of up to 6 tokens whole, with a vocabulary that has no more tokens than it knows.
func wholes(t testing.TB, x witnesstest.Whole) *bench {
	f, weights := x.Family(t, 3, 6)
	b := family(t, weights, f.Members()...)
	b.vocab = `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2}, "pad_id": 3}`
	b.prover(0, "setup --weights @weights.zkw -o @keys")
	b.verifier(0, "accept --save @model.id @keys/model.vk")
	return b
}

// A text is proved as the elements of all inputs, and a proof is of this text and no other, to the command line and to services.
func TestTextOfFunction(t *testing.T) {
	b := wholes(t, witnesstest.Whole{})
	run, _ := b.prover(0, "run --key @keys/prover.key --text abc")
	require.Equal(t, "sum\t[3001,3005]\n", run) // (3, −1) + (2, 5) + (−4, 1), and the positions 0, 1 and 2
	b.write("text", "abc\n")
	again, _ := b.prover(0, "run --key @keys/prover.key --text-file @text")
	require.Equal(t, run, again)
	out, _ := b.prover(0, "prove --key @keys/prover.key --text ab -o @p.bin --statement-out @s.bin")
	require.Contains(t, out, "sum\t[3005,3004]\n") // the padding's line of the table does not count

	b.stdin = strings.NewReader("ab\n")
	for _, line := range []string{"", " --text ab", " --text-file -"} {
		out, _ = b.verifier(0, verifyLine+line)
		require.Equal(t, line != "", strings.Contains(out, "input     input_ids [3] ids: [0,1,3], as expected"), out)
	}
	out, _ = b.verifier(0, verifyLine+" --text ab --json")
	require.Equal(t, 4, strings.Count(out, `"matches": true`))
	for _, other := range []string{"ba", "abc", "a", "abcabc", "abcabca"} {
		_, stderr := b.verifier(1, verifyLine+" --text "+other)
		require.Contains(t, stderr, "rejected (text mismatch): the proof holds, but for another text")
	}
	b.write("sum.json", "[3005,3003]")
	_, stderr := b.verifier(1, b.line(verifyLine+" --text ab --output sum=@sum.json"))
	require.Contains(t, stderr, "rejected (output mismatch)")
}

// What makes no sense is said before anything is read or proved.
func TestTextFlags(t *testing.T) {
	b := wholes(t, witnesstest.Whole{})
	b.write("x.json", "[0,1,2]")
	for line, want := range map[string]string{
		b.line("--text a --input input_ids=@x.json"): "--text makes all inputs; leave --input out",
		"--text a --text-file @x.json":               "give only one of --text and --text-file",
		"--text abcabca":                             "--text: it has more tokens than the model takes: 7 of 6",
		"--text z":                                   "--text: ",
	} {
		_, stderr := b.prover(2, "run --key @keys/prover.key "+line)
		require.Contains(t, stderr, want)
	}
	_, stderr := b.prover(3, "run --key @keys/prover.key --text-file @none")
	require.Contains(t, stderr, "no such file")
	for line, want := range map[string]string{
		b.line("--text a --input input_ids=@x.json"): "--text says what the input input_ids holds, and so does --input",
		"--prompt a":                     "this model continues no prompt; what its inputs and outputs are compared with is given with --text, --input and --output",
		"--text a --prompt a":            "this model continues no prompt",
		"--text a --text-file @x.json":   "give only one of --text and --text-file",
		"--text z":                       "verify: --text: ",
		"--text-file @x.json --tokens 1": "this model continues no prompt",
	} {
		_, stderr := b.verifier(2, verifyLine+" "+line)
		require.Contains(t, stderr, want)
	}
	b.vocab = ""
	_, stderr = b.verifier(2, verifyLine+" --text a")
	require.Contains(t, stderr, "no vocabulary was compiled in")
	_, stderr = b.prover(2, "run --key @keys/prover.key --text a")
	require.Contains(t, stderr, "unknown flag: --text")
	_, stderr = newBench(t, configs["argmax"]).verifier(2, verifyLine+" --text a")
	require.Contains(t, stderr, "--text is for models that read a text whole; give --prompt and --answer")
}

// Where a part of the text is private there is nothing to compare, and what is wrong with a private text is not shown.
func TestPrivateText(t *testing.T) {
	b := wholes(t, witnesstest.Whole{Private: "attention_mask"})
	b.prover(0, "prove --key @keys/prover.key --text ab -o @p.bin --statement-out @s.bin")
	b.verifier(0, verifyLine)
	_, stderr := b.verifier(2, verifyLine+" --text ab")
	require.Contains(t, stderr, "the proofs of this circuit hide an input that a text is part of")
	_, stderr = b.prover(2, "run --key @keys/prover.key --text az")
	require.Contains(t, stderr, "--text: it holds what is no token of the model; it is private and not shown")
}

// The verifier for services accepts the text that was proved, and says why it does not accept another.
func TestVerifyTextOfFunction(t *testing.T) {
	b := wholes(t, witnesstest.Whole{})
	b.prover(0, "prove --key @keys/prover.key --text ca -o @p.bin --statement-out @s.bin")
	b.prover(0, "prove --key @keys/prover.key --text cb -o @q.bin --statement-out @r.bin")
	read := func(name string) []byte {
		data, err := os.ReadFile(b.file(name))
		require.NoError(t, err)
		return data
	}
	ctx := context.Background()
	f, err := b.build()
	require.NoError(t, err)
	key, err := verifier.ReadKey(ctx, f, functions.Kind, read("keys/model.vk"))
	require.NoError(t, err)
	v, err := texts.NewVerifier(f, key, parsed([]byte(b.vocab)))
	require.NoError(t, err)
	require.NoError(t, v.VerifyText(ctx, "ca", read("s.bin"), read("p.bin")))
	require.ErrorIs(t, v.VerifyText(ctx, "ac", read("s.bin"), read("p.bin")), texts.ErrText)
	require.ErrorIs(t, v.VerifyText(ctx, "caca", read("s.bin"), read("p.bin")), texts.ErrText)
	require.ErrorIs(t, v.VerifyText(ctx, "c?", read("s.bin"), read("p.bin")), tokens.ErrText)
	require.ErrorIs(t, v.VerifyText(ctx, "ca", read("s.bin"), read("q.bin")), verifier.ErrRejected)
	require.ErrorIs(t, v.VerifyText(ctx, "cb", read("s.bin"), read("q.bin")), verifier.ErrRejected, "the text is another one, too")
	require.ErrorIs(t, v.VerifyText(ctx, "ca", read("p.bin"), read("p.bin")), verifier.ErrMagic)
	_, err = texts.NewVerifier(f, key, nil)
	require.ErrorIs(t, err, tokens.ErrVocabulary)

	// The text's tokens with another mask are no statement about the text.
	st, c, err := functions.Decode(f, read("s.bin"))
	require.NoError(t, err)
	require.Equal(t, []int64{1, 1, 0}, st.Ports[1])
	st.Ports[1][2] = 1
	forged, err := statement.Encode(c, st)
	require.NoError(t, err)
	require.ErrorIs(t, v.VerifyText(ctx, "ca", forged, read("p.bin")), verifier.ErrRejected)

	hidden, _ := witnesstest.Whole{Private: "input_ids"}.Family(t, 3)
	v, err = texts.NewVerifier(hidden, key, parsed([]byte(b.vocab)))
	require.NoError(t, err)
	require.ErrorIs(t, v.VerifyText(ctx, "ca", read("s.bin"), read("p.bin")), texts.ErrHidden)
	other := circuit.Single(affine(t, false).c)
	_, err = texts.NewVerifier(other, key, parsed([]byte(b.vocab)))
	require.ErrorContains(t, err, "texts are for models with an input of token ids")
}
