package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand"
	"os"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// dims are the sizes of a hand-built decoder.
type dims struct{ layers, length, vocab, width, heads, kv, head, hidden, rowBits int }

// decoder builds a pre-norm decoder with grouped-query attention and a gated MLP, all through the gadgets.
func decoder(t testing.TB, d dims, reveal circuit.Reveal) *circuit.Circuit {
	text := witnesstest.Text{
		Name: "decoder", Length: d.length, Vocab: d.vocab, Reveal: reveal, WeightBits: d.rowBits, WitnessBits: d.rowBits,
	}
	b := text.Builder()
	T, D := d.length, d.width
	mask := make([]int64, T*T)
	for i := 0; i < T; i++ {
		for j := i + 1; j < T; j++ {
			mask[i*T+j] = 1
		}
	}
	m := attention.Mask(b, "causal", mask, T, T)
	emb := b.Weight("embedding", 16, d.vocab, D)
	x := gadget.Embed(b, "x", text.Tokens(b), emb)
	const lo, hi = -1 << 15, 1<<15 - 1
	norm := func(name string, x circuit.ID) circuit.ID {
		g := b.Weight(name+".gamma", 16, D)
		s := b.Virtual(name+".square", []int{T}, b.Times(1, fmt.Sprintf("td,td->t t=%d d=%d", T, D), x, x))
		num := int64(D) << 48
		r := gadget.Rsqrt(b, name+".r", s, num, int64(D)<<6)
		bound, why := gadget.NormBound(num, 0)
		bound <<= 15
		acc := b.VirtualBound(name+".acc", []int{T, D}, -bound, bound, why, b.Times(1, fmt.Sprintf("td,t,d->td t=%d d=%d", T, D), x, r, g))
		return gadget.Rescale(b, name, acc, 24+13-11, lo, hi)
	}
	linear := func(name string, x circuit.ID, n, out, shift int) circuit.ID {
		w := b.Weight(name+".w", 16, out, n)
		acc := b.Virtual(name+".acc", []int{T, out}, b.Times(1, fmt.Sprintf("tk,jk->tj t=%d k=%d j=%d", T, n, out), x, w))
		return gadget.Rescale(b, name, acc, shift, lo, hi)
	}
	for l := 0; l < d.layers; l++ {
		b.Scope(fmt.Sprintf("layer %d: ", l))
		h := norm("norm1", x)
		q := linear("q", h, D, d.heads*d.head, 14)
		k := linear("k", h, D, d.kv*d.head, 14)
		v := linear("v", h, D, d.kv*d.head, 14)
		ext := fmt.Sprintf("g=%d r=%d i=%d j=%d d=%d", d.kv, d.heads/d.kv, T, T, d.head)
		scores := b.Virtual("scores", []int{d.heads, T, T}, b.Times(1, "i(grd),j(gd)->(gr)ij "+ext, q, k))
		p := attention.Params{Shift: 10, DBits: 14, EBits: 15, InvBits: 30, Unit: 1.0 / 2048}
		e, inv := attention.ZkAttn(b, "attn", scores, m, p)
		clo, chi, err := p.ContextBound(lo, hi)
		require.NoError(t, err)
		ctx := b.VirtualBound("context.acc", []int{T, d.heads * d.head}, clo, chi, attention.ContextWhy,
			b.Times(1, "(gr)i,(gr)ij,j(gd)->i(grd) "+ext, inv, e, v))
		o := linear("o", gadget.Rescale(b, "context", ctx, 30, lo, hi), d.heads*d.head, D, 14)
		x = b.Virtual("x1", []int{T, D}, circuit.Scaled(b, 1, x), circuit.Scaled(b, 1, o))
		h = norm("norm2", x)
		gate := b.Virtual("gate.acc", []int{T, d.hidden}, b.Times(1, fmt.Sprintf("tk,jk->tj t=%d k=%d j=%d", T, D, d.hidden), h, b.Weight("gate.w", 16, d.hidden, D)))
		_, act := gadget.RescaleTable(b, "silu", gate, 14, lo, hi, "silu", 11, 11)
		up := linear("up", h, D, d.hidden, 14)
		prod := b.Virtual("prod", []int{T, d.hidden}, circuit.Product(b, 1, act, up))
		down := linear("down", gadget.Rescale(b, "mid", prod, 11, lo, hi), d.hidden, D, 14)
		x = b.Virtual("x2", []int{T, D}, circuit.Scaled(b, 1, x), circuit.Scaled(b, 1, down))
	}
	b.Scope("")
	h := norm("final", x)
	logits := b.Virtual("logits", []int{T, d.vocab}, b.Times(1, fmt.Sprintf("td,vd->tv t=%d d=%d v=%d", T, D, d.vocab), h, emb))
	text.Logits(b, logits)
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

func randomWeights(c *circuit.Circuit) map[circuit.ID]integer.Tensor {
	rng := rand.New(rand.NewSource(7))
	w := map[circuit.ID]integer.Tensor{}
	for _, id := range protocol.WeightIDs(c) {
		s := c.Tensor(id).Shape
		v := make([]int64, circuit.Size(s))
		for i := range v {
			v[i] = int64(rng.NormFloat64() * 16384 / math.Sqrt(float64(s[len(s)-1])))
			if len(s) == 1 {
				v[i] = 8192
			}
			v[i] = max(min(v[i], c.Tensor(id).Hi), c.Tensor(id).Lo)
		}
		w[id] = integer.Tensor{Shape: s, V: v}
	}
	return w
}

func TestDecoder(t *testing.T) {
	for _, reveal := range []circuit.Reveal{circuit.Values, circuit.Argmax} {
		runDecoder(t, dims{1, 5, 11, 16, 2, 1, 8, 24, 7}, reveal)
	}
}

// TestBackendsGiveEqualBytes proves with both backends under one seed, and with little memory.
func TestBackendsGiveEqualBytes(t *testing.T) {
	c := decoder(t, dims{2, 5, 11, 16, 2, 1, 8, 24, 8}, circuit.Argmax)
	w := randomWeights(c)
	st := &generation.Statement{Tokens: []int64{1, 3, 2, 4}, Prompt: 4, Next: 0}
	var keys, proofs [][]byte
	for _, b := range []struct {
		backend.Backend
		ctx context.Context
	}{{reference.New(), t.Context()}, {cpu.New(), t.Context()}, {cpu.New(cpu.Threads(3)), backend.WithBudget(t.Context(), 1)}} {
		o := engine.Dishonest(engine.Options{Backend: b.Backend}, engine.Hooks{Seed: []byte("the same for all")})
		k, vk, err := engine.Setup(b.ctx, circuit.Single(c), w, o)
		require.NoError(t, err)
		require.NoError(t, kit.Claim(c, k, st))
		proof, err := k.Prove(b.ctx, &engine.Input{Statement: st}, o)
		require.NoError(t, err)
		keys, proofs = append(keys, vk), append(proofs, proof)
	}
	for i := range proofs {
		require.Equal(t, keys[0], keys[i])
		require.Equal(t, proofs[0], proofs[i])
	}
}

// TestBig is run by hand: ZKLLMC_BIG=1 go test -run TestBig -v ./internal/engine
func TestBig(t *testing.T) {
	if os.Getenv("ZKLLMC_BIG") == "" {
		t.Skip("set ZKLLMC_BIG to run")
	}
	runDecoder(t, dims{5, 32, 512, 64, 8, 4, 8, 172, 11}, circuit.Argmax)
}

func runDecoder(t *testing.T, d dims, reveal circuit.Reveal) {
	c := decoder(t, d, reveal)
	w := randomWeights(c)
	clock, running := time.Now(), "build"
	lap := func(next string) { // prints the phase that ends
		if running != "" {
			t.Logf("%8.1f ms  %s", float64(time.Since(clock).Microseconds())/1000, running)
		}
		clock, running = time.Now(), next
	}
	o := engine.Options{Backend: cpu.New(), Phase: lap}
	k, vkBytes, err := engine.Setup(context.Background(), circuit.Single(c), w, o)
	require.NoError(t, err)
	lap("accept")
	vk, err := verifier.ReadKey(context.Background(), circuit.Single(c), generation.Kind, vkBytes)
	require.NoError(t, err)
	lap("answer")
	st := &generation.Statement{Tokens: []int64{1, 3, 2, 4}, Prompt: 4, Next: generation.Unclaimed}
	if reveal == circuit.Argmax {
		st = &generation.Statement{Tokens: []int64{1, 3, 2, 4}, Prompt: 4, Next: 0}
	}
	require.NoError(t, kit.Claim(c, k, st))
	lap("")
	if f := os.Getenv("ZKLLMC_PROFILE"); f != "" {
		out, err := os.Create(f)
		require.NoError(t, err)
		require.NoError(t, pprof.StartCPUProfile(out))
		defer pprof.StopCPUProfile()
	}
	proof, err := k.Prove(context.Background(), &engine.Input{Statement: st}, o)
	require.NoError(t, err)
	lap("verify")
	enc, err := st.Encode(c)
	require.NoError(t, err)
	require.NoError(t, vk.Verify(enc, proof))
	lap("")
	layout := protocol.WeightLayout(c).Rows
	t.Logf("proof %d bytes, vk %d bytes, weight rows %d, waves %d, lookups %d", len(proof), len(vkBytes), layout, c.Waves(), len(c.Lookups))

	encoded := k.Encode()
	require.Len(t, encoded, engine.KeySize(circuit.Single(c)))
	for more, want := range map[int]error{1: format.ErrTrailing, 10 << 20: format.ErrTrailing, -1: format.ErrTruncated, 0: format.ErrEncoding} {
		damaged := append(bytes.Repeat([]byte{0x7f}, len(encoded)), make([]byte, max(more, 0))...)[:len(encoded)+more]
		copy(damaged, encoded[:format.HeaderSize])
		_, err := engine.ReadKey(circuit.Single(c), summed(damaged)) // its points are none: only in a file of the right size does that matter
		require.ErrorIs(t, err, want, more)
	}
	back, err := engine.ReadKey(circuit.Single(c), encoded)
	require.NoError(t, err)
	require.Equal(t, k.ModelID(), back.ModelID())
	forged := *st
	if reveal == circuit.Argmax {
		forged.Next = (st.Next + 1) % int64(c.Generation.Vocab)
	} else {
		forged.Logits = append([]int64(nil), st.Logits...)
		forged.Logits[0]++
	}
	enc, err = forged.Encode(c)
	require.NoError(t, err)
	require.Error(t, vk.Verify(enc, proof))
}

// BenchmarkVerify verifies a proof of the size of a small real model (5 layers, 32 positions, 512 tokens).
func BenchmarkVerify(b *testing.B) {
	c := decoder(b, dims{5, 32, 512, 64, 8, 4, 8, 172, 12}, circuit.Argmax)
	k, vkBytes, err := engine.Setup(context.Background(), circuit.Single(c), randomWeights(c), engine.Options{Backend: cpu.New()})
	require.NoError(b, err)
	vk, err := verifier.ReadKey(context.Background(), circuit.Single(c), generation.Kind, vkBytes)
	require.NoError(b, err)
	st := &generation.Statement{Tokens: []int64{1, 3, 2, 4}, Prompt: 4, Next: 0}
	require.NoError(b, kit.Claim(c, k, st))
	proof, err := k.Prove(context.Background(), &engine.Input{Statement: st}, engine.Options{Backend: cpu.New()})
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, vk.VerifyStatement(c, st, proof))
	}
	b.ReportMetric(float64(len(proof)), "proof-bytes")
}
