package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The circuit's names tell layers first, then those of the file; what neither tells follows what comes before.
func TestLayered(t *testing.T) {
	of := func(pairs ...string) []string {
		var steps []Step
		files := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			steps = append(steps, Step{Tensor: pairs[i], Node: pairs[i+1]})
			if strings.HasSuffix(pairs[i+1], ".weight") { // which the tensor is made of
				files[pairs[i]], steps[i/2].Node = pairs[i+1], "node_linear"
			}
		}
		return layered(steps, files)
	}
	require.Equal(t, []string{"input", "layer0", "layer1", "output", "output"},
		of("embedding", "/embed/Gather", "layer0.x", "/h.0/Add", "layer1.x", "/h.1/Add", "norm", "node_9", "logits", "/head/MatMul"), "of the planner")
	require.Equal(t, []string{"input", "model.layers.0", "model.layers.0", "model.layers.12", "output"},
		of("x", "/model/embed/Gather", "y", "/model/layers.0/mlp/MatMul", "z", "node_7", "u", "/model/layers.12/Add", "v", "/model/norm/Mul"), "of an exporter's paths")
	require.Equal(t, []string{"input", "input", "transformer.h.0", "transformer.h.0", "transformer.h.1", "output"},
		of("x", "node_gather", "y", "transformer.wte.weight", "a", "transformer.h.0.attn.weight", "b", "node_add_3", "c", "transformer.h.1.attn.weight", "d", "lm_head.weight"), "of weights")
	require.Equal(t, []string{"model", "model"}, of("x", "node_1", "y", "/fc1/Gemm"))
	require.Equal(t, []string{"encoder.block.0", "encoder.block.0"}, of("x", "/encoder/block.0/layer.0/Add", "y", "/encoder/block.0/layer.1/Add"), "the outermost")
	require.Equal(t, []string{"input", "layer0", "layer0", "layer0", "layer0", "output"},
		of("p", "/h.0/Add", "layer0.a", "", "layer0.b", "", "layer0.c", "", "layer0.d", "", "q", "/h.5/Add"), "what is left of a layer is none")
	require.Empty(t, of())
}

// evil is a name that would be code if it were not escaped.
const evil = `</script><script>alert(1)</script><img src=x onerror=alert(1)>" onmouseover="alert(1)' {{.Name}} \u003c javascript:alert(1)`

// depth is how many layers the example has.
const depth = 5

// example is a circuit of layers that multiply by a weight and round, and its steps.
func example(t *testing.T, name string) (c *circuit.Circuit, steps []Step) {
	b := circuit.NewBuilder(circuit.Config{Name: "example", WeightBits: 4, WitnessBits: 5})
	step := func(tensor, call string, scale int) string {
		steps = append(steps, Step{Tensor: tensor + name, Call: call, Node: "node " + tensor + name, Op: "Op" + name, Scale: scale})
		return tensor + name
	}
	x := gadget.Input(b, step("x", "Input", 0), circuit.Port{Name: "x" + name, Shape: []int{30, 5}, Kind: circuit.Integers, Lo: -128, Hi: 127, Reveal: circuit.Nothing})
	for l := range depth {
		prefix := fmt.Sprintf("layer%d.", l)
		w := b.Weight(step(prefix+"w", "Weight", 7+l%2), 8, 5, 5)
		product := b.Virtual(step(prefix+"product", "Virtual", 9), []int{30, 5}, b.Times(1, "ij,jk->ik i=30 j=5 k=5", x, w))
		x = gadget.Rescale(b, step(prefix+"y", "Rescale", 5), product, 4, -128, 127)
	}
	gadget.Output(b, circuit.Port{Name: "z" + name, Kind: circuit.Integers, Reveal: circuit.Values}, x)
	return witnesstest.Finish(t, b), steps
}

