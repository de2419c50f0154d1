package compiler

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/passes"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

var update = flag.Bool("update", false, "write the plans of codegen's golden cases")

// sharedModel finds a model in the folder of shared test data, if there is one.
func sharedModel(name string) string {
	for dir, up := "..", 0; up < 4; dir, up = filepath.Join(dir, ".."), up+1 {
		if path := filepath.Join(dir, "shared", "onnx", "models", name); exists(path) {
			return path
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestRealModels compares the integer program with the float model and the expected output of test set 0, and on pseudo-random
// prompts that calibration has not seen.
func TestRealModels(t *testing.T) {
	for _, m := range provedModels(t) {
		dir := filepath.Dir(m.path)
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			r := compiledModel(t, m, "values")
			in, err := onnx.LoadTensor(filepath.Join(dir, "test_data_set_0", "input_0.pb"))
			require.NoError(t, err)
			out, err := onnx.LoadTensor(filepath.Join(dir, "test_data_set_0", "output_0.pb"))
			require.NoError(t, err)
			report, err := r.Check(context.Background(), append(randomInputs(r, 24), Input{Elements: Tokens(in.I...).Elements, Expected: []Data{{Values: out.F}}}))
			require.NoError(t, err)
			t.Logf("%s: top token agrees at %d of %d clear positions, and at %d of %d with the expected output", name,
				report.ClearAgree, report.Clear, report.Expected.ClearAgree, report.Expected.Clear)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.Equal(t, report.Expected.Clear, report.Expected.ClearAgree)
			require.Less(t, report.Error(), 1.0/128, "of random tokens, of which calibration has seen others")
			require.Less(t, report.FloatExpected.Error(), 1e-5, "the float model is the one that the file means")
			require.Less(t, report.MeanError, 0.01)
			require.Equal(t, map[string]int{"sums": 4, "stories260K-dynamo18": 5}[name], r.Layers(), "the layers fold into a loop")
		})
	}
}

func randomInputs(r *Result, n int) []Input {
	rng := rand.New(rand.NewPCG(2024, 11))
	var out []Input
	in, _ := ends(r.Circuit)
	for range n {
		ids := make([]int64, in.Shape[0])
		for i := range ids {
			ids[i] = rng.Int64N(int64(in.Vocab()))
		}
		out = append(out, Tokens(ids...))
	}
	return out
}

// narrow has rows of 2^8 cells. A proof's final argument is as long as a row, and the models of these tests fill a fraction of the usual
// one.
func narrow(cfg Config) Config {
	cfg.WeightBits, cfg.WitnessBits = 8, 8
	return cfg
}

func compileGraph(t *testing.T, g *ir.Graph, cfg Config) *Result {
	r, err := fromGraph(context.Background(), g, cfg)
	require.NoError(t, err)
	require.NoError(t, lateTokensTellNothing(r))
	return r
}

// goldenCases are the synthetic models whose plans are codegen's golden inputs.
var goldenCases = []struct {
	name string
	g    func() *ir.Graph
	cfg  Config

	shorter int // another length, 0: none
}{
	{"llama", func() *ir.Graph { return synthetic.Graph(3, 32, 4, 8, 24, 5) }, Config{}, 0},
	{"gpt-argmax-private", func() *ir.Graph { return synthetic.GPT(2, 16, 2, 8, 24, 5) }, Config{Reveal: map[string]string{"": "argmax"}, PrivateInputs: []string{all}}, 0},
	{"one-layer", func() *ir.Graph { return synthetic.Graph(1, 16, 2, 4, 12, 5) }, Config{}, 0},
	{"lengths", func() *ir.Graph { return synthetic.GPT(2, 16, 2, 9, 24, 5) }, Config{}, 5},
}

// TestGoldenPlans compares the plans of synthetic models with the committed inputs of codegen's golden cases.
func TestGoldenPlans(t *testing.T) {
	for _, c := range goldenCases {
		r := compileGraph(t, c.g(), c.cfg)
		if c.shorter > 0 {
			r.Length = r.Circuit.Generation.Length
			s, err := r.shorten(c.g(), synthetic.Shorter(c.g(), c.shorter), c.cfg)
			require.NoError(t, err)
			s.Length = c.shorter
			r.Shorter = []*Result{s}
		}
		for _, p := range r.plans() {
			comparePlan(t, c.name, p)
		}
	}
}

// comparePlan compares a plan with the stored one of a case, or stores it.
func comparePlan(t *testing.T, name string, p *plan.Plan) {
	text, err := json.MarshalIndent(p, "", " ")
	require.NoError(t, err)
	base := "plan.json"
	if p.Length > 0 {
		base = fmt.Sprintf("plan-%d.json", p.Length)
	}
	file := filepath.Join("..", "codegen", "testdata", name, base)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text)+"\n", "%s: run go test ./compiler -update and look at the difference", name)
}

