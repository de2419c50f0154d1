package circuit

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/second"
)

// Configurations at their limits and one beyond.
func TestRefusedConfigs(t *testing.T) {
	good := Config{Name: "limits", WeightBits: 4, WitnessBits: 4}
	for _, test := range []struct {
		name, want string
		change     func(c *Config)
	}{
		{"least", "", func(*Config) {}},
		{"largest", "", func(c *Config) { c.WeightBits, c.WitnessBits = 24, 24 }},
		{"short rows of weights", "row widths", func(c *Config) { c.WeightBits = 3 }},
		{"long rows of weights", "row widths", func(c *Config) { c.WeightBits = 25 }},
		{"short rows of cells", "row widths", func(c *Config) { c.WitnessBits = 3 }},
		{"long rows of cells", "row widths", func(c *Config) { c.WitnessBits = 25 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := good
			test.change(&cfg)
			b := NewBuilder(cfg)
			looked(b, "control", 2)
			_, err := b.Finish()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

// power defines a sum between 0 and coef·2^240.
func power(b *Builder, coef int64) {
	c := b.Const("c", []int64{0, 1 << 60}, 2)
	b.VirtualBound("v", []int{2}, 0, 1, "an argument", b.Times(coef, "i,i,i,i->i i=2", c, c, c, c))
}

// checked is power, zero-checked, but declared step by step to be small.
func checked(b *Builder, coef int64) {
	c := b.Const("c", []int64{0, 1 << 60}, 2)
	far := b.VirtualBound("far", []int{2}, 0, 1, "an argument", b.Times(1, "i,i,i,i->i i=2", c, c, c, c))
	b.Zero(b.VirtualBound("v", []int{2}, 0, 1, "an argument", b.Times(coef, "i->i i=2", far)))
}

// limits are circuits at the limits of what a description may be and beyond, and what is said of the latter.
var limits = []struct {
	name, want string
	build      func(b *Builder)
}{
	{"the last tensor and the one behind it", "there is no tensor", func(b *Builder) { b.Zero(looked(b, "w", 2) + 1) }},
	{"as many cells as can be", "", func(b *Builder) { b.Weight("w", 4, math.MaxInt32) }},
	{"one cell more", "unusable shape", func(b *Builder) { b.Weight("w", 4, 1<<31/2, 2) }},
	{"cells within, in two axes", "", func(b *Builder) { b.Weight("w", 4, 1<<16, 1<<15-1) }},
	{"cells beyond, in two axes", "unusable shape", func(b *Builder) { b.Weight("w", 4, 1<<16, 1<<15) }},
	{"as many cells as 32 bits count again from zero", "unusable shape", func(b *Builder) { b.Weight("w", 4, 1<<16, 1<<16) }},
	{"a constant of as many", "values for shape [65536 65536]", func(b *Builder) { b.Const("c", nil, 1<<16, 1<<16) }},
	{"a constant of no cells", "values for shape [0]", func(b *Builder) { b.Const("c", nil, 0) }},
	{"negative table", "into table -1", func(b *Builder) { b.Lookup(-1, looked(b, "w", 2)) }},
	{"the table behind the last", "into table 1", func(b *Builder) { b.Lookup(1, looked(b, "w", 2)) }},
	{"unknown column", "there is no tensor 99", func(b *Builder) { b.Lookup(bit(b), 99) }},
	{"table below the bounds", "is declared in [1, 1] but table bit holds 0", func(b *Builder) { b.Lookup(bit(b), b.Witness("w", 1, 1, 2)) }},
	{"sum just within the field", "", func(b *Builder) { power(b, 1<<10-1) }},
	{"sum of 2^250", "wrap around the field", func(b *Builder) { power(b, 1<<10) }},
	{"sum just above -2^250", "", func(b *Builder) { power(b, 1-1<<10) }},
	{"sum of -2^250", "wrap around the field", func(b *Builder) { power(b, -1<<10) }},
	{"zero-checked sum just within the field", "", func(b *Builder) { checked(b, 1<<10-1) }},
	{"zero-checked sum of 2^250", "wrap around the field", func(b *Builder) { checked(b, 1<<10) }},
	{"zero-checked sum just above -2^250", "", func(b *Builder) { checked(b, 1-1<<10) }},
	{"zero-checked sum of -2^250", "wrap around the field", func(b *Builder) { checked(b, -1<<10) }},
	{"product with a looked-up tensor that is far by itself", "", func(b *Builder) {
		c := b.Const("c", []int64{1 << 60}, 1)
		far := b.VirtualBound("far", []int{1}, 0, 1, "an argument", b.Times(1, "i,i,i,i->i i=1", c, c, c, c))
		b.Lookup(bit(b), far)
		b.Zero(b.VirtualBound("v", []int{1}, 0, 1, "an argument", b.Times(1, "i,i->i i=1", far, far)))
	}},
	{"product with a zero-checked tensor that is far by itself", "", func(b *Builder) {
		c := b.Const("c", []int64{1 << 60}, 1)
		far := b.VirtualBound("far", []int{1}, 0, 1, "an argument", b.Times(1, "i,i,i,i->i i=1", c, c, c, c))
		b.Zero(far)
		b.Zero(b.VirtualBound("v", []int{1}, 0, 1, "an argument", b.Times(1, "i,i->i i=1", far, far)))
	}},
	{"virtual of 2^62-2", "", func(b *Builder) {
		b.Virtual("v", []int{1}, b.Times(2, "i->i i=1", b.Const("c", []int64{1<<61 - 1}, 1)))
	}},
	{"an argument for almost 2^62", "", func(b *Builder) {
		b.VirtualBound("v", []int{2}, 1-MaxBound, MaxBound-1, "an argument", b.Times(1, "i->i i=2", b.Const("c", []int64{1, 2}, 2)))
	}},
	{"wide virtual of 2^62", "", func(b *Builder) {
		b.Virtual("v", []int{1}, b.Times(2, "i->i i=1", b.Const("c", []int64{1 << 61}, 1)))
	}},
	{"wide virtual of -2^62", "", func(b *Builder) {
		b.Virtual("v", []int{1}, b.Times(-2, "i->i i=1", b.Const("c", []int64{1 << 61}, 1)))
	}},
	{"wide virtual of 2^64, which is 0 in 64 bits", "", func(b *Builder) {
		b.Virtual("v", []int{1}, b.Times(8, "i->i i=1", b.Const("c", []int64{1 << 61}, 1)))
	}},
	{"wide virtual of -2^64", "", func(b *Builder) {
		b.Virtual("v", []int{1}, b.Times(-8, "i->i i=1", b.Const("c", []int64{1 << 61}, 1)))
	}},
	{"virtual of 2^124-2^63", "", func(b *Builder) {
		b.Virtual("v", []int{1}, b.Times(4, "i,i->i i=1", b.Const("c", []int64{1<<61 - 1}, 1), b.Const("d", []int64{1 << 61}, 1)))
	}},
	{"virtual of 2^124", "beyond 2^124", func(b *Builder) {
		c := b.Const("c", []int64{1 << 61}, 1)
		b.Virtual("v", []int{1}, b.Times(4, "i,i->i i=1", c, c))
	}},
	{"virtual of -2^124", "beyond 2^124", func(b *Builder) {
		c := b.Const("c", []int64{1 << 61}, 1)
		b.Virtual("v", []int{1}, b.Times(-4, "i,i->i i=1", c, c))
	}},
	{"short extent", "extents are written k=64", func(b *Builder) { b.Virtual("v", []int{1}, b.Times(1, "->i i=")) }},
	{"extent without =", "extents are written k=64", func(b *Builder) { b.Virtual("v", []int{1}, b.Times(1, "->i i:1")) }},
	{"negative label", "unknown, empty or repeated", labelled(-1, 2)},
	{"label without an extent", "unknown, empty or repeated", labelled(1, 2)},
	{"empty label", "unknown, empty or repeated", labelled(0, 0)},
	{"a good label", "", labelled(0, 2)},
}

// What a builder refuses at a limit, next to what it takes just within.
func TestLimits(t *testing.T) {
	var verdicts second.Verdicts
	for _, test := range limits {
		t.Run(test.name, func(t *testing.T) {
			b := start()
			looked(b, "control", 2)
			test.build(b)
			built := b.err == nil
			_, err := b.Finish()
			if built {
				verdicts.Add(test.name, encoding(b), err)
			}
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
	verdicts.Compare(t, second.Circuit)
}

// labelled declares a tensor by a term that was not written as text, of one label of the given extent.
func labelled(label, extent int) func(b *Builder) {
	return func(b *Builder) {
		b.Virtual("v", []int{2}, Term{Coef: 1, Extents: []int{extent}, Out: [][]int{{label}}})
	}
}

// A circuit is immutable, also for whoever keeps the slices that a builder was given: they are copied.
func TestWhatIsGivenIsCopied(t *testing.T) {
	b := start()
	shape, values, col := []int{2, 3}, []int64{0, 1, 1, 0, 1, 1}, []int64{0, 1}
	ids, params := []ID{b.Const("c", values, shape...)}, []int64{1}
	b.Weight("w", 4, shape...)
	b.Input(Port{Name: "x", Kind: Integers, Shape: shape, Hi: 1, Reveal: Values})
	term := b.Times(1, "ij->ij i=2 j=3", ids[0])
	ids = append(ids, b.Virtual("v", shape, term))
	table := b.TableOf("bits", func() [][]int64 { return [][]int64{col, col} })
	b.Lookup(table, ids...)
	b.Hint(Hint{Kind: HintClamp, In: ids, Out: ids, Params: params})

	before := encoding(b)
	shape[0], values[0], col[0], ids[0], params[0] = 3, 2, 2, 1, 2
	term.Extents[0], term.Out[0][0], term.Factors[0].Axes[0][0] = 3, 1, 1
	require.True(t, bytes.Equal(before, encoding(b)), "the circuit changed")
	b.c.Tables[table].Cols[0][0] = 2
	require.Equal(t, []int64{0, 1}, b.c.Tables[table].Cols[1], "the columns share memory")
}
