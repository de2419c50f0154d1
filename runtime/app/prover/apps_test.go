// The tests of both command lines: what the prover writes is what the verifier reads.
package prover_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

const vocab = `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, ";": 4}, "pad_id": 5, "end_token": ";"}`

// built is the Build of a circuit that is there.
func built(c *circuit.Circuit) func() (*circuit.Family, error) {
	return func() (*circuit.Family, error) { return circuit.NewFamily(c) }
}

// parsed is the Vocab of a vocabulary file's content.
func parsed(data []byte) func() (tokens.Tokenizer, error) {
	if data == nil {
		return nil
	}
	return func() (tokens.Tokenizer, error) { return tokens.Parse(data) }
}

// bigram is a model that answers a token with the next of the alphabet: a → b → c → d → ; → a.
func bigram(t testing.TB, cfg witnesstest.Text) (*circuit.Circuit, []byte) {
	t.Helper()
	cfg.Vocab, cfg.Pad, cfg.WeightBits, cfg.WitnessBits = 6, 5, 4, 4
	b := cfg.Builder()
	w := b.Weight("bigram", 8, cfg.Vocab, cfg.Vocab)
	logits := gadget.Embed(b, "logits", cfg.Tokens(b), w)
	if cfg.Logits(b, logits); cfg.Reveal == circuit.Values {
		// Something must be looked up; a circuit of a real model always does.
		b.Lookup(gadget.Range(b, -128, 127), logits)
	}
	c, err := b.Finish()
	require.NoError(t, err)
	v := make([]int64, 36)
	for i := range v {
		v[i] = int64(i%7) - 60
	}
	for i := range 5 {
		v[6*i+(i+1)%5] = 90
	}
	data, err := format.EncodeWeights(circuit.Single(c), map[circuit.ID]integer.Tensor{w: {Shape: []int{6, 6}, V: v}})
	require.NoError(t, err)
	return c, data
}

// bench is a folder with a model that was set up.
type bench struct {
	t   testing.TB
	dir string
	c   *circuit.Circuit
	f   *circuit.Family // of which it is, nil: of itself alone

	nodes string    // of the prover's Model
	vocab string    // instead of the usual one, "" for none
	stdin io.Reader // of both programs
}

// words is the Vocab of both programs.
func (b *bench) words() func() (tokens.Tokenizer, error) {
	if b.vocab == "" {
		return nil
	}
	return parsed([]byte(b.vocab))
}

// build is the Build of the circuits.
func (b *bench) build() (*circuit.Family, error) {
	if b.f != nil {
		return b.f, nil
	}
	return circuit.NewFamily(b.c)
}

func newBench(t testing.TB, cfg witnesstest.Text) *bench {
	c, weights := bigram(t, cfg)
	b := &bench{t: t, vocab: vocab, dir: t.TempDir(), c: c}
	require.NoError(t, os.WriteFile(b.file("weights.zkw"), weights, 0o600))
	return b
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

// args replaces @name by the path of a file in the folder.
func (b *bench) args(line string) []string {
	args := strings.Fields(line)
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			args[i] = b.file(name)
		}
	}
	return args
}

func (b *bench) prover(want int, line string) (stdout, stderr string) {
	b.t.Helper()
	var o, e bytes.Buffer
	m := proverapp.Model{Name: "bigram", Build: b.build, Vocab: b.words(), Nodes: b.nodes}
	require.Equal(b.t, want, proverapp.Run(context.Background(), m, b.args(line), b.stdin, &o, &e), "%s\n%s%s", line, &o, &e)
	return o.String(), e.String()
}

func (b *bench) verifier(want int, line string) (stdout, stderr string) {
	b.t.Helper()
	var o, e bytes.Buffer
	m := verifierapp.Model{Name: "bigram", Build: b.build, Vocab: b.words()}
	require.Equal(b.t, want, verifierapp.Run(context.Background(), m, b.args(line), b.stdin, &o, &e), "%s\n%s%s", line, &o, &e)
	return o.String(), e.String()
}

const verifyLine = "verify --vk @keys/model.vk --pin @model.id --statement @s.bin --proof @p.bin"

// proved sets up and proves a → bcd;.
func proved(t testing.TB, cfg witnesstest.Text) *bench {
	b := newBench(t, cfg)
	b.prover(0, "setup --weights @weights.zkw -o @keys")
	b.verifier(0, "accept --save @model.id @keys/model.vk")
	out, _ := b.prover(0, "prove --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin")
	require.Contains(t, out, `"bcd;"`)
	return b
}

var configs = map[string]witnesstest.Text{
	"argmax":  {Name: "argmax", Length: 6, Reveal: circuit.Argmax},
	"full":    {Name: "full", Length: 4, Reveal: circuit.Argmax}, // the end token finds no position
	"logits":  {Name: "logits", Length: 6, Reveal: circuit.Values},
	"private": {Name: "private", Length: 6, Reveal: circuit.Argmax, PrivateInput: true},
}

func TestProveAndVerify(t *testing.T) {
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			b := proved(t, cfg)
			out, _ := b.verifier(0, verifyLine)
			require.Contains(t, out, `"bcd;"`)
			if cfg.PrivateInput {
				require.Contains(t, out, "private, 1 tokens")
				require.Contains(t, out, "accepted  the proof shows that the model continues some prompt of 1 tokens with the answer's tokens")
				return
			}
			require.Contains(t, out, `"a"`)
		})
	}
}

