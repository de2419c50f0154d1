package attack

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// config is a circuit that reveals nothing: the stage under attack is all there is.
func config(name string) witnesstest.Text {
	return witnesstest.Text{Name: name, WeightBits: 4, WitnessBits: 4}
}

// classes is config with rows of other widths: two classes of rows, and tensors that all share rows where the rows are long.
func classes(name string, weightBits, witnessBits int) witnesstest.Text {
	cfg := config(name)
	cfg.WeightBits, cfg.WitnessBits = weightBits, witnessBits
	return cfg
}

// ofTwo is a tensor of 24 bits, of two weights.
func ofTwo(b *circuit.Builder, n int) circuit.ID {
	x, y := b.Weight("x", 12, n), b.Weight("y", 16, n)
	return b.Virtual("v", []int{n}, circuit.Scaled(b, 1<<12, x), circuit.Scaled(b, 1, y))
}

// beyond is a wide tensor of 31 + up bits, of which the lower 64 are not zero either. Rescales by 49 bits leave remainders whose limbs have 32
// bits also where somebody lies.
func beyond(b *circuit.Builder, up, n int) circuit.ID {
	x, y, z := b.Weight("x", 16, n), b.Weight("y", 16, n), b.Weight("z", 16, n)
	return b.Virtual("v", []int{n}, circuit.Product(b, 1<<up, x, y), circuit.Scaled(b, 1<<30, z), circuit.Scaled(b, 1, x))
}

