package prover_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/asked"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// alphabets is the model bigram at 3, 6 and 12 positions. The circuit of 12 adds bias to the logits.
func alphabets(t testing.TB, bias ...int64) *bench {
	var members []*circuit.Circuit
	var weights map[circuit.ID]integer.Tensor
	for _, length := range []int{3, 6, 12} {
		text := witnesstest.Text{Name: "alphabets", Length: length, Vocab: 6, Pad: 5, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
		b := text.Builder()
		w := b.Weight("bigram", 8, 6, 6)
		logits := gadget.Embed(b, "embedded", text.Tokens(b), w)
		if length == 12 && bias != nil {
			logits = b.Virtual("biased", []int{12, 6}, circuit.Scaled(b, 1, logits), b.Times(1, "v->tv t=12 v=6", b.Const("bias", bias, 6)))
		}
		text.Logits(b, logits)
		members = append(members, witnesstest.Finish(t, b))
		v := make([]int64, 36)
		for i := range 6 {
			v[6*i+(i+1)%5] = 90
		}
		weights = map[circuit.ID]integer.Tensor{members[0].Weights()[0].ID: {Shape: []int{6, 6}, V: v}}
	}
	return family(t, weights, members...)
}

// family is a folder with the weights of a family, given by the tensors of its shortest circuit.
func family(t testing.TB, weights map[circuit.ID]integer.Tensor, members ...*circuit.Circuit) *bench {
	f, err := circuit.NewFamily(members...)
	require.NoError(t, err)
	file, err := format.EncodeWeights(f, weights)
	require.NoError(t, err)
	b := &bench{t: t, vocab: vocab, dir: t.TempDir(), c: f.Shortest(), f: f}
	require.NoError(t, os.WriteFile(b.file("weights.zkw"), file, 0o600))
	return b
}

// lengths are command lines, the answers that they prove, and the shortest circuit that these fit.
var lengths = []struct {
	line, answer string
	member       int
}{
	{"--prompt d", ";", 0},                    // it ends at once
	{"--prompt bcd", ";", 0},                  // the answer is the token behind the last position
	{"--prompt b", "cd;", 0},                  // four tokens in three positions
	{"--prompt a", "bcd;", 1},                 // five
	{"--prompt a --max 3", "bcd", 0},          // no more than asked for
	{"--prompt abcdab", "cd;", 2},             // the prompt alone takes six
	{"--tokens 3,4 --max 9", "a", 1},          // an end token does not end a prompt
	{"--prompt a --answer bcd;", "bcd;", 1},   // a given answer
	{"--prompt abcdabcd --answer ;", ";", 2},  // one that begins late
	{"--prompt d --answer-tokens 4", ";", 0},  // one that ends at once
	{"--prompt abcda --answer bc", "bc", 1},   // the last token finds no position
	{"--prompt abcdab --answer cd", "cd", 2},  // nor here
	{"--prompt abcdab --max 1", "c", 1},       // seven tokens in six positions
	{"--prompt abcdabcdabc --max 2", "d;", 2}, // thirteen in twelve
}

// A prover of several lengths sets up once. It answers and proves with the shortest circuit that holds prompt and answer, whatever it had
// to begin with, and the verifier says which one that was.
func TestManyLengths(t *testing.T) {
	b := alphabets(t)
	digest := func(i int) string { return fmt.Sprintf("%x", b.f.Members()[i].Digest()) }
	out, _ := b.prover(0, "version")
	for i, positions := range []string{"3 positions", "6 positions", "12 positions"} {
		require.Contains(t, out, fmt.Sprintf("circuit   %s (%s)\n", digest(i), positions))
	}
	require.Contains(t, out, fmt.Sprintf("circuits  %x (alphabets), of them\n", b.f.Digest()))
	out, _ = b.verifier(0, "help")
	require.Contains(t, out, digest(2)+" (12 positions)")

	out, _ = b.prover(0, "setup --weights @weights.zkw -o @keys --json")
	require.Contains(t, out, fmt.Sprintf(`"circuit": "%x"`, b.f.Digest()))
	out, _ = b.verifier(0, "accept --save @model.id @keys/model.vk")
	require.Contains(t, out, digest(0)+" (3 positions)")

	for _, test := range lengths {
		if test.answer == "a" {
			test.answer = "abcd;"
		}
		var r struct {
			Circuit string
			Texts   struct{ Answer struct{ Text string } }
		}
		if !strings.Contains(test.line, "--answer") {
			out, _ = b.prover(0, "run --key @keys/prover.key --json "+test.line)
			require.NoError(t, json.Unmarshal([]byte(out), &r))
			require.Equal(t, test.answer, r.Texts.Answer.Text, test.line)
			require.Equal(t, digest(test.member), r.Circuit, test.line)
		}
		out, _ = b.prover(0, "prove --key @keys/prover.key -o @p.bin --statement-out @s.bin --force --json "+test.line)
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Equal(t, digest(test.member), r.Circuit, test.line)
		out, _ = b.verifier(0, verifyLine+" --json --answer "+test.answer)
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Equal(t, digest(test.member), r.Circuit, test.line)
		out, _ = b.verifier(0, verifyLine)
		require.Contains(t, out, fmt.Sprintf("circuit   %s (bigram, %s)\n", digest(test.member), b.f.Members()[test.member].Extent()))
	}

	// A service compares texts with a statement about any of them.
	for _, text := range [][2]string{{"d", ";"}, {"a", "bcd;"}, {"abcdab", "cd;"}} { // the last proof is of 12 positions
		prompt, answer := text[0], text[1]
		b.prover(0, "prove --key @keys/prover.key -o @p.bin --statement-out @s.bin --force --prompt "+prompt)
		texts, st, proof := b.texts([]byte(vocab))
		require.NoError(t, texts.VerifyText(t.Context(), prompt, answer, st, proof), prompt)
		require.ErrorIs(t, texts.VerifyText(t.Context(), prompt, "b;", st, proof), asked.ErrAnswer, prompt)
	}

	_, stderr := b.prover(2, "run --key @keys/prover.key --prompt abcdabcdabcda")
	require.Contains(t, stderr, "the prompt has 13 tokens, the circuit takes at most 12; this prover has circuits of 3, 6 or 12 positions")
	_, stderr = b.prover(2, "prove --key @keys/prover.key --prompt abcdabcdabcd --answer ;a -o @p.bin --statement-out @s.bin --force")
	require.Contains(t, stderr, "prompt and answer have 14 tokens, the circuit takes at most 13; this prover has circuits of 3, 6 or 12 positions")

	// A claim without a proof is about the circuit that its proof would be about; the proof of another claim does not show it.
	b.prover(0, "statement --prompt a --answer bcd; -o @s.bin --force")
	out, stderr = b.verifier(1, verifyLine+" --json")
	require.Contains(t, out, `"class": "circuit mismatch"`)
	require.Contains(t, stderr, "s.bin is about 6 positions, the proof "+b.file("p.bin")+" about 12 positions: the two do not belong together")
	b.prover(0, "prove --key @keys/prover.key --prompt a --answer bcd; -o @own.bin --statement-out @same.bin")
	out, _ = b.verifier(0, strings.Replace(verifyLine, "@p.bin", "@own.bin", 1))
	require.Contains(t, out, "6 positions")
}

// Where a longer circuit of a family says something else, which no compiled one does, the answer is what the circuit says that is proved.
func TestLengthsThatDisagree(t *testing.T) {
	b := alphabets(t, 0, 0, 0, 0, 100, 0) // all it says is the end
	b.prover(0, "setup --weights @weights.zkw -o @keys")
	b.verifier(0, "accept --save @model.id @keys/model.vk")
	for prompt, tokens := range map[string]string{"a": "1,2,3,4", "abc": "3,4", "abcda": "4"} {
		out, _ := b.prover(0, "prove --key @keys/prover.key --max 4 -o @p.bin --statement-out @s.bin --force --json --prompt "+prompt)
		var r struct {
			Answer []int64 `json:"answer_tokens"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Equal(t, tokens, strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Answer), " ", ","), "[]"), prompt)
		b.verifier(0, verifyLine)
	}
}

// A function of several shapes takes the inputs' own, and no other.
func TestFunctionsOfManyShapes(t *testing.T) {
	var members []*circuit.Circuit
	for _, n := range []int{2, 3} {
		b := circuit.NewBuilder(circuit.Config{Name: "shapes", WeightBits: 4, WitnessBits: 4})
		x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{n}, Lo: -8, Hi: 7, Reveal: circuit.Values})
		k := gadget.Input(b, "k", circuit.Port{Name: "k", Kind: circuit.Integers, Shape: []int{n, 1}, Lo: -8, Hi: 7, Reveal: circuit.Nothing})
		y := b.Virtual("y", []int{n}, b.Times(1, fmt.Sprintf("n,.->n n=%d", n), x, b.Weight("w", 4, 1)), b.Times(1, fmt.Sprintf("n.->n n=%d", n), k))
		gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "z", y, 0, -64, 63))
		members = append(members, witnesstest.Finish(t, b))
	}
	b := family(t, map[circuit.ID]integer.Tensor{members[0].Weights()[0].ID: {Shape: []int{1}, V: []int64{3}}}, members...)
	for name, text := range map[string]string{"x2": "[1,2]", "k2": "[[1],[0]]", "y2": "[4,6]", "x3": "[1,2,-1]", "k3": "[[1],[0],[1]]", "y3": "[4,6,-2]", "x4": "[1,2,3,4]", "k4": "[1,2,3,4]"} {
		b.write(name, text)
	}
	out, _ := b.prover(0, "prove --help")
	require.Contains(t, strings.Join(strings.Fields(out), " "), "x (integers [2] or [3] from -8 to 7), k (integers [2 1] or [3 1] from -8 to 7)")
	b.prover(0, "setup --weights @weights.zkw -o @keys")
	b.verifier(0, "accept --save @model.id @keys/model.vk")
	for i, n := range []string{"2", "3"} {
		b.prover(0, b.line("prove --key @keys/prover.key -o @p.bin --statement-out @s.bin --force --input x=@x"+n+" --input k=@k"+n))
		out, _ = b.verifier(0, b.line(verifyLine+" --input x=@x"+n+" --output y=@y"+n))
		require.Contains(t, out, fmt.Sprintf("%x (bigram, %s)", members[i].Digest(), members[i].Extent()))
	}
	// A proof that holds is one of other elements where those of another length were expected; of a shape that no circuit has nothing is proved.
	for port, side := range map[string]string{"x": "input", "y": "output"} {
		out, stderr := b.verifier(1, b.line(verifyLine+" --json --"+side+" "+port+"=@"+port+"2"))
		require.Contains(t, out, `"class": "`+side+` mismatch"`)
		require.Contains(t, out, `"matches": false`)
		require.Contains(t, stderr, "the proof holds, but for another "+side+": expected "+port+" ["+map[string]string{"x": "1,2", "y": "4,6"}[port]+"], proved ")
	}
	_, stderr := b.verifier(3, b.line(verifyLine+" --input x=@x4"))
	require.Contains(t, stderr, "another shape than the port: [4], the port has [3] or [2]")
	b.prover(0, b.line("prove --key @keys/prover.key -o @short.bin --statement-out @short.st --input x=@x2 --input k=@k2"))
	_, stderr = b.verifier(1, strings.Replace(verifyLine, "@p.bin", "@short.bin", 1))
	require.Contains(t, stderr, "rejected (circuit mismatch)")
	require.Contains(t, stderr, "is about x [3], k [3 1], the proof "+b.file("short.bin")+" about x [2], k [2 1]: ")
	for line, want := range map[string]string{
		"--input x=@x2 --input k=@k3": "the inputs are of different lengths: " + b.file("x2") + " holds x [2], " + b.file("k3") + " holds k [3 1]; the circuits take x [2], k [2 1]; or x [3], k [3 1]",
		"--input x=@x4 --input k=@k4": b.file("x4") + ": input x: it has another shape than the port: [4], the port has [2] or [3]",
		"--input x=@x3":               "--input k=FILE is missing",
	} {
		code := 3
		if strings.Contains(want, "missing") {
			code = 2
		}
		_, stderr := b.prover(code, b.line("run --key @keys/prover.key "+line))
		require.Contains(t, stderr, want, line)
	}
	_, stderr = b.prover(3, b.line("run --key @keys/prover.key --input k=@k4 --input x=@x2"))
	require.Contains(t, stderr, "it is private and not shown")
}
