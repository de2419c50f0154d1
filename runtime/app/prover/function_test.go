package prover_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
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

// affine is y = w·x + k, of reals, with the class of the largest and a private shift k.
func affine(t testing.TB, private bool) *bench {
	b := circuit.NewBuilder(circuit.Config{Name: "affine", WeightBits: 4, WitnessBits: 4})
	x := circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{1, 2}, Lo: -64, Hi: 64, Scale: 4, Reveal: circuit.Values}
	if private {
		x.Reveal = circuit.Nothing
	}
	in := gadget.Input(b, "x", x)
	k := gadget.Input(b, "k", circuit.Port{Name: "k", Kind: circuit.Integers, Shape: []int{1, 3}, Lo: -8, Hi: 7, Reveal: circuit.Nothing})
	w := b.Weight("w", 6, 3, 2)
	y := b.Virtual("y", []int{1, 3}, b.Times(1, "ti,oi->to t=1 i=2 o=3", in, w), circuit.Scaled(b, 16, k))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Reals, Scale: 4, Reveal: circuit.Values}, y)
	gadget.Output(b, circuit.Port{Name: "class", Kind: circuit.Integers, Reveal: circuit.Argmax}, y)
	gadget.Output(b, circuit.Port{Name: "hidden", Kind: circuit.Reals, Scale: 4, Reveal: circuit.Nothing}, y)
	c := witnesstest.Finish(t, b)
	weights, err := format.EncodeWeights(circuit.Single(c), map[circuit.ID]integer.Tensor{w: {Shape: []int{3, 2}, V: []int64{1, 0, 0, 1, 2, -1}}})
	require.NoError(t, err)
	d := &bench{t: t, vocab: vocab, dir: t.TempDir(), c: c}
	d.write("weights.zkw", string(weights))
	d.write("x.json", " [[1.5, -0.25]]\n")
	d.write("k.json", "[[1, 0, -2]]")
	return d
}

func (b *bench) write(name, text string) {
	require.NoError(b.t, os.WriteFile(b.file(name), []byte(text), 0o600))
}

// floats is a TensorProto of float32 with the given dims.
func floats(dims []byte, v ...float32) string {
	raw := []byte{}
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	out := append([]byte{0x0a, byte(len(dims))}, dims...) // dims, packed
	out = append(out, 0x10, 1)                            // data_type FLOAT
	return string(append(append(out, 0x4a, byte(len(raw))), raw...))
}

const functionInputs = " --input x=@x.json --input k=@k.json"

// args of files within NAME=@file.
func (b *bench) line(s string) string { return strings.ReplaceAll(s, "=@", "="+b.dir+"/") }

// The help of prove and run says what the inputs are and which elements they take.
func TestFunctionHelp(t *testing.T) {
	d := affine(t, false)
	for _, command := range []string{"prove", "run"} {
		out, _ := d.prover(0, command+" --help")
		require.Contains(t, strings.Join(strings.Fields(out), " "), "the inputs are x (reals [1 2] from -4 to 4), k (integers [1 3] from -8 to 7)")
	}
}

