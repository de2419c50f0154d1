package circuit

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// A circuit is trusted by its digest: no two may share one. So its encoding must be injective, which this file shows by reading
// encodings back. The decoder is written after SPEC.md 5.5.

// decoder takes an encoding apart.
type decoder struct {
	t testing.TB
	b *bytes.Buffer
}

func (d decoder) int() int64 {
	d.t.Helper()
	require.GreaterOrEqual(d.t, d.b.Len(), 8, "the encoding ends early")
	return int64(binary.BigEndian.Uint64(d.b.Next(8)))
}

// count is the length of a list, of which each element takes a byte at least.
func (d decoder) count() int {
	d.t.Helper()
	n := d.int()
	require.True(d.t, n >= 0 && n <= int64(d.b.Len()), "a list of %d elements", n)
	return int(n)
}

func (d decoder) bool() bool {
	d.t.Helper()
	v := d.int()
	require.True(d.t, v == 0 || v == 1, "a boolean is %d", v)
	return v == 1
}

func (d decoder) string() string {
	d.t.Helper()
	return string(d.b.Next(d.count()))
}

// elements reads a list, nil if it is empty.
func elements[T any](d decoder, read func() T) []T {
	d.t.Helper()
	var out []T
	for range d.count() {
		out = append(out, read())
	}
	return out
}

func (d decoder) ints() []int     { return elements(d, func() int { return int(d.int()) }) }
func (d decoder) int64s() []int64 { return elements(d, d.int) }
func (d decoder) ids() []ID       { return elements(d, func() ID { return ID(d.int()) }) }
func (d decoder) axes() [][]int   { return elements(d, d.ints) }

func (d decoder) tensor() Tensor {
	t := Tensor{Name: d.string(), Kind: Kind(d.int()), Shape: d.ints(), Lo: d.int(), Hi: d.int(), View: View(d.int()), Port: int(d.int()), Values: d.int64s(), Mult: d.bool(), Why: d.string()}
	t.Def = elements(d, func() Term {
		term := Term{Coef: d.int(), Extents: d.ints(), Out: d.axes()}
		term.Factors = elements(d, func() Factor { return Factor{T: ID(d.int()), Axes: d.axes()} })
		return term
	})
	return t
}

// circuit reads a whole encoding.
func (d decoder) circuit() *Circuit {
	require.Equal(d.t, "zkllmc circuit", d.string(), "nothing else that is hashed begins like a circuit")
	require.EqualValues(d.t, encodingVersion, d.int())
	c := &Circuit{Config: Config{Name: d.string(), WeightBits: int(d.int()), WitnessBits: int(d.int())}}
	c.Ports = elements(d, func() Port {
		return Port{Name: d.string(), Out: d.bool(), Kind: Element(d.int()), Shape: d.ints(), Lo: d.int(), Hi: d.int(), Scale: int(d.int()),
			Reveal: Reveal(d.int()), T: ID(d.int())}
	})
	if d.bool() {
		c.Generation = &Generation{Pad: d.int()}
	}
	c.Tensors = elements(d, d.tensor)
	for i := range c.Tensors {
		c.Tensors[i].ID = ID(i)
	}
	c.Tables = elements(d, func() Table {
		return Table{Name: d.string(), Mult: ID(d.int()), Cols: elements(d, d.int64s)}
	})
	c.Lookups = elements(d, func() Lookup { return Lookup{Table: int(d.int()), Cols: d.ids()} })
	c.Zeros = d.ids()
	c.Hints = elements(d, func() Hint {
		return Hint{Kind: HintKind(d.int()), In: d.ids(), Out: d.ids(), Params: d.int64s(), Table: int(d.int())}
	})
	require.Zero(d.t, d.b.Len(), "bytes behind the circuit")
	return c
}

// crowded has all that a circuit can have, and nothing of it twice.
func crowded(t testing.TB) *Circuit {
	b := NewBuilder(Config{Name: "crowded", WeightBits: 5, WitnessBits: 6})
	b.Generation(1)
	ids := b.Input(Port{Name: "ids", Kind: IDs, Shape: []int{2}, Hi: 2, Reveal: Values})
	hot := b.View("hot", OneHot, ids)
	b.Carry(ids, hot)
	w := b.Weight("weights", 4, 6, 2)
	x := b.Witness("cells", -300, 300, 3, 4)
	long := make([]int64, 601) // longer than what the encoder buffers
	for i := range long {
		long[i] = int64(i) - 300
	}
	pair := b.TableOf("pair", func() [][]int64 { return [][]int64{long, long} })
	c := b.Const("constants", []int64{7, -8, 9}, 3)
	v := b.VirtualBound("virtual", []int{3, 4}, -100, 200, "an argument", b.Times(2, "(ij)k,i->i(jk) i=3 j=2 k=2", w, c), b.Times(-3, "->i(jk) i=3 j=2 k=2"))
	b.Lookup(pair, x, v)
	b.Zero(v)
	b.Hint(Hint{Kind: HintClamp, In: []ID{w, c}, Out: []ID{x}, Params: []int64{11, 12, 13, 14, 15}, Table: pair})
	output := b.Virtual("output", []int{2, 3}, b.Times(5, "v->tv t=2 v=3", c), b.Times(1, "tu,uv->tv t=2 v=3 u=3", hot, b.Weight("head", 4, 3, 3)))
	logits := b.Output(Port{Name: "logits", Kind: Integers, Reveal: Values}, output)
	b.Zero(b.Virtual("reveal", []int{2, 3}, b.Times(1, "t,tv->tv t=2 v=3", b.View("selected", Selected, logits), output),
		b.Times(-1, "tv->tv t=2 v=3", b.View("values", PortValues, logits))))
	circuit, err := b.Finish()
	require.NoError(t, err)
	return circuit
}

// What is encoded is all that a circuit holds, schedule, time axes, requests and classes apart, which follow from it.
func TestEncodingIsInjective(t *testing.T) {
	c := crowded(t)
	var encoding bytes.Buffer
	c.Encode(&encoding)
	got := decoder{t, &encoding}.circuit()
	got.waves, got.nwaves, got.times, got.requests, got.digest = c.waves, c.nwaves, c.times, c.requests, c.digest
	got.classes, got.unclassed = c.classes, c.unclassed
	got.Generation = &Generation{In: c.Generation.In, Out: c.Generation.Out, Pad: got.Generation.Pad, Length: 2, Vocab: 3, Reveal: Values, Output: c.Generation.Output}
	require.Equal(t, c, got)
}
