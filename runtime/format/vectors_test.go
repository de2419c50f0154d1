package format_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/attention"
	"github.com/zkllmc/zkllmc/runtime/backend/cpu"
	"github.com/zkllmc/zkllmc/runtime/backend/reference"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/transcript"
	"github.com/zkllmc/zkllmc/runtime/veil"
	"github.com/zkllmc/zkllmc/runtime/verifier"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

// The vectors in testdata are keys and proofs of this version of the format, with the circuits they are about and everything that
// their transcripts absorbed and drew. spec/verify.py reads the same files.
//
// Two promises hang on them. TestVectorsVerify: what was made by an earlier commit of this version is still accepted. A change that
// breaks it, or that changes trace.txt, is another version (SPEC.md, section 16). TestVectorsBytes: the prover still makes the
// same bytes of the same seed. A change that breaks it alone is one of the prover's randomness, or of a circuit below.
//
// After a change that is meant: go test ./runtime/format -run Vectors -update
var update = flag.Bool("update", false, "write the known-answer vectors in testdata anew")

// vector is one case: a circuit, its weights, and an input whose answer is the model's.
type vector struct {
	name   string
	build  func(b *circuit.Builder)
	cfg    circuit.Config
	prompt []int64
	answer int // tokens of the answer; with an arg-max a next token follows

	work [3]int64 // references, cells of known tensors, opened rows; each the larger of circuit and setup circuit. SPEC.md has them
}

var vectors = []vector{
	{
		// A small decoder with private input. Rows of weights and of witnesses differ in width; the embedding and others have tail rows.
		name: "argmax", build: decoder, work: [3]int64{190, 16, 138}, prompt: []int64{2, 4}, answer: 1,
		cfg: circuit.Config{Name: "vectors: argmax", Length: 4, Vocab: 5, Pad: 1, Causal: true, Reveal: circuit.RevealArgmax,
			PrivateInput: true, WeightBits: 4, WitnessBits: 6},
	},
	{
		// Terms of every form, revealed logits of a shorter input, and one class of rows.
		name: "logits", build: terms, work: [3]int64{66, 453, 65}, prompt: []int64{3, 0}, answer: 1,
		cfg: circuit.Config{Name: "vectors: logits", Length: 5, Vocab: 6, Pad: 2, Causal: true, Reveal: circuit.RevealLogits,
			WeightBits: 5, WitnessBits: 5},
	},
	{
		// Sums that go into two later ones, and into one twice at different points: written out they have more than 2^40 terms.
		name: "skips", build: skips, work: [3]int64{255, 0, 34}, prompt: []int64{3, 1, 0, 2},
		cfg: circuit.Config{Name: "vectors: skips", Length: 4, Vocab: 4, Reveal: circuit.RevealArgmax, WeightBits: 4, WitnessBits: 4},
	},
	{
		// The least of everything: to begin with.
		name: "tiny", build: tiny, work: [3]int64{3, 0, 2}, prompt: []int64{0},
		cfg: circuit.Config{Name: "vectors: tiny", Length: 1, Vocab: 2, Reveal: circuit.RevealArgmax, WeightBits: 4, WitnessBits: 4},
	},
}

