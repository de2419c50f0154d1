package export

import (
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// GPT2 makes a language model of GPT-2's architecture: LayerNorm, learned positions, one matrix for queries, keys and values, GELU by its
// tanh approximation, biases, and the embedding as the last matrix.
func GPT2(c Config) (*Model, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if c.KVHeads != c.Heads || c.Half || c.Block {
		return nil, errors.New("GPT-2 has keys and values for each head, and is written whole, in 32 bits")
	}
	b := newBuilder(c)
	table := b.weight("lm_head.weight", 0, deviation, c.Vocabulary, c.Width)
	ids := b.view(b.input("input_ids", int64Type, 1, c.Length), -1, c.Length)
	x := b.named("Gather", "embedding", []string{table, ids}, integer("axis", 0))
	x = b.binary("Add", "add", x, b.weight("embedding_1", 0, deviation, 1, c.Length, c.Width))
	for i := range c.Layers {
		x = b.gpt2Layer(fmt.Sprintf("transformer.h.%d.", i), x)
	}
	x = b.view(b.layerNorm("transformer.ln_f", x), -1, c.Length, c.Width)
	b.binary("MatMul", "linear", x, b.plain("Transpose", []string{table}, integers("perm", 1, 0)))
	b.output("logits", 1, c.Length, c.Vocabulary)
	return b.m, nil
}

func (b *builder) gpt2Layer(scope, x string) string {
	rows := b.view(b.layerNorm(scope+"ln_1", x), -1, b.Width)
	qkv := b.view(b.gemm(scope+"attn.c_attn", rows, deviation, b.Width, 3*b.Width), 1, b.Length, 3*b.Width)
	q, k, v := b.split(qkv)
	k, v, q = b.perHead(k), b.perHead(v), b.perHead(q)
	y := b.attention(q, b.turned(b.reshape(k, -1, b.Length, b.head())), v)
	y = b.gemm(scope+"attn.c_proj", b.merged(y, b.Length, b.Width), b.residual(), b.Width, b.Width)
	x = b.binary("Add", "add", b.view(y, 1, b.Length, b.Width), x)

	rows = b.view(b.layerNorm(scope+"ln_2", x), -1, b.Width)
	h := b.gelu(b.view(b.gemm(scope+"mlp.c_fc", rows, deviation, b.Width, b.MLP), 1, b.Length, b.MLP))
	y = b.gemm(scope+"mlp.c_proj", b.view(h, -1, b.MLP), b.residual(), b.MLP, b.Width)
	return b.binary("Add", "add", x, b.view(y, 1, b.Length, b.Width))
}

func (b *builder) layerNorm(name, x string) string {
	in := []string{x, b.weight(name+".weight", 1, spread, b.Width), b.weight(name+".bias", 0, deviation, b.Width)}
	return b.named("LayerNormalization", "layer_norm", in, integer("stash_type", 1), number("epsilon", epsilon), integer("axis", -1))
}

// gemm multiplies rows with a matrix of the given shape and adds a bias.
func (b *builder) gemm(name, x string, dev float64, in, out int) string {
	args := []string{x, b.weight(name+".weight", 0, dev, in, out), b.weight(name+".bias", 0, deviation, out)}
	return b.named("Gemm", "addmm", args, number("beta", 1), integer("transB", 0), number("alpha", 1), integer("transA", 0))
}

// split makes three tensors of one along the last axis.
func (b *builder) split(x string) (q, k, v string) {
	out := "split"
	if n := b.names[out]; n > 0 {
		out = fmt.Sprintf("split_%d", n)
	}
	b.names["split"]++
	b.values++
	q, k, v = out+"_split_0", out+"_split_1", out+"_split_2"
	attrs := []*pb.AttributeProto{integer("axis", 2), integer("num_outputs", 3)}
	b.node("Split", fmt.Sprintf("node_Split_%d", b.values), []string{x}, []string{q, k, v}, attrs)
	return q, k, v
}

func (b *builder) perHead(x string) string { return b.heads(b.view(x, 1, b.Length, -1, b.head())) }

// gelu is x/2·(1 + tanh(sqrt(2/π)·(x + 0.044715·x³))).
func (b *builder) gelu(x string) string {
	scalar := func(v float64) string { return b.real(b.float, v) }
	half := b.binary("Mul", "mul", x, scalar(0.5))
	cube := b.binary("Mul", "mul", b.binary("Pow", "pow", x, scalar(3)), scalar(0.044715))
	inner := b.binary("Mul", "mul", b.binary("Add", "add", x, cube), scalar(0.7978845608028654))
	outer := b.binary("Add", "add", b.named("Tanh", "tanh", []string{inner}), scalar(1))
	return b.binary("Mul", "mul", half, outer)
}
