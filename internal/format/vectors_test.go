package format_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// The vectors in testdata are keys and proofs of this version of the format, with the circuits they are about and everything that
// their transcripts absorbed and drew. spec/verify.py reads the same files.
//
// Two promises hang on them. TestVectorsVerify: what was made by an earlier commit of this version is still accepted. A change that
// breaks it, or that changes trace.txt, is another version (SPEC.md 17.1). TestVectorsBytes: the prover still makes the
// same bytes of the same seed. A change that breaks it alone is one of the prover's randomness, or of a circuit below.
//
// After a change that is meant: go test ./internal/format -run Vectors -update
var update = flag.Bool("update", false, "write the known-answer vectors in testdata anew")

// vector is one case: a circuit, its weights, and an input whose answer is the model's.
type vector struct {
	name   string
	build  func(b *circuit.Builder, text witnesstest.Text)
	cfg    witnesstest.Text
	prompt []int64 // nil: a function
	answer int     // tokens of the answer; with an arg-max a next token follows
	inputs map[int][]int64
	exact  bool // the statement says that no value was clamped
	longer int  // positions of a second circuit of the family, which the statement is about; 0: there is none

	work [3]int64 // references, cells of known tensors, opened rows; each the larger of circuit and setup circuit. SPEC.md has them
}

var vectors = []vector{
	{
		// A small decoder with private input. Rows of weights and of witnesses differ in width; the embedding and others have tail rows.
		name: "argmax", build: decoder, work: [3]int64{190, 408, 138}, prompt: []int64{2, 4}, answer: 1,
		cfg: witnesstest.Text{Name: "vectors: argmax", Length: 4, Vocab: 5, Pad: 1, Reveal: circuit.Argmax,
			PrivateInput: true, WeightBits: 4, WitnessBits: 6},
	},
	{
		// Terms of every form, revealed logits of a shorter input, and one class of rows.
		name: "logits", build: terms, work: [3]int64{66, 618, 65}, prompt: []int64{3, 0}, answer: 1,
		cfg: witnesstest.Text{Name: "vectors: logits", Length: 5, Vocab: 6, Pad: 2, Reveal: circuit.Values,
			WeightBits: 5, WitnessBits: 5},
	},
	{
		// Sums that go into two later ones, and into one twice at different points: written out they have more than 2^40 terms.
		name: "skips", build: skips, work: [3]int64{254, 288, 36}, inputs: map[int][]int64{0: {3, 1, 0, 2}},
		cfg: witnesstest.Text{Name: "vectors: skips", WeightBits: 4, WitnessBits: 4},
	},
	{
		// A function: public reals, private integers, a private mask, public and private ids; values, an arg-max over wide gaps, a private
		// output.
		name: "ports", build: ports, work: [3]int64{45, 172, 219}, inputs: map[int][]int64{0: {3, -20, 30, 0, 7, -9}, 1: {-2, 3, 1, 0, 0, 2}, 2: {1, 0}, 3: {4, 2}, 4: {0, 3}},
		cfg: witnesstest.Text{Name: "vectors: ports", WeightBits: 4, WitnessBits: 5},
	},
	{
		// Clamps with and without a function, of which none clamps, and a statement that says so. There are no weights: what proofs hide is
		// an input.
		name: "exact", build: exact, work: [3]int64{27, 3, 20}, inputs: map[int][]int64{0: {1, 0, -1}}, exact: true,
		cfg: witnesstest.Text{Name: "vectors: exact", WeightBits: 4, WitnessBits: 4},
	},
	{
		// A range proof in two pieces: rows of one tensor in both, with tails, and a shared row behind them.
		name: "pieces", build: rows, work: [3]int64{10, 3, 1026},
		cfg: witnesstest.Text{Name: "vectors: pieces", WeightBits: 4, WitnessBits: 5},
	},
	{
		// A family of two lengths, of which the longer one declares other tensors before the weights. The statement is about that.
		name: "family", build: bigrams, work: [3]int64{16, 200, 3}, prompt: []int64{1, 0}, answer: 1, longer: 4,
		cfg: witnesstest.Text{Name: "vectors: family", Length: 2, Vocab: 2, Pad: 1, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4},
	},
	{
		// The least of everything: to begin with.
		name: "tiny", build: tiny, work: [3]int64{7, 3, 3},
		cfg: witnesstest.Text{Name: "vectors: tiny", WeightBits: 4, WitnessBits: 4},
	},
}