// decoder is one layer with a norm, masked grouped-query attention, a gated unit and residual sums, on cells of 4 bits.
func decoder(b *circuit.Builder) {
	cfg := b.Config()
	const width, heads, head, lo, hi = 3, 2, 2, -8, 7
	length, vocab := cfg.Length, cfg.Vocab
	rescale := func(name string, acc circuit.ID, shift int) circuit.ID {
		return gadget.Rescale(b, name, acc, shift, lo, hi)
	}
	linear := func(name string, x circuit.ID, in, out int) circuit.ID {
		w := b.Weight(name+".weight", 4, out, in)
		return rescale(name, b.Virtual(name+".acc", []int{length, out}, b.Times(1, fmt.Sprintf("tk,jk->tj t=%d k=%d j=%d", length, in, out), x, w)), 3)
	}
	norm := func(name string, x circuit.ID) circuit.ID {
		const num = width << 4
		sum := b.Virtual(name+".squares", []int{length}, b.Times(1, fmt.Sprintf("td,td->t t=%d d=%d", length, width), x, x))
		r := gadget.Rsqrt(b, name+".r", sum, num, width)
		bound := gadget.NormBound(num) << 2
		return rescale(name, b.VirtualBound(name+".acc", []int{length, width}, -bound, bound, gadget.NormWhy,
			b.Times(1, fmt.Sprintf("td,t,d->td t=%d d=%d", length, width), x, r, b.Weight(name+".weight", 3, width))), 2)
	}
	var future []int64
	for t := range length {
		for j := range length {
			future = append(future, int64(min(max(j-t, 0), 1)))
		}
	}
	mask := attention.Mask(b, "causal", future, length, length)
	embedding := b.Weight("embedding", 4, vocab, width)
	x := gadget.Embed(b, "x", gadget.PrivateTokens(b), embedding)

	h := norm("norm", x)
	q, k, v := linear("q", h, width, heads*head), linear("k", h, width, head), linear("v", h, width, head)
	labels := fmt.Sprintf("r=%d i=%d j=%d d=%d", heads, length, length, head)
	scores := b.Virtual("scores", []int{heads, length, length}, b.Times(1, "i(rd),jd->rij "+labels, q, k))
	p := attention.Params{Shift: 2, DBits: 4, EBits: 4, InvBits: 8, Unit: 0.25}
	e, inv := attention.ZkAttn(b, "attention", scores, mask, p)
	clo, chi, err := p.ContextBound(lo, hi)
	if err != nil {
		b.Fail("%v", err)
	}
	context := b.VirtualBound("context.acc", []int{length, heads * head}, clo, chi, attention.ContextWhy, b.Times(1, "ri,rij,jd->i(rd) "+labels, inv, e, v))
	x = b.Virtual("x1", []int{length, width}, gadget.Scaled(b, 1, x), gadget.Scaled(b, 1, linear("o", rescale("context", context, 8), heads*head, width)))

	gate := b.Virtual("gate.acc", []int{length, 5}, b.Times(1, fmt.Sprintf("tk,jk->tj t=%d k=%d j=5", length, width), x, b.Weight("gate.weight", 4, 5, width)))
	_, act := gadget.RescaleTable(b, "silu", gate, 3, lo, hi, "silu", 2, 2)
	mid := b.Virtual("mid.acc", []int{length, 5}, gadget.Product(b, 1, act, linear("up", x, width, 5)))
	x = b.Virtual("x2", []int{length, width}, gadget.Scaled(b, 1, x), gadget.Scaled(b, 1, linear("down", rescale("mid", mid, 2), 5, width)))
	gadget.RevealArgmax(b, b.Virtual("logits", []int{length, vocab}, b.Times(1, fmt.Sprintf("td,vd->tv t=%d d=%d v=%d", length, width, vocab), x, embedding)))
}