// stages are the smallest circuits that have the stage they are named after.
var stages = map[string]spec{
	"rescale": {cfg: config("rescale"), build: func(b *circuit.Builder) {
		gadget.Rescale(b, "y", b.Weight("x", 8, 5), 3, -16, 16)
	}, weights: map[string][]int64{"x": {-128, 127, 0, 4, -5}}},
	"copy": {cfg: config("copy"), build: func(b *circuit.Builder) { // shift 0: the remainder is a zero-check
		gadget.Rescale(b, "y", b.Weight("x", 4, 3), 0, -8, 7)
	}, weights: map[string][]int64{"x": {-8, 7, 1}}},
	"wide rescale": {cfg: config("wide rescale"), build: func(b *circuit.Builder) { // the remainder has limbs
		gadget.Rescale(b, "q", ofTwo(b, 4), 18, -33, 33)
	}},
	"clamp": {cfg: config("clamp"), build: func(b *circuit.Builder) {
		gadget.Rescale(b, "y", b.Weight("x", 8, 6), 2, -8, 7)
	}, weights: map[string][]int64{"x": {-128, 127, 3, 29, 30, -35}}},
	"clamp without shift": {cfg: config("clamp without shift"), build: func(b *circuit.Builder) {
		gadget.Rescale(b, "y", b.Weight("x", 6, 5), 0, -8, 7)
	}, weights: map[string][]int64{"x": {-32, 31, 7, 8, -9}}},
	"wide clamp": {cfg: classes("wide clamp", 7, 5), build: func(b *circuit.Builder) { // the excess has limbs
		x, y := b.Weight("x", 12, 4), b.Weight("y", 10, 4)
		v := b.Virtual("v", []int{4}, circuit.Scaled(b, 1<<9, x), circuit.Scaled(b, 1, y))
		gadget.Rescale(b, "q", v, 1, -8, 7)
	}, weights: map[string][]int64{"x": {-2048, 2047, 0, 0}, "y": {-512, 511, 9, -300}}},
	"digits": {cfg: config("digits"), build: func(b *circuit.Builder) { // the result has limbs
		gadget.Rescale(b, "q", ofTwo(b, 4), 7, -1<<17, 1<<17-1)
	}},
	"clamped digits": {cfg: classes("clamped digits", 7, 5), build: func(b *circuit.Builder) { // and the excess too
		gadget.Rescale(b, "q", ofTwo(b, 4), 4, -1<<17, 1<<17-1)
	}, weights: map[string][]int64{"x": {-2048, 2047, 0, 511}, "y": {-512, 511, 9, -300}}},
	"digits of a wide tensor": {cfg: config("digits of a wide tensor"), build: func(b *circuit.Builder) { // the upper ones count more than 2^62
		gadget.Rescale(b, "q", beyond(b, 43, 4), 49, -1<<25, 1<<25-1)
	}},
	"clamp of a wide tensor": {cfg: classes("clamp of a wide tensor", 7, 5), build: func(b *circuit.Builder) { // and so do limbs of the excess
		gadget.Rescale(b, "q", beyond(b, 44, 4), 49, -1<<9, 1<<9-1)
	}, weights: map[string][]int64{"x": {-1 << 15, 1<<15 - 1, 17, 0}, "y": {1<<15 - 1, 1<<15 - 1, 32000, 12}, "z": {5, -9, 1 << 14, 77}}},
	"wide factor": {cfg: config("wide factor"), build: func(b *circuit.Builder) { // in products, and in a sum
		v, g := beyond(b, 44, 4), b.Weight("g", 5, 3, 4)
		gadget.RescaleTable(b, "q", b.Virtual("p", []int{3}, b.Times(3, "j,ij->i i=3 j=4", v, g)), 49, -1<<9, 1<<9-1, "silu", 5, 8)
		gadget.Rescale(b, "r", b.Virtual("s", []int{4}, circuit.Scaled(b, -5, v), circuit.Ones(1<<40, []int{4})), 49, -1<<9, 1<<9-1)
	}},
	"table": {cfg: config("table"), build: func(b *circuit.Builder) {
		x := gadget.Rescale(b, "x", b.Weight("w", 6, 4), 1, -16, 16)
		gadget.Table(b, "y", x, "silu", 2, 4)
	}, weights: map[string][]int64{"w": {-32, 31, 6, -7}}},
	"rescale table": {cfg: config("rescale table"), build: func(b *circuit.Builder) {
		gadget.RescaleTable(b, "act", b.Weight("w", 7, 5), 1, -12, 11, "silu", 2, 4)
	}, weights: map[string][]int64{"w": {-64, 63, 5, -8, 22}}},
	"piecewise": {cfg: classes("piecewise", 6, 5), build: func(b *circuit.Builder) { // a function in linear pieces, behind a clamp
		y := gadget.PiecewiseLinear(b, "y", b.Weight("w", 9, 5), 1, -64, 63, 3, "silu", 4, 6)
		gadget.Rescale(b, "z", y, 2, -128, 127)
	}, weights: map[string][]int64{"w": {-256, 255, 21, -46, 150}}},
	"max": {cfg: config("max"), build: func(b *circuit.Builder) {
		x := gadget.Rescale(b, "x", b.Weight("v", 5, 6), 1, -8, 8)
		m := gadget.Max(b, "m", x, gadget.Rescale(b, "y", b.Weight("w", 5, 6), 1, -8, 8))
		gadget.Rescale(b, "z", m, 1, -4, 4)
	}, weights: map[string][]int64{"v": {-16, 15, 0, 4, -5, 7}, "w": {15, -16, 0, 5, -7, -8}}},
	"rsqrt": {cfg: config("rsqrt"), build: func(b *circuit.Builder) {
		x := b.Weight("x", 4, 3)
		gadget.Rsqrt(b, "r", b.Virtual("s", []int{3}, circuit.Product(b, 1, x, x)), 1<<12, 3)
	}, weights: map[string][]int64{"x": {0, -8, 5}}},
	"reciprocal": {cfg: config("reciprocal"), build: func(b *circuit.Builder) {
		s := b.Virtual("s", []int{3}, circuit.Scaled(b, 1, b.Weight("x", 4, 3)), circuit.Ones(10, []int{3}))
		gadget.Reciprocal(b, "r", s, 1<<9)
	}, weights: map[string][]int64{"x": {-8, 7, 1}}},
	"norm": {cfg: classes("norm", 4, 7), build: func(b *circuit.Builder) {
		x, g := b.Weight("x", 5, 2, 3), b.Weight("g", 5, 3)
		s := b.Virtual("square", []int{2}, b.Times(1, "td,td->t t=2 d=3", x, x))
		const num = 3 << 12
		r := gadget.Rsqrt(b, "r", s, num, 3)
		bound, why := gadget.NormBound(num, 0)
		bound <<= 4
		acc := b.VirtualBound("acc", []int{2, 3}, -bound, bound, why, b.Times(1, "td,t,d->td t=2 d=3", x, r, g))
		gadget.Rescale(b, "y", acc, 5, -64, 64)
	}},
	"attention": {cfg: config("attention"), build: zkattn(causal(3), 3), weights: map[string][]int64{
		"x": {3, 31, -30, 3, 5, 31, -32, 4, 4},
	}},
	"key mask": {cfg: config("key mask"), build: zkattn([]int64{0, 1, 0, 1}, 4), weights: map[string][]int64{
		"x": {3, 31, 3, -30, 5, 31, 31, 2, -32, 4, 4, 7, 0, 0, 0, 0},
	}},
	"private embedding": {cfg: witnesstest.Text{Name: "private embedding", Length: 3, Vocab: 5, PrivateInput: true,
		Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}, build: func(b *circuit.Builder) {
		e := gadget.Embed(b, "x", gadget.Input(b, "tokens", hiddenTokens), b.Weight("table", 6, 5, 2))
		y := gadget.Rescale(b, "y", e, 1, -16, 16)
		gadget.Output(b, argmaxLogits, b.Virtual("logits", []int{3, 5}, b.Times(1, "td,vd->tv t=3 d=2 v=5", y, b.Weight("head", 4, 5, 2))))
	}, // Token 4 is followed by token 2, and that by token 0.
		weights: map[string][]int64{"table": {3, -7, 9, 1, 2, 20, -5, 4, 20, -3}, "head": {0, 5, 1, 1, 5, 0, -2, 3, 2, -1}},
		tokens:  []int64{-1, 2}, prompt: 1, private: []int64{4, 2}},
	"reveal logits": {cfg: witnesstest.Text{Name: "reveal logits", Length: 3, Vocab: 5, Reveal: circuit.Values,
		WeightBits: 5, WitnessBits: 5}, build: func(b *circuit.Builder) { gadget.Output(b, valueLogits, logits(b)) }, tokens: []int64{1, 1}, prompt: 2},
	"reveal argmax": {cfg: witnesstest.Text{Name: "reveal argmax", Length: 3, Vocab: 5, Reveal: circuit.Argmax,
		WeightBits: 5, WitnessBits: 5}, build: func(b *circuit.Builder) { gadget.Output(b, argmaxLogits, logits(b)) },
		// Token 3 is followed by token 1, tied with token 4; token 1 by token 0, tied with everything.
		weights: map[string][]int64{
			"embedding": {0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0},
			"head":      {1, 0, 0, 5, 0, 0, -7, 0, 0, 4, 0, 0, 5, 0, 0},
		}, tokens: []int64{3, 1}, prompt: 1, next: 0},
	"rotation": {cfg: config("rotation"), build: func(b *circuit.Builder) { // as rotary position embeddings: pairs times constant angles
		x := b.Weight("x", 5, 2, 3)
		acc := b.Virtual("acc", []int{2, 3}, b.Times(1, "td,td->td t=2 d=3", x, b.Const("cos", []int64{8, 8, 8, 7, 6, 5}, 2, 3)))
		gadget.Rescale(b, "y", acc, 3, -32, 32)
	}},
	"window": {cfg: classes("window", 4, 6), build: func(b *circuit.Builder) { // of 3 cells, in steps of 2, over an edge; and a shift
		x := gadget.Rescale(b, "x", b.Weight("w", 6, 2, 6), 1, -16, 16)
		taps := b.Const("taps", []int64{1, -2, 3}, 3)
		acc := b.Virtual("acc", []int{2, 3}, b.Times(1, "ti,ijm,m->tj t=2 i=6 j=3 m=3", x, b.Affine("window", "i - 2j - k + 1", 6, 3, 3), taps))
		y := gadget.Rescale(b, "y", acc, 2, -32, 32)
		gadget.Rescale(b, "z", b.Virtual("shifted", []int{2, 3}, b.Times(1, "ti,ij->tj t=2 i=3 j=3", y, b.Affine("shift", "i - j + 1", 3, 3))), 0, -32, 32)
	}, weights: map[string][]int64{"w": {-32, 31, 6, -7, 12, 3, 0, -20, 25, 9, -1, 30}}},
	"ports":    {cfg: classes("ports", 5, 6), build: ported, inputs: portedInputs},
	"residual": {cfg: classes("residual", 6, 4), build: residual("y1", 1)},
	"layout":   {cfg: witnesstest.Text{Name: "layout", WeightBits: 4, WitnessBits: 4}, build: layouts},
}