func TestForgedAnswers(t *testing.T) {
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			b := proved(t, cfg)
			_, stderr := b.prover(1, "prove --key @keys/prover.key --prompt a --answer bcb; -o @q.bin --statement-out @r.bin")
			after := `"abc"`
			if cfg.PrivateInput {
				after = `the private prompt and "bc"`
			}
			require.Contains(t, stderr, "after "+after+` it continues with "d", not with "b"`)
			require.NoFileExists(t, b.file("q.bin"))
			require.NoFileExists(t, b.file("r.bin"))

			line := "statement --prompt a --answer bcb; -o @forged.bin"
			if cfg.Reveal == circuit.Values {
				line += " --logits-from @s.bin"
			}
			b.prover(0, line)
			_, stderr = b.verifier(1, strings.Replace(verifyLine, "@s.bin", "@forged.bin", 1))
			if cfg.Reveal == circuit.Values { // the logits that are claimed to belong to the answer predict another one
				require.Contains(t, stderr, "rejected (statement)")
				return
			}
			require.Contains(t, stderr, "rejected (final argument)")
		})
	}
}

// TestAnswerAgainstLogits proves a statement that is true of the logits, by the library, while its answer is not what they predict.
func TestAnswerAgainstLogits(t *testing.T) {
	b := proved(t, configs["logits"])
	data, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(t, err)
	k, err := engine.ReadKey(circuit.Single(b.c), data)
	require.NoError(t, err)
	weights, err := os.ReadFile(b.file("weights.zkw"))
	require.NoError(t, err)
	w, err := format.DecodeWeights(circuit.Single(b.c), weights)
	require.NoError(t, err)
	weight := w[protocol.WeightIDs(b.c)[0]]
	v := weight.All()
	st := generation.Statement{Tokens: []int64{0, 1, 3}, Prompt: 2, Next: generation.Unclaimed} // a b → d
	st.Logits = append(append(st.Logits, v[6:12]...), v[18:24]...)
	_, err = k.Prove(context.Background(), &engine.Input{Statement: &st}, engine.Options{Backend: cpu.New()})
	require.ErrorIs(t, err, generation.ErrAnswer)
	a, err := k.Witness(context.Background(), &engine.Input{Statement: &st})
	require.NoError(t, err)
	proof, err := k.ProveAssignment(context.Background(), &st, a, engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	encoded, err := st.Encode(b.c)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.file("s.bin"), encoded, 0o600))
	require.NoError(t, os.WriteFile(b.file("p.bin"), proof, 0o600))
	_, stderr := b.verifier(1, verifyLine)
	require.Contains(t, stderr, "predict 2, the answer has 3")
}

func TestRun(t *testing.T) {
	b := newBench(t, configs["argmax"])
	b.prover(0, "setup --weights @weights.zkw -o @keys")
	out, stderr := b.prover(0, "run --key @keys/prover.key --prompt b")
	require.Equal(t, "cd;\n", out)
	require.Contains(t, stderr, "decoding")
	out, _ = b.prover(0, "run --key @keys/prover.key --tokens 1 --max 1")
	require.Equal(t, "c\n", out)
	out, _ = b.prover(0, "run --key @keys/prover.key --prompt ;")
	require.Equal(t, "abcd;\n", out)
	out, _ = b.prover(0, "run --key @keys/prover.key --prompt abcda")
	require.Equal(t, "bc\n", out, "one token behind the last position")
	out, _ = b.prover(0, "run --json --key @keys/prover.key --prompt b")
	var report map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, map[string]any{"canonical": true, "text": "cd;"}, report["texts"].(map[string]any)["answer"])
	require.Contains(t, report["seconds"], "decoding")
	require.Contains(t, report["seconds"], "total")
	out, _ = b.prover(0, "prove --json --key @keys/prover.key --prompt b -o @named.bin --statement-out @named.st")
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	for _, phase := range []string{"read_key", "self_check", "write"} {
		require.Contains(t, report["seconds"], phase)
	}
}

func TestReports(t *testing.T) {
	b := newBench(t, configs["argmax"])
	out, _ := b.prover(0, "setup --json --weights @weights.zkw -o @keys")
	var setup, accept, prove, verify map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &setup))
	out, _ = b.verifier(0, "accept --json --save @model.id @keys/model.vk")
	require.NoError(t, json.Unmarshal([]byte(out), &accept))
	require.Equal(t, setup["model_id"], accept["model_id"])
	out, _ = b.prover(0, "prove --json --key @keys/prover.key --prompt ab --answer cd -o @p.bin --statement-out @s.bin")
	require.NoError(t, json.Unmarshal([]byte(out), &prove))
	out, _ = b.verifier(0, verifyLine+" --json")
	require.NoError(t, json.Unmarshal([]byte(out), &verify))
	require.Equal(t, true, verify["accepted"])
	text := func(s string) map[string]any { return map[string]any{"canonical": true, "text": s} }
	which := fmt.Sprintf("%x", sha256.Sum256([]byte(vocab)))
	require.Equal(t, map[string]any{"tokenizer": which, "prompt": text("ab"), "answer": text("cd")}, verify["texts"])
	for _, key := range []string{"model_id", "circuit", "prompt_length", "private_prompt", "prompt_tokens", "answer_tokens", "finished", "texts", "proof_bytes", "statement_bytes"} {
		require.Contains(t, verify, key)
		require.Equal(t, verify[key], prove[key], "one name and one meaning in both programs: %s", key)
	}
	for _, r := range []map[string]any{setup, accept, prove, verify} {
		for _, key := range []string{"circuit", "seconds", "peak_rss", "threads", "cpu"} {
			require.Contains(t, r, key)
		}
	}
}