// TestDepth says that the code of a deep model is that of a shallow one: only numbers differ.
func TestDepth(t *testing.T) {
	shallow, deep := source(t, 4), source(t, 16)
	require.NotEqual(t, shallow, deep)
	require.Equal(t, constantsMasked(shallow), constantsMasked(deep))
	require.Contains(t, shallow, "Layers = 4")
	require.Contains(t, deep, "Layers = 16")
}

func source(t *testing.T, layers int) string {
	r := compileGraph(t, synthetic.Graph(layers, 16, 2, 8, 24, 3), Config{})
	require.Equal(t, layers, r.Layers())
	files, err := codegen.Generate(r.plans(), r.Family, codegen.Target{ImportPath: "example.com/m"})
	require.NoError(t, err)
	i := slices.IndexFunc(files, func(f codegen.SourceFile) bool { return path.Base(f.Path) == "circuit.go" })
	require.GreaterOrEqual(t, i, 0)
	return string(files[i].Data)
}

var (
	tableRow   = regexp.MustCompile(`(?m)^\t\{.*\},\n|^\t[A-Z]\w* +(int|int64|float64)\n`)
	constantOf = regexp.MustCompile(`"[0-9a-f]{64}"|k\.\w+|\b[0-9]+(\.[0-9]+)?\b`)
)

// constantsMasked replaces numbers, digests and references to the layer table, and drops the table's lines and fields.
func constantsMasked(src string) string {
	return constantOf.ReplaceAllString(tableRow.ReplaceAllString(src, ""), "#")
}

// TestWeightsFollowTheCircuit says that weights are listed in the order, with the names and in the ranges of the circuit.
func TestWeightsFollowTheCircuit(t *testing.T) {
	r := compileGraph(t, synthetic.GPT(3, 16, 2, 4, 12, 9), Config{})
	i := 0
	for _, x := range r.Circuit.Tensors {
		if x.Kind.String() != "weight" {
			continue
		}
		w := r.Weights[i]
		require.Equal(t, x.Name, w.Name)
		require.Equal(t, x.Shape, w.Shape)
		cells, err := weights.All(w.Short)
		require.NoError(t, err)
		for _, v := range cells {
			require.True(t, x.Lo <= int64(v) && int64(v) <= x.Hi)
		}
		i++
	}
	require.Len(t, r.Weights, i)
}

// TestPads says that shorter samples are filled up and longer ones refused.
func TestPads(t *testing.T) {
	r := compileGraph(t, synthetic.Graph(1, 16, 2, 4, 12, 5), Config{Pad: 7})
	ids, err := r.elements(Tokens(3, 4))
	require.NoError(t, err)
	require.Equal(t, [][]float64{{3, 4, 7, 7}}, ids)
	_, err = r.elements(Tokens(1, 2, 3, 4, 5))
	require.ErrorContains(t, err, "an input of 5 tokens; the model takes 1 to 4")
}

// TestRefusal is ErrUnsupported and says so once, also where a pass has said it.
func TestRefusal(t *testing.T) {
	inner := &passes.Unsupported{Node: "n", Op: "Sort", Reason: "why"}
	for _, err := range []error{refuse(inner), refuse(errors.New(`node "n" (Sort): why`))} {
		require.EqualError(t, err, `unsupported: node "n" (Sort): why`)
		require.ErrorIs(t, err, ErrUnsupported)
	}
	var u *passes.Unsupported
	require.ErrorAs(t, refuse(inner), &u)
}

// TestProve proves on synthetic models what conformance proves of real ones.
func TestProve(t *testing.T) {
	ctx := context.Background()
	require.NoError(t, compileGraph(t, synthetic.Graph(2, 16, 2, 4, 12, 5), Config{}).Prove(ctx))
	hidden := compileGraph(t, synthetic.Graph(2, 16, 2, 4, 12, 5), narrow(Config{Reveal: map[string]string{"": "argmax"}, PrivateInputs: []string{all}}))
	require.NoError(t, hidden.Prove(ctx, Tokens(1, 2), Tokens(3)))
	r := compileGraph(t, synthetic.Graph(2, 16, 2, 4, 12, 5), narrow(Config{}))
	embedding, err := weights.All(r.Weights[0].Short) // the program keeps its own
	require.NoError(t, err)
	embedding[0] = -embedding[0]
	r.Weights[0].Short = weights.Held[int16](embedding)
	require.ErrorContains(t, r.Prove(ctx, Tokens(0, 0, 0, 0)), "prover: ")
}