// decoder is one layer with a norm, masked grouped-query attention, a gated unit and residual sums, on cells of 4 bits.
func decoder(b *circuit.Builder, cfg witnesstest.Text) {
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
		bound, why := gadget.NormBound(num, 0)
		bound <<= 2
		return rescale(name, b.VirtualBound(name+".acc", []int{length, width}, -bound, bound, why,
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
	x := gadget.Embed(b, "x", cfg.Tokens(b), embedding)

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
	x = b.Virtual("x1", []int{length, width}, circuit.Scaled(b, 1, x), circuit.Scaled(b, 1, linear("o", rescale("context", context, 8), heads*head, width)))

	gate := b.Virtual("gate.acc", []int{length, 5}, b.Times(1, fmt.Sprintf("tk,jk->tj t=%d k=%d j=5", length, width), x, b.Weight("gate.weight", 4, 5, width)))
	_, act := gadget.RescaleTable(b, "silu", gate, 3, lo, hi, "silu", 2, 2)
	mid := b.Virtual("mid.acc", []int{length, 5}, circuit.Product(b, 1, act, linear("up", x, width, 5)))
	x = b.Virtual("x2", []int{length, width}, circuit.Scaled(b, 1, x), circuit.Scaled(b, 1, linear("down", rescale("mid", mid, 2), 5, width)))
	cfg.Logits(b, b.Virtual("logits", []int{length, vocab}, b.Times(1, fmt.Sprintf("td,vd->tv t=%d d=%d v=%d", length, width, vocab), x, embedding)))
}

// terms computes no useful model. Its virtual tensors have terms of every form: merged and split axes, axes without labels, labels
// that are summed in one factor, that broadcast, that are shared and stay, a cube, terms of known factors alone, terms without a
// factor, a coefficient of zero, requests of one tensor at several points, affine tensors.
func terms(b *circuit.Builder, cfg witnesstest.Text) {
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
	labels := fmt.Sprintf("t=%d v=%d d=6", cfg.Length, cfg.Vocab)
	embedded := gadget.Embed(b, "embedded", cfg.Tokens(b), b.Weight("embedding", 4, cfg.Vocab, 6))
	cfg.Logits(b, b.Virtual("logits", []int{cfg.Length, cfg.Vocab}, b.Times(9, "td,vd->tv "+labels, embedded, b.Weight("head", 4, cfg.Vocab, 6))))
}

// skips takes 40 times the last value less the one before, which after three times is what it was with the other sign, and adds 16 times
// a value to its transpose, where they cancel.
func skips(b *circuit.Builder, _ witnesstest.Text) {
	shape := []int{4, 4}
	w := b.Weight("w", 2, 4, 4)
	tokens := gadget.Input(b, "tokens", circuit.Port{Name: "tokens", Kind: circuit.IDs, Shape: []int{4}, Hi: 3, Reveal: circuit.Values})
	embedded := gadget.Embed(b, "embedded", tokens, b.Weight("embedding", 4, 4, 4))
	x := gadget.Rescale(b, "x", embedded, 1, -4, 3)
	s := []circuit.ID{w, x}
	for i := range 40 {
		s = append(s, b.Virtual(fmt.Sprintf("skip%d", i), shape, circuit.Scaled(b, 1, s[i+1]), circuit.Scaled(b, -1, s[i])))
	}
	b.Zero(b.VirtualBound("alike", shape, 0, 0, "zero-checked", circuit.Scaled(b, 1, s[41]), circuit.Scaled(b, 1, s[38])))
	turned := func(name string, s circuit.ID, sign int64) circuit.ID {
		return b.Virtual(name, shape, circuit.Scaled(b, 1, s), b.Times(sign, "ij->ji i=4 j=4", s))
	}
	sum := turned("turned", s[41], -1)
	for i := range 16 {
		sum = turned(fmt.Sprintf("turned%d", i), sum, 1)
	}
	b.Zero(sum)
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Argmax}, b.Virtual("logits", shape, b.Times(1, "td,vd->tv t=4 d=4 v=4", x, b.Weight("head", 3, 4, 4))))
}

// tiny looks weights up in a table and reveals them and one more each.
func tiny(b *circuit.Builder, _ witnesstest.Text) {
	w := b.Weight("w", 2, 3)
	more := b.Virtual("more", []int{3}, circuit.Scaled(b, 1, w), circuit.Ones(1, []int{3}))
	b.Lookup(b.TableOf("bits", func() [][]int64 { return [][]int64{count(-2, 3)} }), more)
	gadget.Output(b, circuit.Port{Name: "more", Kind: circuit.Integers, Reveal: circuit.Values}, more)
}

// exact has a clamp behind a shift, with a function's value, and one without, of squares of private integers.
func exact(b *circuit.Builder, _ witnesstest.Text) {
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{3}, Lo: -8, Hi: 8, Reveal: circuit.Nothing})
	_, y := gadget.RescaleTable(b, "y", b.Virtual("v", []int{3}, circuit.Product(b, 1, x, x)), 1, -4, 3, "relu", 0, 0)
	gadget.Output(b, circuit.Port{Name: "z", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "z", y, 0, 0, 2))
}

