package circuit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/second"
)

func start() *Builder {
	return NewBuilder(Config{Name: "refusals", WeightBits: 4, WitnessBits: 4})
}

// bit is a table of one column.
func bit(b *Builder) int { return b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} }) }

// looked is a witness tensor as it should be.
func looked(b *Builder, name string, shape ...int) ID {
	id := b.Witness(name, 0, 1, shape...)
	b.Lookup(bit(b), id)
	return id
}

// wide is a tensor of which a cell may be 2^62.
func wide(b *Builder) ID {
	return b.Virtual("v", []int{2}, b.Times(2, "i->i i=2", b.Const("c", []int64{1 << 61, -1 << 61}, 2)))
}

// encoding is the canonical encoding of what was built.
func encoding(b *Builder) []byte {
	var out bytes.Buffer
	b.c.Encode(&out)
	return out.Bytes()
}

// huge is a bound at which the double is too much.
const huge = 1 << 61

// refused are circuits that are not finished, and why.
var refused = []struct {
	name, want string
	build      func(b *Builder)
}{
	{"uncovered witness", "no lookup covers the witness tensor w", func(b *Builder) { b.Witness("w", 0, 1, 2) }},
	{"table beyond the bounds", "is declared in [0, 0] but table bit holds 1", func(b *Builder) { b.Lookup(bit(b), b.Witness("w", 0, 0, 2)) }},
	{"no axis", "at least one axis", func(b *Builder) { looked(b, "w") }},
	{"empty axis", "unusable shape", func(b *Builder) { b.Weight("w", 4, 2, 0) }},
	{"too many cells", "unusable shape", func(b *Builder) { b.Weight("w", 4, 1<<16, 1<<16) }},
	{"weight bits", "17 bits, want 1 to 16", func(b *Builder) { b.Weight("w", 17, 2) }},
	{"no weight bits", "0 bits, want 1 to 16", func(b *Builder) { b.Weight("w", 0, 2) }},
	{"bounds at 2^62", "strictly between -2^62 and 2^62", func(b *Builder) { b.Witness("w", 0, MaxBound, 2) }},
	{"bounds at -2^62", "strictly between -2^62 and 2^62", func(b *Builder) { b.Witness("w", -MaxBound, 0, 2) }},
	{"empty bounds", "strictly between", func(b *Builder) { b.Witness("w", 1, 0, 2) }},
	{"constant of another size", "has 2 values for shape [3]", func(b *Builder) { b.Const("c", []int64{1, 2}, 3) }},
	{"virtual beyond 2^124", "beyond 2^124", func(b *Builder) {
		c := b.Const("c", []int64{huge, -huge}, 2)
		b.Virtual("v", []int{2}, b.Times(8, "i,i->i i=2", c, c))
	}},
	{"virtual sum beyond 2^124", "beyond 2^124", func(b *Builder) {
		c := b.Const("c", []int64{huge, huge}, 2)
		b.Virtual("v", []int{1}, b.Times(4, "i,i->. i=2", c, c))
	}},
	{"a wide tensor looked up", "tensor v: it is looked up, and its cells may reach 2^62", func(b *Builder) {
		b.Lookup(bit(b), wide(b))
	}},
	{"a wide tensor zero-checked", "tensor v: it is zero-checked", func(b *Builder) { b.Zero(wide(b)) }},
	{"limbs of a wide tensor", "tensor v: it is an input of hint 0", func(b *Builder) {
		y := b.Witness("y", 0, 1, 2)
		b.Lookup(bit(b), y)
		b.Hint(LimbsHint{Radix: 3}.Hint(wide(b), []ID{y}))
	}},
	{"bounds of a wide tensor", "tensor v: its cells may reach [-4611686018427387904, 4611686018427387904], beyond 2^62", func(b *Builder) { b.Bounds(wide(b)) }},
	{"an argument for 2^62", "an argument's must lie strictly between -2^62 and 2^62", func(b *Builder) {
		b.VirtualBound("v", []int{2}, -MaxBound, MaxBound, "an argument", b.Times(1, "i->i i=2", b.Const("c", []int64{1, 2}, 2)))
	}},
	{"an argument for 2^62 above", "an argument's must lie strictly between -2^62 and 2^62", func(b *Builder) {
		b.VirtualBound("v", []int{2}, 0, MaxBound, "an argument", b.Times(1, "i->i i=2", b.Const("c", []int64{1, 2}, 2)))
	}},
	{"an argument for 2^62 below", "an argument's must lie strictly between -2^62 and 2^62", func(b *Builder) {
		b.VirtualBound("v", []int{2}, -MaxBound, 0, "an argument", b.Times(1, "i->i i=2", b.Const("c", []int64{1, 2}, 2)))
	}},
	{"a wide output", "tensor v: its cells may reach", func(b *Builder) { b.Output(Port{Name: "y", Kind: Integers, Reveal: Nothing}, wide(b)) }},
	{"an output that becomes wide", "tensor v: it is a port's, and its cells may reach 2^62", func(b *Builder) {
		b.Carry(b.Output(Port{Name: "y", Kind: Integers, Reveal: Nothing}, looked(b, "w", 2)), wide(b))
	}},
	{"bound that wraps", "wrap around the field", func(b *Builder) {
		c := b.Const("c", []int64{huge, -huge}, 2)
		b.VirtualBound("v", []int{2}, 0, 1, "an argument", b.Times(1<<8, "i,i,i,i->i i=2", c, c, c, c))
	}},
	{"bounds on bounds that are not true", "whatever is declared of them", func(b *Builder) {
		c := b.Const("c", []int64{huge, -huge}, 2)
		v := b.VirtualBound("v", []int{2}, 0, 1, "somebody said so", b.Times(1, "i,i,i->i i=2", c, c, c))
		b.Zero(b.Virtual("w", []int{2}, b.Times(1, "i,i->i i=2", v, v)))
	}},
	{"bounds on bounds that are not true, looked up", "whatever is declared of them", func(b *Builder) {
		c := b.Const("c", []int64{huge, -huge}, 2)
		v := b.VirtualBound("v", []int{2}, 0, 1, "somebody said so", b.Times(1, "i,i,i->i i=2", c, c, c))
		b.Lookup(bit(b), b.Virtual("w", []int{2}, b.Times(1, "i,i->i i=2", v, v)))
	}},
	{"far bounds that cancel", "whatever is declared of them", func(b *Builder) { // 2^305·x − 2^305·y, which may be any number mod p
		far := func(name string) ID {
			x := b.Witness(name, 1, 2, 2)
			b.Lookup(b.TableOf("one or two", func() [][]int64 { return [][]int64{{1, 2}} }), x)
			for range 5 {
				x = b.VirtualBound(name, []int{2}, 0, 1, "somebody said so", b.Times(huge, "i->i i=2", x))
			}
			return x
		}
		b.Lookup(bit(b), b.VirtualBound("w", []int{2}, 0, 1, "looked up", b.Times(1, "i->i i=2", far("x")), b.Times(-1, "i->i i=2", far("y"))))
	}},
	{"hint without results", "1 inputs and 0 results", func(b *Builder) { b.Hint(Hint{Kind: HintRescale, In: []ID{looked(b, "w", 2)}}) }},
	{"hint of an input that there is not", "is of no private input", func(b *Builder) {
		b.Hint(Hint{Kind: HintInput, Out: []ID{looked(b, "w", 2)}, Params: []int64{0}})
	}},
	{"hint of no witness", "is no witness tensor", func(b *Builder) {
		w := looked(b, "w", 2)
		b.Hint(Hint{Kind: HintRescale, In: []ID{w}, Out: []ID{b.Weight("v", 4, 2)}})
	}},
	{"hint of multiplicities", "is no witness tensor", func(b *Builder) {
		b.Hint(Hint{Kind: HintRescale, In: []ID{looked(b, "w", 2)}, Out: []ID{b.c.Tables[bit(b)].Mult}})
	}},
	{"hint from nothing", "0 inputs and 1 results", func(b *Builder) { b.Hint(Hint{Kind: HintRescale, Out: []ID{looked(b, "w", 2)}}) }},
	{"hint from no tensor", "input 0 of hint 0 is no tensor", func(b *Builder) {
		b.Hint(Hint{Kind: HintAttn, In: []ID{-1, -1}, Out: []ID{looked(b, "w", 2)}})
	}},
	{"affine tensor of nothing", "at least one axis", func(b *Builder) { b.Affine("a", "3") }},
	{"affine tensor of no expression", "a term is a number", func(b *Builder) { b.Affine("a", "i - q", 3, 3) }},
	{"affine tensor of a stride beyond 64 bits", "numbers are at most 2^30", func(b *Builder) { b.Affine("a", "18446744073709551617i - j", 3, 3) }},
	{"affine tensor of many axes", "9 axes, at most 8", func(b *Builder) { b.Affine("a", "i", 1, 1, 1, 1, 1, 1, 1, 1, 1) }},
	{"affine tensor of large strides", "the strides of its equation are too large", func(b *Builder) { b.Affine("a", "i - 100000j", 1<<20, 1<<10) }},
	{"bound without an argument", "a bound needs its argument", func(b *Builder) {
		b.VirtualBound("v", []int{2}, 0, 1, "", b.Times(1, "i->i i=2", looked(b, "w", 2)))
	}},
	{"multiplicities as a factor", "are no factor", func(b *Builder) {
		b.Virtual("v", []int{2}, b.Times(1, "i->i i=2", b.c.Tables[bit(b)].Mult))
	}},
	{"multiplicities in a lookup", "multiplicities are no column", func(b *Builder) { b.Lookup(bit(b), b.c.Tables[bit(b)].Mult) }},
	{"no columns", "table t is empty", func(b *Builder) { b.TableOf("t", func() [][]int64 { return nil }) }},
	{"no lines", "table t is empty", func(b *Builder) { b.TableOf("t", func() [][]int64 { return [][]int64{{}} }) }},
	{"ragged table", "columns of different lengths", func(b *Builder) { b.TableOf("t", func() [][]int64 { return [][]int64{{1, 2}, {1}} }) }},
	{"unknown table", "lookup of 1 columns into table 7", func(b *Builder) { b.Lookup(7, looked(b, "w", 2)) }},
	{"too many columns", "lookup of 2 columns into table 0", func(b *Builder) { w := looked(b, "w", 2); b.Lookup(bit(b), w, w) }},
	{"columns of different shapes", "different shapes", func(b *Builder) {
		pair := b.TableOf("pair", func() [][]int64 { return [][]int64{{0, 1}, {0, 1}} })
		b.Lookup(pair, looked(b, "w", 2), looked(b, "x", 3))
	}},
	{"unknown tensor", "there is no tensor 99", func(b *Builder) { b.Zero(99) }},
	{"negative tensor", "there is no tensor -1", func(b *Builder) { b.Zero(-1) }},
	{"unknown factor", "there is no tensor 99", func(b *Builder) { b.Virtual("v", []int{2}, b.Times(1, "i->i i=2", 99)) }},
	{"first error", "the first", func(b *Builder) { b.Fail("the first"); b.Fail("the second") }},
	{"name of the scope", "refusals: block.1", func(b *Builder) { b.Scope("block."); b.Fail("1") }},
}

