package prover_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// loud is a model that answers a token with the next of the alphabet; what it says of the token d is clamped.
func loud(t *testing.T, pad int64) *bench {
	cfg := witnesstest.Text{Name: "loud", Length: 6, Vocab: 6, Pad: pad, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := cfg.Builder()
	w := b.Weight("bigram", 8, 6, 6)
	cfg.Logits(b, gadget.Rescale(b, "logits", gadget.Embed(b, "x", cfg.Tokens(b), w), 0, -100, 100))
	c := witnesstest.Finish(t, b)
	v := make([]int64, 36)
	for i := range 5 {
		v[6*i+(i+1)%5] = 90
	}
	v[6*3+4] = 120
	data, err := format.EncodeWeights(circuit.Single(c), map[circuit.ID]integer.Tensor{w: {Shape: []int{6, 6}, V: v}})
	require.NoError(t, err)
	d := &bench{t: t, vocab: vocab, dir: t.TempDir(), c: c}
	d.write("weights.zkw", string(data))
	d.prover(0, "setup --weights @weights.zkw -o @keys")
	d.verifier(0, "accept --save @model.id @keys/model.vk")
	return d
}

// The prover says which values were clamped, in text and in reports. It proves that none was where none was, and nothing else; the verifier
// rejects a proof that does not say so, where it is to.
func TestSaturation(t *testing.T) {
	const prove, clamped = "prove --force --key @keys/prover.key -o @p.bin --statement-out @s.bin --prompt a ", "clamped   1 of 36 cells of logits (node \"/head/MatMul\", MatMul)\n"
	d := loud(t, 5)
	d.nodes = "x\t/elsewhere\tGather\nlogits\t/head/MatMul\tMatMul\n"
	out, says := d.prover(0, "run --key @keys/prover.key --prompt a")
	require.Equal(t, "bcd;\n", out)
	require.Contains(t, says, clamped)
	_, says = d.prover(0, "run --key @keys/prover.key --prompt a --max 1")
	require.NotContains(t, says, "clamped")
	var report struct {
		Clamped []struct {
			Tensor    string
			Cells, Of int
			Node, Op  string
		}
		NoSaturation bool `json:"no_saturation"`
	}
	out, _ = d.prover(0, "run --key @keys/prover.key --prompt a --json")
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Len(t, report.Clamped, 1)
	require.Equal(t, "logits", report.Clamped[0].Tensor)
	require.Equal(t, "/head/MatMul", report.Clamped[0].Node)
	require.Equal(t, "MatMul", report.Clamped[0].Op)

	_, says = d.prover(1, prove+"--no-saturation")
	require.Contains(t, says, "values are clamped: 1 of 36 cells of logits (node \"/head/MatMul\", MatMul); without --no-saturation")
	require.NoFileExists(t, d.file("p.bin"))
	_, says = d.prover(0, prove)
	require.Contains(t, says, clamped)
	out, _ = d.verifier(0, verifyLine)
	require.NotContains(t, out, "clamped")
	_, says = d.verifier(1, verifyLine+" --no-saturation")
	require.Contains(t, says, "rejected (saturation): the proof holds, but its statement does not say that no value was clamped")

	out, _ = d.prover(0, prove+"--max 2 --no-saturation --json")
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.True(t, report.NoSaturation)
	out, _ = d.verifier(0, verifyLine+" --no-saturation")
	require.Contains(t, out, "clamped   nothing: every value is the rounded one\n")
	statement, err := os.ReadFile(d.file("s.bin"))
	require.NoError(t, err)
	statement[format.HeaderSize] -= 64
	d.write("s.bin", string(statement))
	d.verifier(1, verifyLine)
}

// A value that is clamped behind the text changes no answer, and the prover says that it stands there; but that no value was clamped is
// about all positions.
func TestSaturationOfPadding(t *testing.T) {
	const prove = "prove --force --key @keys/prover.key -o @p.bin --statement-out @s.bin --prompt a --max 2 "
	d := loud(t, 3)
	_, says := d.prover(0, "run --key @keys/prover.key --prompt a --max 2")
	require.NotContains(t, says, "clamped")
	_, says = d.prover(0, prove)
	require.Contains(t, says, "clamped   3 of 36 cells of logits, 3 of them behind the text\n")
	_, says = d.prover(1, prove+"--no-saturation")
	require.Contains(t, says, "3 of 36 cells of logits, 3 of them behind the text; no answer depends on any of them, but what is proved is about all positions")
	out, _ := d.prover(0, prove+"--json")
	require.Contains(t, out, `"padding": 3`)
	_, says = d.prover(0, "prove --force --key @keys/prover.key -o @p.bin --statement-out @s.bin --prompt a")
	require.Contains(t, says, "clamped   2 of 36 cells of logits, 1 of them behind the text\n")
}

// A proof that would take more memory than it may is not begun, of a text as of numbers, whatever the key is.
func TestMemory(t *testing.T) {
	for _, test := range []struct {
		d    *bench
		what string
	}{{loud(t, 5), "--prompt a"}, {numbers(t), "--input x=@x.json"}} {
		d := test.d
		d.write("x.json", "[1, 1]")
		prove := d.line("prove --key @no.key -o @p.bin --statement-out @s.bin " + test.what + " --memory ")
		_, says := d.prover(3, prove+"1MB")
		require.Contains(t, says, "the proof would take about 82 MB of memory, and there are 1.0 MB: weights ")
		require.Contains(t, says, "--memory SIZE to try it all the same")
		_, says = d.prover(3, prove+"1GiB")
		require.Contains(t, says, "no.key")
		for _, size := range []string{"much", "0", "-3GB"} {
			_, says = d.prover(2, prove+size)
			require.Contains(t, says, "is no size")
		}
	}
}

// numbers is a model of two numbers that clamps the greater one.
func numbers(t *testing.T) *bench {
	b := circuit.NewBuilder(circuit.Config{Name: "loud", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{2}, Lo: -8, Hi: 8, Reveal: circuit.Values})
	w := b.Weight("w", 4, 2)
	y := gadget.Rescale(b, "y", b.Virtual("v", []int{2}, circuit.Product(b, 1, x, w)), 1, -8, 7)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
	c := witnesstest.Finish(t, b)
	data, err := format.EncodeWeights(circuit.Single(c), map[circuit.ID]integer.Tensor{w: {Shape: []int{2}, V: []int64{4, -3}}})
	require.NoError(t, err)
	d := &bench{t: t, vocab: vocab, dir: t.TempDir(), c: c}
	d.write("weights.zkw", string(data))
	d.prover(0, "setup --weights @weights.zkw -o @keys")
	d.verifier(0, "accept --save @model.id @keys/model.vk")
	return d
}

// The same of a model of numbers.
func TestSaturationOfNumbers(t *testing.T) {
	d := numbers(t)
	d.write("loud.json", "[4, 1]")
	d.write("low.json", "[3, 1]")
	const prove = "prove --key @keys/prover.key -o @p.bin --statement-out @s.bin --no-saturation --input x=@"
	out, says := d.prover(0, d.line("run --key @keys/prover.key --input x=@loud.json"))
	require.Equal(t, "y\t[7,-1]\n", out)
	require.Contains(t, says, "clamped   1 of 2 cells of y\n")
	_, says = d.prover(1, d.line(prove+"loud.json"))
	require.Contains(t, says, "values are clamped: 1 of 2 cells of y")
	d.prover(0, d.line(prove+"low.json"))
	out, _ = d.verifier(0, verifyLine+" --no-saturation")
	require.Contains(t, out, "clamped   nothing")
}

// Inputs and outputs may come from the standard input, one of them, as large as they may be in a file.
func TestPortsFromStdin(t *testing.T) {
	d := numbers(t)
	says := func(text string) { d.stdin = strings.NewReader(text) }
	says("[3, 1]")
	out, _ := d.prover(0, "run --key @keys/prover.key --input x=-")
	require.Equal(t, "y\t[6,-1]\n", out)
	says("[3, 1]\n")
	d.prover(0, "prove --key @keys/prover.key -o @p.bin --statement-out @s.bin --input x=-")
	says("[3, 1]")
	out, _ = d.verifier(0, verifyLine+" --input x=-")
	require.Contains(t, out, "x [2] integers: [3,1], as expected")
	says("[6, -1]")
	d.verifier(0, verifyLine+" --output y=-")
	says("[3, 2]")
	d.verifier(1, verifyLine+" --input x=-")
	_, e := d.verifier(2, verifyLine+" --input x=- --output y=-")
	require.Contains(t, e, "the standard input is read once, for x or for y")
	says("[3, 1]" + strings.Repeat(" ", 1<<20))
	_, e = d.prover(3, "run --key @keys/prover.key --input x=-")
	require.Contains(t, e, "standard input: ")
	d.stdin = nil
	_, e = d.prover(3, "run --key @keys/prover.key --input x=-")
	require.Contains(t, e, "there is no standard input")
}