// terms computes no useful model. Its virtual tensors have terms of every form: merged and split axes, axes without labels, labels
// that are summed in one factor, that broadcast, that are shared and stay, a cube, terms of known factors alone, terms without a
// factor, a coefficient of zero, requests of one tensor at several points, affine tensors.
func terms(b *circuit.Builder) {
	wide := b.TableOf("integers", func() [][]int64 { return [][]int64{count(-300, 300)} })
	doubles := b.TableOf("doubles", func() [][]int64 {
		x := count(-40, 40)
		y := make([]int64, len(x))
		for i := range x {
			y[i] = 2 * x[i]
		}
		return [][]int64{x, y}
	})
	w, cube, one := b.Weight("w", 3, 5, 6), b.Weight("cube", 2, 3, 4, 3), b.Weight("one", 2, 1)
	c := b.Const("c", []int64{3, 1, 4, 1, 5}, 5)
	x := b.Virtual("x", []int{5, 6}, b.Times(1, "kj,k->kj k=5 j=6", w, c))
	b.Lookup(doubles, x, b.Virtual("2x", []int{5, 6}, b.Times(2, "kj->kj k=5 j=6", x)))
	outer := b.Virtual("outer", []int{5, 3, 1}, b.Times(1, "ka,jbc->kj. k=5 a=6 j=3 b=4 c=3", w, cube), b.Times(3, "k->kj. k=5 j=3", c), b.Times(7, "->kj. k=5 j=3"))
	b.Lookup(wide, gadget.Rescale(b, "coarse", outer, 2, -300, 300))
	b.Lookup(wide, b.Virtual("squares", []int{1, 5}, b.Times(1, "z,z->zk z=1 k=5", one, one), b.Times(-1, "k,z->zk z=1 k=5", c, one), b.Times(1, "(kz)j->zk z=1 k=5 j=6", w)))
	b.Lookup(wide, b.Virtual("merged", []int{12, 3}, b.Times(1, "abc->(ab)c a=3 b=4 c=3", cube), b.Times(1, "abc,abc,abc->(ab)c a=3 b=4 c=3", cube, cube, cube)))
	// Windows of 3 over the columns of w in steps of 2, one cell beyond its left end; and rows from the second on, one beyond the last.
	window := b.Affine("window", "i - 2j - k + 1", 6, 3, 3)
	b.Lookup(wide, b.Virtual("windows", []int{5, 3}, b.Times(1, "ki,ijm,m->kj k=5 i=6 j=3 m=3", w, window, b.Const("taps", []int64{1, -2, 3}, 3))))
	b.Lookup(wide, b.Virtual("later", []int{5, 6}, b.Times(1, "ki,kj->ij k=5 i=5 j=6", b.Affine("shift", "i - j - 1", 5, 5), w)))
	turned := b.Virtual("turned", []int{5, 1, 3}, b.Times(1, "kj.->k.j k=5 j=3", outer))
	sum := b.Virtual("sum", []int{5}, b.Times(1, "k.x,kj->k k=5 j=6 x=3", turned, x), b.Times(1, "kj,kj->k k=5 j=6", x, w))
	b.Zero(b.VirtualBound("same", []int{5}, 0, 0, "zero-checked", b.Times(1, "k->k k=5", sum),
		b.Times(-1, "k.x,kj->k k=5 j=6 x=3", turned, x), b.Times(-1, "kj,kj->k k=5 j=6", w, x)))
	b.Zero(b.VirtualBound("nothing", []int{2, 3}, 0, 0, "zero-checked", b.Times(0, "k->ab k=5 a=2 b=3", sum)))
	cfg := b.Config()
	labels := fmt.Sprintf("t=%d v=%d d=6", cfg.Length, cfg.Vocab)
	embedded := gadget.Embed(b, "embedded", b.Public("tokens", circuit.TokenOneHot, 0, 1), b.Weight("embedding", 4, cfg.Vocab, 6))
	gadget.RevealLogits(b, b.Virtual("logits", []int{cfg.Length, cfg.Vocab}, b.Times(9, "td,vd->tv "+labels, embedded, b.Weight("head", 4, cfg.Vocab, 6))))
}

// skips takes 40 times the last value less the one before, which after three times is what it was with the other sign, and adds 16 times
// a value to its transpose, where they cancel.
func skips(b *circuit.Builder) {
	shape := []int{4, 4}
	w := b.Weight("w", 2, 4, 4)
	embedded := gadget.Embed(b, "embedded", b.Public("tokens", circuit.TokenOneHot, 0, 1), b.Weight("embedding", 4, 4, 4))
	x := gadget.Rescale(b, "x", embedded, 1, -4, 3)
	s := []circuit.ID{w, x}
	for i := range 40 {
		s = append(s, b.Virtual(fmt.Sprintf("skip%d", i), shape, gadget.Scaled(b, 1, s[i+1]), gadget.Scaled(b, -1, s[i])))
	}
	b.Zero(b.VirtualBound("alike", shape, 0, 0, "zero-checked", gadget.Scaled(b, 1, s[41]), gadget.Scaled(b, 1, s[38])))
	turned := func(name string, s circuit.ID, sign int64) circuit.ID {
		return b.Virtual(name, shape, gadget.Scaled(b, 1, s), b.Times(sign, "ij->ji i=4 j=4", s))
	}
	sum := turned("turned", s[41], -1)
	for i := range 16 {
		sum = turned(fmt.Sprintf("turned%d", i), sum, 1)
	}
	b.Zero(sum)
	gadget.RevealArgmax(b, b.Virtual("logits", shape, b.Times(1, "td,vd->tv t=4 d=4 v=4", x, b.Weight("head", 3, 4, 4))))
}

// tiny looks weights up in a table and reveals a constant.
func tiny(b *circuit.Builder) {
	w := b.Weight("w", 2, 3)
	b.Lookup(b.TableOf("bits", func() [][]int64 { return [][]int64{count(-2, 3)} }), b.Virtual("more", []int{3}, gadget.Scaled(b, 1, w), gadget.Ones(1, []int{3})))
	b.Output(b.Const("logits", []int64{4, 2}, 1, 2))
}

// count returns lo, lo+1, …, hi.
func count(lo, hi int64) []int64 {
	var v []int64
	for x := lo; x <= hi; x++ {
		v = append(v, x)
	}
	return v
}

