package spec_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	sums "github.com/zkllmc/zkllmc/generated/sums/circuit"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The audit of SPEC.md 16. That it agrees with the first verifier about causality, ports and bounds is tested with the attacks on these, in
// package circuit; here are a model of ours, and descriptions that no builder makes.

func encoding(c *circuit.Circuit) []byte {
	var out bytes.Buffer
	c.Encode(&out)
	return out.Bytes()
}

// A compiled model, masked attention in four layers, is causal, and has its ports bound and its bounds.
func TestAuditsAModel(t *testing.T) {
	f, err := sums.Build()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "circuit")
	require.NoError(t, os.WriteFile(file, encoding(f.Shortest()), 0o600))
	code, out := verify(t, "--circuit", file)
	require.Equal(t, accepted, code, out)
	require.Contains(t, out, sums.Digest)
}

// described has tensors of every kind, a table of two columns, a hint and ports.
func described(t *testing.T) *circuit.Circuit {
	t.Helper()
	b := circuit.NewBuilder(circuit.Config{Name: "described", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{3, 2}, Lo: -9, Hi: 9, Scale: 2, Reveal: circuit.Values})
	moved := b.Virtual("moved", []int{3, 2}, b.Times(1, "ts,sd->td t=3 s=3 d=2", b.Affine("shift", "i - j - 1", 3, 3), x))
	scaled := b.Virtual("scaled", []int{3, 2}, circuit.Product(b, 1, moved, b.Const("scale", []int64{1, 2, 3, 4, 5, 6}, 3, 2)), circuit.Scaled(b, 1, b.Weight("w", 4, 3, 2)))
	y := gadget.Table(b, "y", gadget.Rescale(b, "r", scaled, 2, -20, 20), "relu", 0, 0)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

// tensor is the tensor of a name.
func tensor(c *circuit.Circuit, name string) *circuit.Tensor {
	return &c.Tensors[slices.IndexFunc(c.Tensors, func(t circuit.Tensor) bool { return t.Name == name })]
}

// relu is the table of the last lookup.
func relu(c *circuit.Circuit) *circuit.Table { return &c.Tables[c.Lookups[len(c.Lookups)-1].Table] }

// malformed are changes of a circuit that make it none, and what the auditor says.
var malformed = map[string]struct {
	says   string
	damage func(c *circuit.Circuit)
}{
	"control":                      {"", func(*circuit.Circuit) {}},
	"short rows":                   {"its configuration", func(c *circuit.Circuit) { c.WeightBits = 3 }},
	"an unknown kind":              {"the shape of tensor w", func(c *circuit.Circuit) { tensor(c, "w").Kind = 7 }},
	"an extent of 0":               {"the shape of tensor w", func(c *circuit.Circuit) { tensor(c, "w").Shape = []int{3, 0} }},
	"no axis":                      {"the shape of tensor w", func(c *circuit.Circuit) { tensor(c, "w").Shape = nil }},
	"2^31 cells":                   {"the shape of tensor w", func(c *circuit.Circuit) { tensor(c, "w").Shape = []int{1 << 16, 1 << 15} }},
	"a bound of 2^62":              {"the bounds of r", func(c *circuit.Circuit) { tensor(c, "r").Hi = 1 << 62 }},
	"a witness that is wide":       {"the bounds of r", func(c *circuit.Circuit) { tensor(c, "r").Lo, tensor(c, "r").Hi = -1<<62, 1<<62 }},
	"a sum of half wide bounds":    {"the bounds of scaled", func(c *circuit.Circuit) { tensor(c, "scaled").Hi = 1 << 62 }},
	"a wide remainder":             {"the use of r.rem", func(c *circuit.Circuit) { tensor(c, "r.rem").Lo, tensor(c, "r.rem").Hi = -1<<62, 1<<62 }},
	"empty bounds":                 {"the bounds of r", func(c *circuit.Circuit) { tensor(c, "r").Lo = 21 }},
	"a weight of no power of two":  {"the bounds of w", func(c *circuit.Circuit) { tensor(c, "w").Lo++ }},
	"a weight of 17 bits":          {"the bounds of w", func(c *circuit.Circuit) { tensor(c, "w").Lo, tensor(c, "w").Hi = -1<<16, 1<<16-1 }},
	"a constant of too few cells":  {"the values of scale", func(c *circuit.Circuit) { tensor(c, "scale").Values = []int64{1} }},
	"a constant beyond its bounds": {"the values of scale", func(c *circuit.Circuit) { tensor(c, "scale").Hi-- }},
	"values of a witness":          {"the values of r", func(c *circuit.Circuit) { tensor(c, "r").Values = []int64{1} }},
	"terms of a weight":            {"the kind of w", func(c *circuit.Circuit) { tensor(c, "w").Def = tensor(c, "moved").Def }},
	"a view of a witness":          {"the kind of r", func(c *circuit.Circuit) { tensor(c, "r").View = circuit.PortValues }},
	"an equation without a stride": {"the equation of shift", func(c *circuit.Circuit) { tensor(c, "shift").Values = []int64{1, 2} }},
	"a stride beyond 2^30":         {"the equation of shift", func(c *circuit.Circuit) { tensor(c, "shift").Values = []int64{0, 1<<30 + 1, -1} }},
	"an equation of much work":     {"the equation of shift", func(c *circuit.Circuit) { tensor(c, "shift").Values = []int64{0, 1 << 20, -1} }},
	"an equation of 2":             {"the equation of shift", func(c *circuit.Circuit) { tensor(c, "shift").Hi = 2 }},
	"a factor behind its tensor":   {"the factors of moved", func(c *circuit.Circuit) { tensor(c, "moved").Def[0].Factors[0].T = tensor(c, "scaled").ID }},
	"a factor that there is not":   {"the factors of moved", func(c *circuit.Circuit) { tensor(c, "moved").Def[0].Factors[0].T = -1 }},
	"multiplicities as a factor": {"the factors of y.copy", func(c *circuit.Circuit) {
		m := relu(c).Mult
		lines := c.Tensor(m).Shape
		c.Tensors = append(c.Tensors, circuit.Tensor{ID: circuit.ID(len(c.Tensors)), Name: "y.copy", Kind: circuit.Virtual, Shape: lines,
			Def: []circuit.Term{{Coef: 1, Extents: lines, Out: [][]int{{0}}, Factors: []circuit.Factor{{T: m, Axes: [][]int{{0}}}}}}})
	}},
	"a label twice":                   {"the labels of moved", func(c *circuit.Circuit) { tensor(c, "moved").Def[0].Out = [][]int{{0}, {0}} }},
	"a label without use":             {"a label of moved", func(c *circuit.Circuit) { d := &tensor(c, "moved").Def[0]; d.Extents = append(d.Extents, 2) }},
	"a label of extent 0":             {"the labels of moved", func(c *circuit.Circuit) { tensor(c, "moved").Def[0].Extents[0] = 0 }},
	"a split at 3":                    {"the labels of moved", func(c *circuit.Circuit) { tensor(c, "moved").Def[0].Out = [][]int{{2, 0}, {}} }},
	"a table without line":            {"is empty", func(c *circuit.Circuit) { relu(c).Cols = [][]int64{{}, {}} }},
	"a ragged table":                  {"the columns of", func(c *circuit.Circuit) { relu(c).Cols[1] = relu(c).Cols[1][1:] }},
	"multiplicities of another shape": {"the multiplicities of", func(c *circuit.Circuit) { c.Tensor(relu(c).Mult).Shape = []int{40} }},
	"multiplicities of two tables": {"its multiplicities", func(c *circuit.Circuit) {
		relu(c).Mult = slices.Clone(c.Tables)[0].Mult
		relu(c).Cols = [][]int64{c.Tables[0].Cols[0], c.Tables[0].Cols[0]}
	}},
	"multiplicities looked up":     {"a lookup of multiplicities", func(c *circuit.Circuit) { c.Lookups[0].Cols[0] = c.Tables[c.Lookups[0].Table].Mult }},
	"no lookup":                    {"it has no lookup", func(c *circuit.Circuit) { c.Lookups = nil }},
	"a lookup in no table":         {"a lookup has no table", func(c *circuit.Circuit) { c.Lookups[0].Table = 9 }},
	"a lookup of too many columns": {"a lookup into", func(c *circuit.Circuit) { c.Lookups[0].Cols = append(c.Lookups[0].Cols, c.Lookups[0].Cols[0]) }},
	"columns of two shapes": {"a lookup of", func(c *circuit.Circuit) {
		l := &c.Lookups[len(c.Lookups)-1]
		l.Cols[1] = tensor(c, "shift").ID
	}},
	"a zero-check of no tensor":   {"there is no tensor 99", func(c *circuit.Circuit) { c.Zeros = append(c.Zeros, 99) }},
	"an output without 0":         {"the range of port y", func(c *circuit.Circuit) { c.Ports[1].Lo = 1 }},
	"a port of no tensor":         {"the tensor of port y", func(c *circuit.Circuit) { c.Ports[1].T = 99 }},
	"an arg-max of an input":      {"what is told of port x", func(c *circuit.Circuit) { c.Ports[0].Reveal = circuit.Argmax }},
	"two ports of one name":       {"two ports have one name", func(c *circuit.Circuit) { c.Ports[1].Name = "x" }},
	"a public tensor of no port":  {"the shape of x", func(c *circuit.Circuit) { tensor(c, "x").Port = 2 }},
	"a public input in a witness": {"public input x is not bound", func(c *circuit.Circuit) { c.Ports[0].T = tensor(c, "r").ID }},
	"a table that a hint has not": {"the table of hint", func(c *circuit.Circuit) { c.Hints[len(c.Hints)-1].Table = 9 }},
}

// Descriptions that no builder makes are no circuits, whatever is wrong with them.
func TestMalformedCircuits(t *testing.T) {
	second.Python(t)
	circuits := map[string][]byte{}
	for name, test := range malformed {
		c := described(t)
		test.damage(c)
		circuits[name] = encoding(c)
	}
	for name, reason := range second.Audit(t, second.Circuit, circuits) {
		if malformed[name].says == "" {
			require.Empty(t, reason, name)
			continue
		}
		require.Contains(t, reason, "not a circuit: ", name)
		require.Contains(t, reason, malformed[name].says, name)
	}
}

// The closed form of an affine tensor (SPEC.md 10.8) is the MLE of its cells, and whether it is lower (16.6.4) what they say.
func TestAffineTensors(t *testing.T) {
	code, out := second.Run(t, "-c", `
import itertools, random, verify
rng = random.Random(1)
solved = low = 0
for _ in range(300):
    shape = [rng.randint(1, 9) for _ in range(rng.randint(1, 3))]
    values = [rng.randint(-6, 6)] + [rng.randint(-3, 3) for _ in shape]
    cells = [int(values[0] + sum(s * x for s, x in zip(values[1:], at)) == 0) for at in itertools.product(*map(range, shape))]
    r = [rng.randrange(verify.P) for _ in range(verify.variables(shape))]
    t = verify.Record(shape=shape, values=values)
    assert verify.affine_mle(t, r) == verify.mle(cells, shape, r), (shape, values)
    auditor = verify.Causality.__new__(verify.Causality)
    auditor.cells = 0
    for row, col in itertools.permutations(range(len(shape)), 2):
        lower = auditor.lower_equation(t, row, col)
        assert lower == auditor.lower_cells(verify.Record(shape=shape, values=cells), row, col), (shape, values, row, col)
        low += lower
    solved += any(cells)
print(solved, low)`)
	require.Zero(t, code, out)
	var solved, low int
	_, err := fmt.Sscan(out, &solved, &low)
	require.NoError(t, err)
	require.Greater(t, solved, 100, "many equations have a solution")
	require.Greater(t, low, 100, "and many are lower in some axes")
}
