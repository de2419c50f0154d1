package circuit_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// forms are hints, and why those that say nothing are refused.
var forms = map[string]struct {
	why  string // empty: it is taken
	hint circuit.Hint
}{
	"rescale":                        {"", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{61}}},
	"rescale without a shift":        {"parameters are not as many", circuit.Hint{Kind: circuit.HintRescale}},
	"rescale with two":               {"parameters are not as many", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{1, 1}}},
	"rescale to the left":            {"a shift by -1 bits", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{-1}}},
	"rescale by 62":                  {"a shift by 62 bits", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{62}}},
	"clamp":                          {"", circuit.Hint{Kind: circuit.HintClamp, Params: []int64{61, 0, 1, 0, 61}}},
	"clamp with a parameter less":    {"4 parameters", circuit.Hint{Kind: circuit.HintClamp, Params: []int64{1, 0, 1, 0}}},
	"clamp by 62":                    {"a shift by 62 bits", circuit.Hint{Kind: circuit.HintClamp, Params: []int64{62, 0, 1, 0, 1}}},
	"clamp with limbs of 62":         {"limbs of 62", circuit.Hint{Kind: circuit.HintClamp, Params: []int64{1, 0, 1, 0, 62}}},
	"limbs":                          {"", circuit.Hint{Kind: circuit.HintLimbs, Params: []int64{0}}},
	"limbs of -1":                    {"limbs of -1", circuit.Hint{Kind: circuit.HintLimbs, Params: []int64{-1}}},
	"limbs of 62":                    {"limbs of 62", circuit.Hint{Kind: circuit.HintLimbs, Params: []int64{62}}},
	"wide":                           {"", circuit.Hint{Kind: circuit.HintWide, Params: []int64{61, 0, 1, 1, 61, 0, 61}}},
	"wide with a parameter less":     {"6 parameters", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 1, 1, 0}}},
	"wide by 62":                     {"a shift by 62 bits", circuit.Hint{Kind: circuit.HintWide, Params: []int64{62, 0, 1, 1, 1, 0, 1}}},
	"wide with digits of -1 bits":    {"limbs of -1", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 1, -1, 0, 1}}},
	"wide with digits of 62 bits":    {"limbs of 62", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 1, 62, 0, 1}}},
	"wide with an excess of -1 bits": {"limbs of -1", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 1, 1, 0, -1}}},
	"wide with an excess of 62 bits": {"limbs of 62", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 1, 1, 0, 62}}},
	"wide without digits":            {"0 limbs are not among its 1 results", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 0, 1, 0, 1}}},
	"wide with a digit too many":     {"2 limbs are not among its 1 results", circuit.Hint{Kind: circuit.HintWide, Params: []int64{1, 0, 1, 2, 1, 0, 1}}},
	"root":                           {"", circuit.Hint{Kind: circuit.HintRsqrt, Params: []int64{1, 61}}},
	"root with limbs of 62":          {"limbs of 62", circuit.Hint{Kind: circuit.HintRsqrt, Params: []int64{1, 62}}},
	"reciprocal with one parameter":  {"1 parameters", circuit.Hint{Kind: circuit.HintRecip, Params: []int64{1}}},
	"table":                          {"", circuit.Hint{Kind: circuit.HintTable, Params: []int64{0, 0}}},
	"table with one parameter":       {"1 parameters", circuit.Hint{Kind: circuit.HintTable, Params: []int64{0}}},
	"table -1":                       {"there is no table -1", circuit.Hint{Kind: circuit.HintTable, Params: []int64{0, 0}, Table: -1}},
	"table behind the last":          {"there is no table 1", circuit.Hint{Kind: circuit.HintTable, Params: []int64{0, 0}, Table: 1}},
	"column -1":                      {"has no column -1", circuit.Hint{Kind: circuit.HintTable, Params: []int64{0, -1}}},
	"column behind the last":         {"has no column 1", circuit.Hint{Kind: circuit.HintTable, Params: []int64{0, 1}}},
	"attention with five parameters": {"5 parameters", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{1, 1, 1, 1, 1}}},
	"attention by 62":                {"a shift by 62 bits", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{62, 1, 1, 1, 1, 1}}},
	"attention without a table":      {"there is no table 1", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{1, 1, 1, 1, 1, 1}, Table: 1}},
	"an input behind the last":       {"input 0 of hint 0 is no tensor", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{1}, In: []circuit.ID{3}}},
	"an input of -1":                 {"input 0 of hint 0 is no tensor", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{1}, In: []circuit.ID{-1}}},
	"a second input of -1":           {"input 1 of hint 0 is no tensor", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{1}, In: []circuit.ID{0, -1}}},
	"a mask of -1":                   {"", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{1, 1, 1, 1, 1, 1}, In: []circuit.ID{0, -1}}},
	"a mask of -2":                   {"input 1 of hint 0 is no tensor", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{1, 1, 1, 1, 1, 1}, In: []circuit.ID{0, -2}}},
	"a third input of -1":            {"input 2 of hint 0 is no tensor", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{1, 1, 1, 1, 1, 1}, In: []circuit.ID{0, -1, -1}}},
	"a mask behind the last":         {"input 1 of hint 0 is no tensor", circuit.Hint{Kind: circuit.HintAttn, Params: []int64{1, 1, 1, 1, 1, 1}, In: []circuit.ID{0, 3}}},
	"a result behind the last":       {"result 0 of hint 0 is no witness", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{1}, Out: []circuit.ID{3}}},
	"a result of -1":                 {"result 0 of hint 0 is no witness", circuit.Hint{Kind: circuit.HintRescale, Params: []int64{1}, Out: []circuit.ID{-1}}},
}