func (v vector) circuit(t testing.TB) *circuit.Circuit {
	b := circuit.NewBuilder(v.cfg)
	v.build(b)
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

// weights are pseudo-random within the declared ranges.
func (v vector) weights(c *circuit.Circuit) map[circuit.ID]kernel.Tensor {
	rnd := rand.New(rand.NewPCG(1, 2))
	w := map[circuit.ID]kernel.Tensor{}
	for _, id := range protocol.WeightIDs(c) {
		t := c.Tensor(id)
		cells := make([]int64, circuit.Size(t.Shape))
		for i := range cells {
			cells[i] = t.Lo + rnd.Int64N(t.Hi-t.Lo+1)
		}
		w[id] = kernel.Tensor{Shape: t.Shape, V: cells}
	}
	return w
}

// input runs the program greedily and returns what is to be proved.
func (v vector) input(t testing.TB, c *circuit.Circuit, k *prover.Key) *prover.Input {
	all := append([]int64(nil), v.prompt...)
	var private *witness.PrivateInput
	at := func() *statement.Statement {
		s := statement.Statement{Tokens: all, Prompt: len(v.prompt), Next: statement.Unclaimed}
		if c.PrivateInput {
			private = &witness.PrivateInput{Tokens: all}
		}
		return s.Hide(c)
	}
	for {
		st := at()
		a, err := k.Witness(context.Background(), &prover.Input{Statement: *st, Private: private}, witness.WithoutChecks())
		require.NoError(t, err)
		logits := a.Tensor(c.Output)
		next := statement.Argmax(logits.V[(len(all)-1)*c.Vocab : len(all)*c.Vocab])
		switch {
		case len(all) < len(v.prompt)+v.answer:
			all = append(all, next)
			continue
		case c.Reveal == circuit.RevealLogits:
			st.Reveal(c, logits)
		default:
			st.Next = next
		}
		return &prover.Input{Statement: *st, Private: private}
	}
}

// make returns the files of a case but the trace.
func (v vector) make(t testing.TB, be kernel.Backend) map[string][]byte {
	c := v.circuit(t)
	o := prover.Options{Backend: be, Testing: &prover.Testing{Seed: []byte("known answers")}}
	k, vk, err := prover.Setup(context.Background(), c, v.weights(c), o)
	require.NoError(t, err)
	in := v.input(t, c, k)
	proof, err := k.Prove(context.Background(), in, o)
	require.NoError(t, err)
	st, err := in.Statement.Encode(c)
	require.NoError(t, err)
	var canonical bytes.Buffer
	c.Encode(&canonical)
	return map[string][]byte{"circuit.bin": canonical.Bytes(), "model.vk": vk, "statement.bin": st, "proof.bin": proof}
}

func (v vector) path(file string) string { return filepath.Join("testdata", v.name, file) }

func (v vector) read(t testing.TB, file string) []byte {
	data, err := os.ReadFile(v.path(file))
	require.NoError(t, err, "run the test with -update to write the vectors")
	return data
}

// recorder is a transcript that writes down what it absorbs and draws, a line each, as spec/verify.py does.
type recorder struct {
	*transcript.Transcript
	lines strings.Builder
}

func (r *recorder) note(kind, label string, data []byte) {
	shown := fmt.Sprintf(" %x", data)
	switch {
	case len(data) == 0:
		shown = ""
	case len(data) > 64:
		shown = fmt.Sprintf(" %d bytes, SHA-256 %x", len(data), sha256.Sum256(data))
	}
	fmt.Fprintf(&r.lines, "%-6s %q%s\n", kind, label, shown)
}

func (r *recorder) Absorb(label string, data []byte) {
	r.Transcript.Absorb(label, data)
	r.note("absorb", label, data)
}

func (r *recorder) AbsorbScalars(label string, es []field.Element) {
	var raw []byte
	for i := range es {
		raw = field.Encode(raw, &es[i])
	}
	r.Absorb(label, raw)
}

func (r *recorder) AbsorbPoints(label string, ps []group.Affine) {
	var raw []byte
	for i := range ps {
		raw = group.Encode(raw, &ps[i])
	}
	r.Absorb(label, raw)
}

func (r *recorder) Challenge(label string) field.Element {
	v := r.Transcript.Challenge(label)
	r.note("full", label, field.Encode(nil, &v))
	return v
}

func (r *recorder) Short(label string) field.Element {
	v := r.Transcript.Short(label)
	r.note("short", label, field.Encode(nil, &v))
	return v
}

func (r *recorder) ChallengeBytes(label string, n int) []byte {
	raw := r.Transcript.ChallengeBytes(label, n)
	r.note("bytes", label, raw)
	return raw
}

// trace verifies the range proof and the proof of a case once more, with transcripts that are written down from their start.
func (v vector) trace(t testing.TB, files map[string][]byte) string {
	c := v.circuit(t)
	setup, err := protocol.SetupCircuit(c)
	require.NoError(t, err)
	rows := protocol.WeightLayout(c).Rows
	key, err := format.NewReader(files["model.vk"], format.MagicVerifyingKey, c.Digest())
	require.NoError(t, err)
	model := make([]group.Affine, rows)
	for i := range model {
		model[i], err = key.Point()
		require.NoError(t, err)
	}
	proof, err := format.NewReader(files["proof.bin"], format.MagicProof, c.Digest())
	require.NoError(t, err)
	require.NotNil(t, proof.Raw(32))
	st, err := statement.Decode(c, files["statement.bin"])
	require.NoError(t, err)
	return walk(t, &protocol.Proof{Kind: protocol.KindSetup, Circuit: setup, Statement: protocol.Nothing{}}, model, key) +
		walk(t, &protocol.Proof{Kind: protocol.KindInference, Circuit: c, Statement: st}, model, proof)
}

func walk(t testing.TB, p *protocol.Proof, model []group.Affine, in *format.Reader) string {
	p.Weights = commit.Set{Layout: protocol.WeightLayout(p.Circuit), Points: model}
	r := &recorder{Transcript: transcript.New("zkllmc/v1")}
	digest := p.Circuit.Digest()
	r.Absorb("curve", []byte("grumpkin"))
	r.Absorb("kind", []byte(p.Kind))
	r.Absorb("circuit", digest[:])
	r.Absorb("model rows", binary.BigEndian.AppendUint64(nil, uint64(len(model))))
	r.AbsorbPoints("model", model)
	r.Absorb("statement", p.Statement.Bytes())
	require.NoError(t, p.Run(veil.NewVerifier(r, in)), "the transcript does not begin as SPEC.md says, or the proof is not valid")
	require.NoError(t, in.Close())
	return "# " + p.Kind + "\n" + r.lines.String()
}

// TestVectorsVerify accepts keys and proofs that an earlier commit made, and walks their transcripts step by step.
func TestVectorsVerify(t *testing.T) {
	for _, v := range vectors {
		if *update {
			files := v.make(t, cpu.New())
			files["trace.txt"] = []byte(v.trace(t, files))
			require.NoError(t, os.MkdirAll(filepath.Dir(v.path("x")), 0o755))
			for name, data := range files {
				require.NoError(t, os.WriteFile(v.path(name), data, 0o644))
			}
		}
		c := v.circuit(t)
		digest := c.Digest()
		require.Equal(t, digest, sha256.Sum256(v.read(t, "circuit.bin")), "%s: the circuit is another one", v.name)
		setup, err := protocol.SetupCircuit(c)
		require.NoError(t, err)
		a, b := c.Requests(), setup.Requests()
		require.Equal(t, v.work, [3]int64{
			max(a.References, b.References), max(a.KnownCells, b.KnownCells), max(a.OpenedRows, b.OpenedRows),
		}, v.name)
		files := map[string][]byte{}
		for _, name := range []string{"model.vk", "statement.bin", "proof.bin"} {
			files[name] = v.read(t, name)
		}
		key, err := verifier.ReadKey(c, files["model.vk"])
		require.NoError(t, err, v.name)
		require.NoError(t, key.Verify(files["statement.bin"], files["proof.bin"]), v.name)
		require.Equal(t, string(v.read(t, "trace.txt")), v.trace(t, files), v.name)
	}
}

// TestVectorsBytes makes keys and proofs anew and compares every byte.
func TestVectorsBytes(t *testing.T) {
	for _, v := range vectors {
		for _, be := range []kernel.Backend{cpu.New(), reference.New()} {
			for name, data := range v.make(t, be) {
				require.True(t, bytes.Equal(v.read(t, name), data), "%s: %s has changed", v.name, name)
			}
		}
	}
}

// TestVectorsSize keeps the repository small.
func TestVectorsSize(t *testing.T) {
	total := 0
	for _, v := range vectors {
		for _, name := range []string{"circuit.bin", "model.vk", "statement.bin", "proof.bin", "trace.txt"} {
			total += len(v.read(t, name))
		}
	}
	require.Less(t, total, 400_000)
}
