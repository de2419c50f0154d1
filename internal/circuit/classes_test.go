package circuit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The classes of all clamps are found, those of values in [−1, 1], of several limbs and of pieces −1 and 0 among them, and nothing else is
// taken for one: arguments and values of functions, digits, remainders.
func TestClasses(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "clamps", WeightBits: 4, WitnessBits: 4})
	w := b.Weight("w", 16, 3)
	wide := b.Virtual("wide", []int{3}, circuit.Scaled(b, 1<<20, w))
	gadget.Rescale(b, "plain", w, 12, -8, 8)
	gadget.Rescale(b, "shifted", w, 2, -8, 7)
	gadget.Rescale(b, "copied", w, 0, -8, 7)
	gadget.Rescale(b, "sign", w, 3, -1, 1)
	gadget.Rescale(b, "bit", w, 3, 0, 1)
	gadget.Rescale(b, "far", wide, 1, -8, 7)
	gadget.Rescale(b, "digits", wide, 1, -1<<17, 1<<17-1)
	gadget.Rescale(b, "plain digits", wide, 14, -1<<25, 1<<25-1)
	gadget.PiecewiseLinear(b, "pieces", w, 15, -2, 1, 1, "relu", 0, 0)
	gadget.PiecewiseLinear(b, "clamped pieces", w, 14, -2, 1, 1, "relu", 0, 0)
	x, _ := gadget.RescaleTable(b, "small", w, 3, -1, 1, "relu", 0, 0)
	for _, fn := range []string{"relu", "silu", "tanh", "sigmoid"} {
		gadget.Table(b, fn, x, fn, 0, 0)
	}
	gadget.Table(b, "from -2", b.Weight("v", 2, 3), "relu", 0, 0)
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Table(b, "step", gadget.Rescale(b, "r", w, 8, -128, 128), "tanh", 0, 0))
	c, err := b.Finish()
	require.NoError(t, err)
	classes, err := c.Classes()
	require.NoError(t, err)
	var names []string
	for _, id := range classes {
		names = append(names, c.Tensor(id).Name)
	}
	require.Equal(t, []string{"shifted.class", "copied.class", "sign.class", "bit.class", "far.class", "digits.class", "clamped pieces.in.class", "small.in.class"}, names)
}

// A clamp that does not name its class, one whose class is looked up with no excess, and a hint of which it is not known whether it clamps:
// the classes are not known. A class whose clamp gives no hint is found all the same.
func TestUnknownClasses(t *testing.T) {
	for _, test := range []struct {
		says   string // empty: the one class is known
		change func(c *circuit.Circuit)
	}{
		{"", func(*circuit.Circuit) {}},
		{"", func(c *circuit.Circuit) { c.Hints = nil }},
		{"yields no class", func(c *circuit.Circuit) { c.Hints[0].Out = c.Hints[0].Out[:1] }},
		{"tensor y is looked up with no excess", func(c *circuit.Circuit) { c.Hints[0].Out[1] = c.Hints[0].Out[0] }},
		{"tensor y is looked up with no excess", func(c *circuit.Circuit) { out := c.Hints[0].Out; out[0], out[1] = out[1], out[0] }},
		{"tensor bit is looked up with no excess", func(c *circuit.Circuit) { c.Hints[0].Out[1] = 0 }}, // the first tensor
		{"kind 77 is not known", func(c *circuit.Circuit) { c.Hints[0].Kind = 77 }},
	} {
		b := circuit.NewBuilder(circuit.Config{Name: "clamps", WeightBits: 4, WitnessBits: 4})
		bit := b.Witness("bit", 0, 1, 3)
		b.Lookup(gadget.Range(b, 0, 1), bit)
		y := gadget.Rescale(b, "y", b.Weight("w", 8, 3), 2, -8, 7)
		gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, y)
		test.change(b.Unfinished())
		c, err := b.Finish()
		require.NoError(t, err)
		classes, err := c.Classes()
		if test.says != "" {
			require.ErrorContains(t, err, test.says)
			continue
		}
		require.NoError(t, err)
		require.Len(t, classes, 1)
	}
}