// What a function gives is run, proved and verified by both command lines, of JSON and of a TensorProto alike.
func TestFunctions(t *testing.T) {
	for _, private := range []bool{false, true} {
		b := affine(t, private)
		b.prover(0, "setup --weights @weights.zkw -o @keys")
		b.verifier(0, "accept --save @model.id @keys/model.vk")
		const answer = "y\t[[2.5,-0.25,1.25]]\nclass\t[0]\n" // (1.5, −0.25, 3.25) + (1, 0, −2)
		out, _ := b.prover(0, b.line("run --key @keys/prover.key"+functionInputs))
		require.Equal(t, answer, out)
		b.write("x.pb", floats([]byte{1, 2}, 1.5, -0.25))
		out, _ = b.prover(0, b.line("run --key @keys/prover.key --input x=@x.pb --input k=@k.json"))
		require.Equal(t, answer, out)
		out, _ = b.prover(0, b.line("prove --key @keys/prover.key -o @p.bin --statement-out @s.bin"+functionInputs))
		require.Contains(t, out, answer)

		out, _ = b.verifier(0, verifyLine)
		claim := "for these inputs and some k\n"
		if private {
			claim = "for some x and some k\n" // nothing is said of what they are
		}
		for _, want := range []string{"accepted  the proof shows that the model gives these outputs " + claim, "output    y [1 3] reals: [[2.5,-0.25,1.25]]",
			"output    arg-max of class [1 3] integers: [0]", "output    hidden [1 3] reals: private", "input     k [1 3] integers: private"} {
			require.Contains(t, out, want)
		}
		require.Equal(t, !private, strings.Contains(out, "input     x [1 2] reals: [[1.5,-0.25]]"), out)

		b.write("y.json", "[[2.5,-0.25,1.25]]")
		b.write("class.json", "[0]")
		out, _ = b.verifier(0, b.line(verifyLine+" --output y=@y.json --output class=@class.json --json"))
		var r struct {
			Accepted bool
			Ports    []struct {
				Name    string
				Values  any
				Matches *bool
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.True(t, r.Accepted)
		require.Len(t, r.Ports, 5)
		require.True(t, *r.Ports[2].Matches && *r.Ports[3].Matches && r.Ports[4].Values == nil)
		b.write("class.json", "[1]")
		_, stderr := b.verifier(1, b.line(verifyLine+" --output class=@class.json"))
		require.Contains(t, stderr, "expected class [1], proved [0]")
	}
}

// What the command lines refuse of functions, next to what they take.
func TestFunctionRefusals(t *testing.T) {
	b := affine(t, false)
	b.prover(0, "setup --weights @weights.zkw -o @keys")
	b.verifier(0, "accept --save @model.id @keys/model.vk")
	b.prover(0, b.line("prove --key @keys/prover.key -o @p.bin --statement-out @s.bin"+functionInputs))
	for name, text := range map[string]string{
		"beyond.json": "[[4.1, 0]]", "short.json": "[[1]]", "flat.json": "[[1, 2], [1, 2]]", "more.json": "[[1, 2]] [[1, 2]]", "text.json": `[["a", 1]]`, "huge.json": "[[1e400, 0]]",
		"nan.pb": floats([]byte{1, 2}, 1, float32(math.NaN())), "shape.pb": floats([]byte{3}, 1, 2, 3), "cut.pb": floats([]byte{1, 2}, 1, 2)[:12], "truth.json": "[[true, false]]",
		"k3.json": "[[8, 0, 0]]",
	} {
		b.write(name, text)
	}
	for _, test := range []struct {
		code       int
		line, want string
	}{
		{2, "run --key @keys/prover.key --input x=@x.json", "--input k=FILE is missing"},
		{2, "run --key @keys/prover.key --input x=@x.json" + functionInputs, "--input x is given twice"},
		{2, "run --key @keys/prover.key --input z=@x.json", "no input of this name"},
		{2, "run --key @keys/prover.key --input x", "want NAME=FILE"},
		{2, "run --key @keys/prover.key --prompt a", "unknown flag"},
		{3, "run --key @keys/prover.key --input x=@beyond.json", "4.1: it is outside the port's range of -4 to 4"},
		{3, "run --key @keys/prover.key --input x=@short.json", "another shape"},
		{3, "run --key @keys/prover.key --input x=@flat.json", "another shape"},
		{3, "run --key @keys/prover.key --input x=@more.json", "more behind the list"},
		{3, "run --key @keys/prover.key --input x=@text.json", "neither JSON numbers"},
		{3, "run --key @keys/prover.key --input x=@huge.json", "neither JSON numbers"},
		{3, "run --key @keys/prover.key --input x=@truth.json", "a truth value"},
		{3, "run --key @keys/prover.key --input x=@nan.pb", "no finite number"},
		{3, "run --key @keys/prover.key --input x=@shape.pb", "another shape"},
		{3, "run --key @keys/prover.key --input x=@cut.pb", "neither JSON numbers"},
		{3, "run --key @keys/prover.key --input x=@x.json --input k=@k3.json", "it is private and not shown"},
	} {
		_, stderr := b.prover(test.code, b.line(test.line))
		require.Contains(t, stderr, test.want, test.line)
	}
	for _, test := range []struct {
		code       int
		more, want string
	}{
		{0, " --input x=@x.json", ""},
		{1, " --input x=@other.json", "expected x [[1.5,0]], proved [[1.5,-0.25]]"},
		{2, " --input k=@k.json", "hide it"},
		{2, " --input y=@x.json", "no input of this name"},
		{2, " --prompt a", "continues no prompt"},
		{2, " --input x", "want NAME=FILE"},
		{3, " --input x=@beyond.json", "outside the port's range"},
	} {
		b.write("other.json", "[[1.5, 0]]")
		_, stderr := b.verifier(test.code, b.line(verifyLine+test.more))
		require.Contains(t, stderr, test.want, test.more)
	}
}