// rows has 1021 rows of weights, and reveals the last three cells.
func rows(b *circuit.Builder, _ witnesstest.Text) {
	b.Weight("a", 4, 900, 16)
	b.Weight("b", 3, 60, 20)
	w := b.Weight("w", 4, 3)
	b.Lookup(gadget.Range(b, -8, 7), w)
	gadget.Output(b, circuit.Port{Name: "w", Kind: circuit.Integers, Reveal: circuit.Values}, w)
}

// ports has ports of every kind.
func ports(b *circuit.Builder, _ witnesstest.Text) {
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{2, 3}, Lo: -20, Hi: 30, Scale: 4, Reveal: circuit.Values})
	y := gadget.Input(b, "y", circuit.Port{Name: "y", Kind: circuit.Integers, Shape: []int{2, 3}, Lo: -2, Hi: 3, Reveal: circuit.Nothing})
	m := gadget.Input(b, "mask", circuit.Port{Name: "mask", Kind: circuit.Booleans, Shape: []int{2}, Hi: 1, Reveal: circuit.Nothing})
	hidden := gadget.Input(b, "hidden", circuit.Port{Name: "hidden ids", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Nothing})
	ids := gadget.Input(b, "ids", circuit.Port{Name: "ids", Kind: circuit.IDs, Shape: []int{2}, Hi: 4, Reveal: circuit.Values})
	e := gadget.Embed(b, "e", hidden, b.Weight("table", 4, 5, 3))
	f := gadget.Embed(b, "f", ids, b.Weight("table 2", 4, 5, 3))
	v := b.Virtual("v", []int{2, 3}, b.Times(1, "t,td,td->td t=2 d=3", m, x, y), circuit.Scaled(b, 1, e), circuit.Scaled(b, 1, f))
	out := gadget.Rescale(b, "out", v, 2, -16, 15)
	logits := b.Virtual("logits", []int{2, 4}, b.Times(512, "td,dv->tv t=2 d=3 v=4", out, b.Weight("head", 8, 3, 4)))
	gadget.Output(b, circuit.Port{Name: "out", Kind: circuit.Reals, Scale: 3, Reveal: circuit.Values}, out)
	gadget.Output(b, circuit.Port{Name: "class", Kind: circuit.Integers, Reveal: circuit.Argmax}, logits)
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: circuit.Nothing}, logits)
}

// bigrams looks the next token up in a matrix, and adds a constant, which longer circuits declare before the weights.
func bigrams(b *circuit.Builder, cfg witnesstest.Text) {
	bias := func() circuit.ID { return b.Const("bias", []int64{1, 0}, 2) }
	var before circuit.ID
	if cfg.Length > 2 {
		before = bias()
	}
	tokens := cfg.Tokens(b)
	embedded := gadget.Embed(b, "embedded", tokens, b.Weight("next", 2, 2, 2))
	if cfg.Length <= 2 {
		before = bias()
	}
	cfg.Logits(b, b.Virtual("logits", []int{cfg.Length, 2}, circuit.Scaled(b, 1, embedded), b.Times(1, fmt.Sprintf("v->tv t=%d v=2", cfg.Length), before)))
}

// count returns lo, lo+1, …, hi.
func count(lo, hi int64) []int64 {
	var v []int64
	for x := lo; x <= hi; x++ {
		v = append(v, x)
	}
	return v
}

// family returns the circuits, and the one that the statement is about.
func (v vector) family(t testing.TB) (*circuit.Family, *circuit.Circuit) {
	var members []*circuit.Circuit
	for _, length := range []int{v.cfg.Length, v.longer} {
		cfg := v.cfg
		if cfg.Length = length; length == 0 && members != nil {
			continue
		}
		b := cfg.Builder()
		v.build(b, cfg)
		c, err := b.Finish()
		require.NoError(t, err)
		members = append(members, c)
	}
	f, err := circuit.NewFamily(members...)
	require.NoError(t, err)
	return f, f.Longest()
}

// canonical are the files of the circuits, by what they encode.
func canonical(f *circuit.Family) map[string]*circuit.Circuit {
	out := map[string]*circuit.Circuit{"circuit.bin": f.Shortest()}
	if f.Longest() != f.Shortest() {
		out["longer.bin"] = f.Longest()
	}
	return out
}

// input is what the model answers to the prompt, or gives for the inputs.
func (v vector) input(t testing.TB, c *circuit.Circuit, k *engine.Key) *engine.Input {
	if v.prompt == nil {
		in, err := kit.Computed(c, k, v.inputs)
		require.NoError(t, err)
		in.Statement.(*function.Statement).NoSaturation = v.exact
		return in
	}
	in, err := kit.Answered(c, k, v.prompt, v.answer)
	require.NoError(t, err)
	return in
}