// What a builder refuses, each next to nothing else that is wrong: the control is the same circuit without it.
func TestRefusals(t *testing.T) {
	var verdicts second.Verdicts
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			b := start()
			looked(b, "control", 2)
			test.build(b)
			built := b.err == nil
			_, err := b.Finish()
			if built { // else there is nothing that a description would be of
				verdicts.Add(test.name, encoding(b), err)
			}
			require.ErrorContains(t, err, test.want)
		})
	}
	verdicts.Compare(t, second.Circuit)
	b := start()
	looked(b, "control", 2)
	_, err := b.Finish()
	require.NoError(t, err)
	_, err = start().Finish()
	require.ErrorContains(t, err, "it has no lookup")
}

// Terms whose axes do not suit their tensors, and texts that are no terms.
func TestRefusedTerms(t *testing.T) {
	for _, test := range []struct {
		spec, want string
		shape      []int // of the result; the operands are w of shape [2, 6]
		operands   int
	}{
		{"ij->ij i=2 j=6", "", []int{2, 6}, 1},
		{"i(jk)->ijk i=2 j=3 k=2", "", []int{2, 3, 2}, 1},
		{"i(jk)->ijk i=2 j=2 k=3", "split at extent 3, which is no power of two", []int{2, 2, 3}, 1},
		{"ii->i i=2", "repeated", []int{2}, 1},
		{"ij->(ii) i=2 j=6", "repeated", []int{4}, 1},
		{"ij->ij i=2 j=5", "has extent 6, its labels 5", []int{2, 5}, 1},
		{"ij->ij i=2 j=6", "has extent 7, its labels 6", []int{2, 7}, 1},
		{"ij->ij i=2 j=6", "the result has 1 axes, the term names 2", []int{2}, 1},
		{"i->i i=2", "w has 2 axes, the term names 1", []int{2}, 1},
		{"ij->i i=2 j=6 k=3", "label 2 of a term is neither in the result nor in a factor", []int{2}, 1},
		{"", "is empty", []int{2}, 0},
		{"ij i=2 j=6", "has no ->", []int{2}, 1},
		{"ij->ij i=2 j", "extents are written k=64", []int{2, 6}, 1},
		{"ij->ij i=2 j=x", "extent j=x", []int{2, 6}, 1},
		{"ij->ij i=2 j=0", "extent j=0", []int{2, 6}, 1},
		{"ij->ij i=2 j=99999999999999999999", "extent j=", []int{2, 6}, 1},
		{"ij->ij i=2 i=2 j=6", "label twice", []int{2, 6}, 1},
		{"ij->ik i=2 j=6", `label 'k' has no extent`, []int{2, 6}, 1},
		{"ik->ij i=2 j=6", `label 'k' has no extent`, []int{2, 6}, 1},
		{"i(jk->ij i=2 j=6 k=1", "missing )", []int{2, 6}, 1},
		{"i(jx)->ij i=2 j=6", `label 'x' has no extent`, []int{2, 6}, 1},
		{"ij,ij->ij i=2 j=6", "names 2 operands, got 1", []int{2, 6}, 1},
		{"->ij i=2 j=6", "names 0 operands, got 1", []int{2, 6}, 1},
	} {
		t.Run(test.spec, func(t *testing.T) {
			b := start()
			w := looked(b, "w", 2, 6)
			b.Virtual("v", test.shape, b.Times(1, test.spec, []ID{w, w}[:test.operands]...))
			_, err := b.Finish()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

// Weights are listed in the order in which they were declared.
func TestWeights(t *testing.T) {
	b := start()
	first := b.Weight("first", 4, 2)
	looked(b, "w", 2)
	second := b.Weight("second", 4, 3)
	c, err := b.Finish()
	require.NoError(t, err)
	got := c.Weights()
	require.Len(t, got, 2)
	require.Equal(t, []ID{first, second}, []ID{got[0].ID, got[1].ID})
}

// FuzzTimes: a text is a term or the builder's error, whatever it is. What is accepted fits the tensor.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"ij->ij i=2 j=6", "i(jk)->ijk i=2 j=3 k=2", "->. ", "i.->i i=2", "((->) (=1", "ij,ij->ij i=2 j=6", "->->", "= ==1", "i=", "é->é é=2"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, spec string, operands int) {
		b := start()
		w := looked(b, "w", 2, 6)
		term := b.Times(1, spec, []ID{w, w, w}[:uint(operands)%4]...)
		if b.err != nil {
			require.True(t, strings.HasPrefix(b.err.Error(), "circuit refusals: "))
			return
		}
		shape := make([]int, len(term.Out))
		for a, labels := range term.Out {
			shape[a] = 1
			for _, l := range labels {
				shape[a] *= term.Extents[l]
			}
		}
		b.Virtual("v", shape, term)
		if _, err := b.Finish(); err == nil {
			for _, factor := range term.Factors {
				require.Len(t, factor.Axes, 2)
			}
		}
	})
}