// What layers add to a proof is all of it but for what a proof takes in any case, and no step is in two layers.
func TestLayers(t *testing.T) {
	c, steps := example(t, "")
	layers := Layers(c, steps, nil)
	var names []string
	var work cost.Part
	n := 0
	for i := range layers {
		w := &layers[i].Work
		names = append(names, layers[i].Name)
		work.Weights, work.Witness, work.Virtual, work.Products, work.Lookups = work.Weights+w.Weights, work.Witness+w.Witness, work.Virtual+w.Virtual, work.Products+w.Products, work.Lookups+w.Lookups
		work.Leaves, work.Padded, work.Columns, work.Factors = work.Leaves+w.Leaves, work.Padded+w.Padded, work.Columns+w.Columns, work.Factors+w.Factors
		n += layers[i].Steps
	}
	require.Equal(t, []string{"input", "layer0", "layer1", "layer2", "layer3", "layer4", "output", "tables"}, names)
	whole := cost.Of(c)
	require.Equal(t, whole.Part, work)
	require.Equal(t, "8", layers[1].Widths())
	require.Equal(t, "–", layers[0].Widths())
	require.Equal(t, len(divide(c, steps, nil).steps), n)
	require.True(t, layers[1].Like(&layers[1]))
	require.False(t, layers[1].Like(&layers[0]))
}

// shown is the page of the example.
func shown(t *testing.T, name string) string {
	c, steps := example(t, name)
	m := &Model{
		Name: "example" + name, Digest: "00ff", Claim: "it holds" + name, Circuit: c, Steps: steps, Rates: cost.Reference(), Notes: []string{"a note" + name}, Facts: []Fact{{"1 k", "weights" + name}},
		Weights: []Tensor{{"layer0.w" + name, []string{"file" + name}}},
		Checked: &Checked{Inputs: 3, Lines: []string{"a line" + name}, Places: []quant.Place{{Tensor: "layer0.y" + name, Node: "n" + name, Op: "Mul", Noise: 1e-3, Lost: 1e-4}, {Tensor: "layer1.between" + name, Noise: 2e-3, Lost: 2e-4}}},
		Runs:    []*Measured{{"a proof", "a processor" + name, &cost.Work{}, []Stage{{"read" + name, 1.5, 1.25, 1 << 20}, {"lookups", 1, 2, 3}}}, {"setup", "", nil, []Stage{{"write", 0.5, 0, 0}}}},
	}
	var a, b bytes.Buffer
	require.NoError(t, Write(&a, m))
	require.NoError(t, Write(&b, m))
	require.Equal(t, a.String(), b.String(), "the same model gives the same page")
	return a.String()
}

var ofGraph = regexp.MustCompile(`(?s)<script type="application/json" id="graph">(.*?)</script>`)

// drawn is the graph that a page draws.
func drawn(t *testing.T, page string) (graph [][]node) {
	data := ofGraph.FindStringSubmatch(page)
	require.Len(t, data, 2)
	require.NoError(t, json.Unmarshal([]byte(data[1]), &graph))
	return graph
}

// Names are the model's: none of them becomes a tag, an attribute or code, and the policy lets the page's own script run alone.
func TestNamesAreText(t *testing.T) {
	plain, page := shown(t, ""), shown(t, evil)
	tag := regexp.MustCompile(`<[a-zA-Z/!][^\s>]*`)
	require.True(t, slices.Equal(tag.FindAllString(plain, -1), tag.FindAllString(page, -1)), "the same elements, whatever the names")
	for _, raw := range []string{"<img", `" onmouseover`, "<script>alert"} {
		require.False(t, strings.Contains(ofGraph.ReplaceAllString(page, ""), raw), raw)
	}
	require.True(t, strings.Contains(page, "&lt;img src=x") && strings.Contains(page, "{{.Name}}"), "names are shown")
	graph := drawn(t, page)
	require.Equal(t, "layer0.product"+evil, graph[1][1].Name)
	require.Equal(t, "node layer0.product"+evil, graph[1][1].Node)

	code := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page, -1)
	require.Len(t, code, 1)
	css := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(page, -1)
	require.Len(t, css, 1)
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	require.Len(t, policy, 2)
	said := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy[1])
	require.Equal(t, "default-src 'none'; script-src "+allowed(code[0][1])+"; style-src "+allowed(css[0][1])+"; base-uri 'none'; form-action 'none'", said)
	require.Empty(t, regexp.MustCompile(`\s(src|style|on[a-z]+)=`).FindString(strings.ReplaceAll(ofGraph.ReplaceAllString(plain, ""), code[0][1], "")), "nothing is loaded, and nothing in line runs")
}