// TestDigestIsStable compiles twice.
func TestDigestIsStable(t *testing.T) {
	a := compileGraph(t, synthetic.GPT(2, 16, 2, 4, 12, 9), Config{}).Circuit.Digest()
	b := compileGraph(t, synthetic.GPT(2, 16, 2, 4, 12, 9), Config{}).Circuit.Digest()
	require.Equal(t, hex.EncodeToString(a[:]), hex.EncodeToString(b[:]))
	require.False(t, strings.HasPrefix(fmt.Sprintf("%x", a), "0000000000"))
}

// TestRowWidth says that rows get wider with the number of cells, that weights and witness share their columns where that costs less, and
// that explicit widths are kept.
func TestRowWidth(t *testing.T) {
	small := compileGraph(t, synthetic.Graph(2, 16, 2, 4, 12, 9), Config{}).Circuit
	require.Equal(t, [2]int{12, 12}, [2]int{small.WeightBits, small.WitnessBits})
	fixed := compileGraph(t, synthetic.Graph(2, 16, 2, 4, 12, 9), Config{WeightBits: 9, WitnessBits: 10}).Circuit
	require.Equal(t, [2]int{9, 10}, [2]int{fixed.WeightBits, fixed.WitnessBits})
	for _, test := range []struct{ weights, witness, given, wide int }{
		{20, 20, 0, 12}, {24, 22, 0, 13}, {22, 24, 0, 14}, {26, 26, 0, 15}, {27, 27, 0, 16}, {20, 26, 12, 12},
	} {
		c := &circuit.Circuit{Tensors: []circuit.Tensor{
			{ID: 0, Kind: circuit.Weight, Shape: []int{1 << (test.weights - 8), 1 << 8}}, {ID: 1, Kind: circuit.Witness, Shape: []int{1 << (test.witness - 8), 1 << 8}},
		}}
		w, x := widths(c, test.given, test.given)
		require.Equal(t, [2]int{test.wide, test.wide}, [2]int{w, x}, "2^%d weights, a witness of 2^%d", test.weights, test.witness)
	}
}

// fromGraph compiles a graph that no file holds.
func fromGraph(ctx context.Context, g *ir.Graph, cfg Config) (*Result, error) {
	left, cells := budget.New(ctx, cfg.Budget), 0
	for _, v := range g.Values {
		cells += len(v.Data)
	}
	left.Model(cells, g.Inputs[0].Shape[0])
	r, err := build(left, g, fileNames{portNames(g.Inputs), portNames(g.Outputs)}, cfg)
	if err != nil {
		return nil, err
	}
	return r, r.join()
}

// A refusal tells node, operator, reason and remedy apart, to whoever embeds the compiler, wherever in the compiler it comes from.
func TestUnsupported(t *testing.T) {
	g := synthetic.Graph(1, 16, 2, 4, 12, 5)
	v := g.Value(g.Out())
	axes, extents := ir.IdentityAxes(v.Shape)
	cube := ir.Term{Coef: 1e9, Extents: extents, In: make([]int, 8), Axes: slices.Repeat([][][]int{axes}, 8), Out: axes}
	g.Return(g.Add(ir.OpEinsum, "cube", "cube", v.Shape, []ir.ValueID{v.ID}, &ir.EinsumAttr{Terms: []ir.Term{cube}}).ID)
	_, err := fromGraph(context.Background(), g, Config{})
	var u *Unsupported
	require.ErrorAs(t, err, &u)
	require.Equal(t, [2]string{"cube", "Einsum"}, [2]string{u.Node, u.Op})
	require.Contains(t, u.Reason, "beyond 2^92")
	require.Contains(t, u.Remedy, "scale")
	require.Equal(t, 1, strings.Count(err.Error(), "unsupported"), err)

	err = refuse(ir.Refuse("n", "Sort", "why %s; do %q", "a; b", "c; d"))
	require.ErrorAs(t, err, &u)
	require.Equal(t, [4]string{"n", "Sort", "why a; b", `do "c; d"`}, [4]string{u.Node, u.Op, u.Reason, u.Remedy})
	require.EqualError(t, err, `unsupported: node "n" (Sort): why a; b; do "c; d"`)
	require.ErrorAs(t, refuse(errors.New("it is too large; make it smaller")), &u, "whatever is refused")
	require.Equal(t, [4]string{"", "", "it is too large", "make it smaller"}, [4]string{u.Node, u.Op, u.Reason, u.Remedy})
	require.EqualError(t, u, "unsupported: it is too large; make it smaller")
	cause := errors.New("it is malformed; repair it")
	err = refuse(ir.RefuseFor("n", "Sort", cause))
	require.ErrorIs(t, err, cause)
	require.ErrorAs(t, err, &u)
	require.Equal(t, "repair it", u.Remedy)
}