// Hints whose numbers of parameters, shifts, limbs, tables and columns are none that a rule of the witness generator could use, or a
// derivation read, each next to what is just within.
func TestHintsMustBeReadable(t *testing.T) {
	var verdicts second.Verdicts
	for name, test := range forms {
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBuilder(circuit.Config{Name: "hints", WeightBits: 4, WitnessBits: 4})
			w := b.Weight("w", 4, 2)
			y := b.Witness("y", 0, 1, 2)
			b.Lookup(gadget.Range(b, 0, 1), y)
			h := test.hint
			if h.In == nil {
				h.In = []circuit.ID{w}
			}
			if h.Out == nil {
				h.Out = []circuit.ID{y}
			}
			b.Hint(h)
			_, err := b.Finish()
			verdicts.Add(name, encoding(b.Unfinished()), err)
			if test.why == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.why)
		})
	}
	verdicts.Compare(t, second.Circuit)
}

// The hint of a private input is of that input alone.
func TestInputHintsMustBeOfAPort(t *testing.T) {
	var verdicts second.Verdicts
	for name, damage := range map[string]func(c *circuit.Circuit, h *circuit.Hint){
		"made of something":     func(c *circuit.Circuit, h *circuit.Hint) { h.In = []circuit.ID{named(c, "x").ID} },
		"of two tensors":        func(c *circuit.Circuit, h *circuit.Hint) { h.Out = append(h.Out, named(c, "mask").ID) },
		"of no port":            func(_ *circuit.Circuit, h *circuit.Hint) { h.Params = nil },
		"of two ports":          func(_ *circuit.Circuit, h *circuit.Hint) { h.Params = append(h.Params, 2) },
		"of port -1":            func(_ *circuit.Circuit, h *circuit.Hint) { h.Params[0] = -1 },
		"of the port behind":    func(c *circuit.Circuit, h *circuit.Hint) { h.Params[0] = int64(len(c.Ports)) },
		"of another port":       func(_ *circuit.Circuit, h *circuit.Hint) { h.Params[0] = 2 },
		"of a public port":      func(c *circuit.Circuit, h *circuit.Hint) { port(c, "y").Reveal = circuit.Values },
		"of an output, private": func(c *circuit.Circuit, h *circuit.Hint) { port(c, "y").Out = true },
	} {
		t.Run(name, func(t *testing.T) {
			b := ported()
			c := b.Unfinished()
			i := slices.IndexFunc(c.Hints, func(h circuit.Hint) bool { return h.Out[0] == named(c, "y").ID })
			damage(c, &c.Hints[i])
			_, err := b.Finish()
			verdicts.Add(name, encoding(c), err)
			require.ErrorContains(t, err, "is of no private input")
		})
	}
	verdicts.Compare(t, second.Circuit)
}