// The page shows layers, those that are alike as one, ranges and what was measured, and draws every step with what it takes and makes.
func TestPage(t *testing.T) {
	page := shown(t, "")
	for _, want := range []string{
		"<b>layer0</b>", "<b>layer1 to layer4</b> <span>the same steps and shapes as layer0", "<td class=\"n\">7 … 8</td><td>layer0 … layer4</td><td class=\"n\">5</td><td class=\"n\">125</td>", "noise 1.0e-03",
		"measured", ">1.2 s<", ">500 ms<", ", 1 MB", "Setup, once", "it is for their owner", "input &#34;x&#34;", "from a verifier who keeps every proof he ever saw",
	} {
		require.True(t, strings.Contains(page, want), want)
	}
	graph := drawn(t, page)
	require.Len(t, graph, depth+3)
	by := map[string]node{}
	for _, layer := range graph {
		for _, n := range layer {
			by[n.Name] = n
		}
	}
	in := func(name string) (names []string) {
		for _, i := range by[name].In {
			for _, n := range by {
				if n.ID == i {
					names = append(names, n.Name)
				}
			}
		}
		return names
	}
	require.Equal(t, []string{"x", "layer0.w"}, in("layer0.product"))
	require.Equal(t, []string{"layer0.y", "layer1.w"}, in("layer1.product"))
	require.Equal(t, []string{"layer1.product"}, in("layer1.y"))
	y := by["layer1.y"]
	require.Equal(t, "witness −128 … 127 8 30 × 5 5", fmt.Sprint(y.Class, " ", y.Range, " ", y.Bits, " ", y.Shape, " ", y.Scale))
	require.Equal(t, 1e-3, by["layer0.y"].Noise)
	var parts []string
	for _, p := range y.Parts {
		parts = append(parts, p[0])
	}
	require.Contains(t, parts, "rem", "what is made on the way")
	require.Equal(t, "weight", by["layer0.w"].Class)

	c, steps := example(t, "")
	var out bytes.Buffer
	require.NoError(t, Write(&out, &Model{Name: "bare", Circuit: c, Steps: steps, Rates: cost.Reference()}))
	require.Contains(t, out.String(), "Nothing was measured")
	require.Contains(t, out.String(), "Nothing was compared")
	require.NotContains(t, out.String(), "for their owner")
}

// What the page says of what is given away is what SECURITY.md says.
func TestWordsOfSecurity(t *testing.T) {
	text, err := os.ReadFile("../../../SECURITY.md")
	require.NoError(t, err)
	words := strings.Join(strings.Fields(string(text)), " ")
	for _, said := range append(strings.Split(awayCircuit, ", and "), strings.Split(awayScalars, ", and ")...) {
		require.Contains(t, words, said)
	}
	for _, said := range []string{awayLengths, strings.ReplaceAll(awayLogits, "argmax", "`argmax`"), hidesAll, "from a verifier who keeps every proof he ever saw"} {
		require.Contains(t, words, said)
	}
}

func TestNumbers(t *testing.T) {
	require.Equal(t, "−1,234,567", count(-1234567))
	require.Equal(t, "999", count(999))
	for s, want := range map[float64]string{0: "0", 0.0024: "2.4 ms", 0.5: "500 ms", 12.34: "12.3 s", 1234: "1234 s"} {
		require.Equal(t, want, seconds(s))
	}
	for x, want := range map[float64]float64{0.07: 0.1, 1: 1, 1.2: 2, 2.5: 5, 60: 100, 0: 0} {
		require.InDelta(t, want, niceStep(x), 1e-12)
	}
	require.Equal(t, []string{"3", "in", "out", "tables", "…ck.12"}, []string{tag("layer3"), tag("input"), tag("output"), tag("tables"), tag("encoder.block.12")})
}