// make returns the files of a case but the trace.
func (v vector) make(t testing.TB, be backend.Backend) map[string][]byte {
	f, c := v.family(t)
	o := engine.Dishonest(engine.Options{Backend: be}, engine.Hooks{Seed: []byte("known answers")})
	k, vk, err := engine.Setup(context.Background(), f, kit.Weights(f.Shortest(), 1, 2), o)
	require.NoError(t, err)
	in := v.input(t, c, k)
	proof, err := k.Prove(context.Background(), in, o)
	require.NoError(t, err)
	st, err := statement.Encode(c, in.Statement)
	require.NoError(t, err)
	filed, err := circuits.Encode(f)
	require.NoError(t, err)
	files := map[string][]byte{"model.circuit": filed, "model.vk": vk, "statement.bin": st, "proof.bin": proof}
	for name, c := range canonical(f) {
		var encoding bytes.Buffer
		c.Encode(&encoding)
		files[name] = encoding.Bytes()
	}
	return files
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
	f, c := v.family(t)
	pieces := protocol.Pieces(f)
	rows := protocol.WeightLayout(c).Rows
	key, err := format.NewReader(files["model.vk"], format.MagicVerifyingKey, f.Digest())
	require.NoError(t, err)
	model := make([]group.Affine, rows)
	require.NoError(t, key.Points(model))
	proof, err := format.NewReader(files["proof.bin"], format.MagicProof, c.Digest())
	require.NoError(t, err)
	require.NotNil(t, proof.Raw(32))
	st, _, err := kit.Kind(c).Decode(f, files["statement.bin"])
	require.NoError(t, err)
	var trace strings.Builder
	for i := range pieces {
		piece, err := protocol.SetupPiece(f, i)
		require.NoError(t, err)
		trace.WriteString(walk(t, piece.Proof(model), key))
	}
	require.NoError(t, key.Close())
	trace.WriteString(walk(t, protocol.Inference(f, c, model, st), proof))
	require.NoError(t, proof.Close())
	return trace.String()
}

func walk(t testing.TB, p *protocol.Proof, in *format.Reader) string {
	r := &recorder{Transcript: transcript.New("zkllmc/v1")}
	digest := p.Circuit.Digest()
	r.Absorb("curve", []byte("grumpkin"))
	r.Absorb("kind", []byte(p.Kind))
	r.Absorb("family", p.Family[:])
	r.Absorb("circuit", digest[:])
	r.Absorb("model rows", binary.BigEndian.AppendUint64(nil, uint64(len(p.Model))))
	r.AbsorbPoints("model", p.Model)
	for i := range p.Circuit.Ports {
		r.Absorb("port", p.Circuit.Ports[i].Bytes())
	}
	r.Absorb("statement", p.Statement.Bytes())
	require.NoError(t, p.Run(veil.NewVerifier(r, in)), "the transcript does not begin as SPEC.md says, or the proof is not valid")
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
		f, c := v.family(t)
		var work [3]int64
		count := func(b circuit.Requests) {
			work = [3]int64{max(work[0], b.References), max(work[1], b.KnownCells), max(work[2], b.OpenedRows)}
		}
		for name, c := range canonical(f) {
			require.Equal(t, c.Digest(), sha256.Sum256(v.read(t, name)), "%s: the circuit is another one", v.name)
			count(c.Requests())
		}
		filed, err := circuits.Decode(t.Context(), v.read(t, "model.circuit"))
		require.NoError(t, err)
		require.Equal(t, f.Digest(), filed.Digest(), "%s: the circuit file is of another model", v.name)
		pieces := protocol.Pieces(f)
		for i := range pieces {
			piece, err := protocol.SetupPiece(f, i)
			require.NoError(t, err)
			count(piece.Circuit.Requests())
		}
		require.Equal(t, v.work, work, v.name)
		files := map[string][]byte{}
		for _, name := range []string{"model.vk", "statement.bin", "proof.bin"} {
			files[name] = v.read(t, name)
		}
		key, err := verifier.ReadKey(context.Background(), f, kit.Kind(c), files["model.vk"])
		require.NoError(t, err, v.name)
		require.NoError(t, key.Verify(files["statement.bin"], files["proof.bin"]), v.name)
		require.Equal(t, string(v.read(t, "trace.txt")), v.trace(t, files), v.name)
	}
}

// TestVectorsBytes makes keys and proofs anew and compares every byte.
func TestVectorsBytes(t *testing.T) {
	for _, v := range vectors {
		for _, be := range []backend.Backend{cpu.New(), reference.New()} {
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
		f, _ := v.family(t)
		for name := range canonical(f) {
			total += len(v.read(t, name))
		}
		for _, name := range []string{"model.vk", "statement.bin", "proof.bin", "trace.txt"} {
			total += len(v.read(t, name))
		}
	}
	require.Less(t, total, 550_000)
}
