package export

import (
	"errors"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/internal/portable"
)

// rotations is the base of the angles of rotary positions.
const rotations = 10000

// LLaMA makes a language model of LLaMA-2's architecture: RMSNorm, rotary positions, queries that may share keys and values, an MLP gated
// by SiLU, no biases, a last matrix of its own; or its layers alone.
func LLaMA(c Config) (*Model, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if c.head()%2 != 0 {
		return nil, errors.New("rotary positions need heads of an even width")
	}
	b := newBuilder(c)
	if c.Block {
		x := b.input("hidden_states", b.float, 1, c.Length, c.Width)
		for i := range c.Layers {
			x = b.llamaLayer(fmt.Sprintf("layers.%d.", i), x)
		}
		b.output("last_hidden_state", 1, c.Length, c.Width)
		return b.m, nil
	}
	table := b.weight("model.embed_tokens.weight", 0, deviation, c.Vocabulary, c.Width)
	x := b.named("Gather", "embedding", []string{table, b.input("input_ids", int64Type, 1, c.Length)}, integer("axis", 0))
	for i := range c.Layers {
		x = b.llamaLayer(fmt.Sprintf("model.layers.%d.", i), x)
	}
	b.linear(b.rmsNorm("model.norm.weight", x), deviation, c.Width, c.Vocabulary)
	b.output("logits", 1, c.Length, c.Vocabulary)
	return b.m, nil
}

func (b *builder) llamaLayer(scope, x string) string {
	y := b.rmsNorm(scope+"input_layernorm.weight", x)
	project := func(heads int) string { return b.perHead(b.linear(y, deviation, b.Width, heads*b.head())) }
	q, k, v := project(b.Heads), project(b.KVHeads), project(b.KVHeads)
	cos, sin := b.angles("cos", portable.Cos), b.angles("sin", portable.Sin)
	q, k = b.rotated(q, cos, sin), b.rotated(k, cos, sin)
	if b.KVHeads < b.Heads {
		k, v = b.repeated(k), b.repeated(v)
		v = b.view(v, 1, b.Heads, b.Length, b.head())
		k = b.merged(k, b.Heads, b.Length, b.head())
	} else {
		k = b.reshape(k, -1, b.Length, b.head())
	}
	y = b.view(b.attention(q, b.turned(k), v), 1, b.Length, -1)
	x = b.binary("Add", "add", x, b.linear(y, b.residual(), b.Width, b.Width))

	y = b.rmsNorm(scope+"post_attention_layernorm.weight", x)
	gate := b.linear(y, deviation, b.Width, b.MLP)
	gate = b.binary("Mul", "silu", gate, b.plain("Sigmoid", []string{gate}))
	h := b.binary("Mul", "mul", gate, b.linear(y, deviation, b.Width, b.MLP))
	return b.binary("Add", "add", x, b.linear(h, b.residual(), b.MLP, b.Width))
}

// linear multiplies with a matrix that the exporter transposed, and whose name is lost thereby.
func (b *builder) linear(x string, dev float64, in, out int) string {
	return b.binary("MatMul", "linear", x, b.weight("", 0, dev, in, out))
}

// rmsNorm is computed in 32 bits whatever the type of x.
func (b *builder) rmsNorm(name, x string) string {
	cast := func(x string, to int32) string {
		if !b.Half {
			return x
		}
		return b.named("Cast", "_to_copy", []string{x}, integer("to", int(to)))
	}
	gain := b.weight(name, 1, spread, b.Width)
	x = cast(x, float32Type)
	square := b.binary("Pow", "pow", x, b.real(float32Type, 2))
	mean := b.named("ReduceMean", "mean", []string{square, b.ints(-1)}, integer("noop_with_empty_axes", 0), integer("keepdims", 1))
	root := b.plain("Sqrt", []string{b.binary("Add", "add", mean, b.real(float32Type, epsilon))})
	y := b.binary("Mul", "mul", x, b.named("Reciprocal", "rsqrt", []string{root}))
	return b.binary("Mul", "mul", gain, cast(y, b.float))
}

// angles is the table of a function of the angle at each position and each of a head's columns, in two equal halves.
func (b *builder) angles(name string, f func(float64) float64) string {
	e := b.head()
	return b.table(name, []int{1, 1, b.Length, e}, func(i int) float64 {
		frequency := portable.Pow(rotations, -float64(2*(i%e%(e/2)))/float64(e))
		return f(float64(float64(i/e) * frequency))
	})
}

// rotated turns pairs of columns, one of the first half and one of the second, by their angles.
func (b *builder) rotated(x, cos, sin string) string {
	e, axis, step := b.head(), b.ints(3), b.ints(1)
	straight := b.binary("Mul", "mul", x, cos)
	first := b.named("Slice", "slice", []string{x, b.ints(0), b.ints(e / 2), axis, step})
	second := b.named("Slice", "slice", []string{x, b.ints(e / 2), b.list(math.MaxInt64), axis, step})
	crossed := b.named("Concat", "cat", []string{b.named("Neg", "neg", []string{second}), first}, integer("axis", -1))
	return b.binary("Add", "add", straight, b.binary("Mul", "mul", crossed, sin))
}

// repeated gives each head of queries its copy of keys or values, on an axis of its own.
func (b *builder) repeated(x string) string {
	shape := b.ints(1, b.KVHeads, b.Heads/b.KVHeads, b.Length, b.head())
	return b.binary("Expand", "expand", b.binary("Unsqueeze", "unsqueeze", x, b.ints(2)), shape)
}