// The ports of the generations among the stages: 3 positions, 5 tokens.
var (
	tokens       = circuit.Port{Name: "tokens", Kind: circuit.IDs, Shape: []int{3}, Hi: 4, Reveal: circuit.Values}
	hiddenTokens = circuit.Port{Name: "tokens", Kind: circuit.IDs, Shape: []int{3}, Hi: 4, Reveal: circuit.Nothing}
	valueLogits  = circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Values}
	argmaxLogits = circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Argmax}
)

// logits are a product of an embedding and a head, rescaled in between.
func logits(b *circuit.Builder) circuit.ID {
	e := gadget.Embed(b, "e", gadget.Input(b, "tokens", tokens), b.Weight("embedding", 6, 5, 3))
	h := gadget.Rescale(b, "h", e, 2, -8, 8)
	return b.Virtual("logits", []int{3, 5}, b.Times(1, "td,vd->tv t=3 d=3 v=5", h, b.Weight("head", 5, 5, 3)))
}

func causal(n int) []int64 {
	m := make([]int64, n*n)
	for i := range n {
		for j := i + 1; j < n; j++ {
			m[i*n+j] = 1
		}
	}
	return m
}

var attnParams = attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}

// zkattn is one head of attention: scores, softmax and the product with V.
func zkattn(mask []int64, n int) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		s := b.Virtual("s", []int{n, n}, circuit.Scaled(b, 2, b.Weight("x", 6, n, n)))
		shape := []int{n, n}
		if len(mask) == n {
			shape = shape[1:]
		}
		e, inv := attention.ZkAttn(b, "attn", s, attention.Mask(b, "mask", mask, shape...), attnParams)
		v := b.Weight("v", 5, n, 2)
		lo, hi, err := attnParams.ContextBound(-16, 15)
		if err != nil {
			panic(err)
		}
		ctx := b.VirtualBound("ctx", []int{n, 2}, lo, hi, attention.ContextWhy, b.Times(1, fmt.Sprintf("i,ij,jd->id i=%d j=%d d=2", n, n), inv, e, v))
		gadget.Rescale(b, "out", ctx, 12, -16, 15)
	}
}

// residual adds a layer's output to sign times the named tensor and goes on, through nested virtual tensors and two waves.
func residual(skip string, sign int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		y := map[string]circuit.ID{}
		for _, n := range []string{"y0", "y1"} {
			y[n] = gadget.Rescale(b, n, b.Weight("x"+n, 6, 2, 3), 1, -16, 16)
		}
		w := b.Weight("w", 4, 3, 3)
		f := b.Virtual("f", []int{2, 3}, b.Times(1, "ti,ij->tj t=2 i=3 j=3", y["y1"], w))
		h := b.Virtual("h", []int{2, 3}, circuit.Scaled(b, sign, y[skip]), circuit.Scaled(b, 1, f))
		q := b.Virtual("q", []int{2, 3}, b.Times(1, "ti,ij->tj t=2 i=3 j=3", h, w), circuit.Scaled(b, 3, h))
		gadget.Rescale(b, "out", q, 6, -512, 512)
	}
}

// layouts has tensors that share rows with gaps between them, axes longer than a row with tails, extents that are no powers of
// two, a tensor in two tables, squares, broadcast axes, sums over axes, merged axes and zero-checks.
func layouts(b *circuit.Builder) {
	long := gadget.Rescale(b, "long", b.Weight("wlong", 6, 2, 21), 1, -16, 16) // chunks of 16 with a tail of 5
	small := gadget.Rescale(b, "small", b.Weight("wsmall", 6, 3), 1, -16, 16)  // shares a row
	tiny := gadget.Rescale(b, "tiny", b.Weight("wtiny", 6, 1), 1, -16, 16)
	again := gadget.Rescale(b, "again", small, 0, -16, 16) // a duplicate, by a zero-check
	second := b.TableOf("evens and odds", func() [][]int64 {
		var v []int64
		for i := range int64(33) {
			v = append(v, (i*2)%33-16)
		}
		return [][]int64{v}
	})
	b.Lookup(second, small)
	sum := b.Virtual("sum", []int{2, 3}, b.Times(1, "tk->tj t=2 k=21 j=3", long), b.Times(1, "tk,tk->tj t=2 k=21 j=3", long, long),
		b.Times(1, "j,j->tj t=2 j=3", small, again), b.Times(2, ".->tj t=2 j=3", tiny))
	gadget.Rescale(b, "packed", sum, 6, -512, 512)
	merged := gadget.Rescale(b, "merged", b.Virtual("split", []int{2, 12}, b.Times(1, "t(hd)->t(hd) t=2 h=3 d=4", b.Weight("wm", 5, 2, 12))), 0, -16, 15)
	heads := b.Virtual("heads", []int{3, 2, 2}, b.Times(1, "t(hd),u(hd)->htu t=2 u=2 h=3 d=4", merged, merged))
	gadget.Rescale(b, "dots", heads, 4, -1024, 1024)
}

// subjects keeps the stages that tests have set up, by name.
var subjects sync.Map

type once struct {
	sync.Once
	u *subject
}

// stage returns the subject of a stage; setup runs once.
func stage(t testing.TB, name string) *subject {
	t.Helper()
	s, ok := stages[name]
	require.True(t, ok, name)
	return kept(t, name, s)
}

// kept returns the subject of a spec with a name of its own; setup runs once.
func kept(t testing.TB, name string, s spec) *subject {
	t.Helper()
	v, _ := subjects.LoadOrStore(name, &once{})
	o := v.(*once)
	o.Do(func() { o.u = newSubject(t, s) })
	require.NotNil(t, o.u, name)
	return o.u
}

// The honest prover of every stage is accepted, and its witness satisfies the circuit by the slow definition.
func TestHonestStages(t *testing.T) {
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			a, err := u.generate(lie{})
			require.NoError(t, err)
			require.NoError(t, witness.CheckSatisfied(u.c, a))
			u.proved(t)
		})
	}
}
