package zk

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// processor computes on one thread: the tests run many provers side by side.
var processor = cpu.New(cpu.Threads(1))

const vocabulary = 5

// subject is a small language model with everything a proof consists of: two waves, private or public tokens, two classes of rows.
type subject struct {
	c       *circuit.Circuit
	weights map[circuit.ID]integer.Tensor
	key     *engine.Key
	vkFile  []byte
	vk      *verifier.Key
}

func compile(t testing.TB, private bool) *circuit.Circuit {
	t.Helper()
	text := witnesstest.Text{
		Name: "small", Length: 4, Vocab: vocabulary, Reveal: circuit.Argmax, PrivateInput: private, WeightBits: 4, WitnessBits: 5,
	}
	b := text.Builder()
	tokens := text.Tokens(b)
	x := gadget.Rescale(b, "x", gadget.Embed(b, "e", tokens, b.Weight("embedding", 6, vocabulary, 2)), 1, -16, 16)
	f := b.Virtual("f", []int{4, 2}, b.Times(1, "ti,ij->tj t=4 i=2 j=2", x, b.Weight("mix", 4, 2, 2)), circuit.Scaled(b, 4, x))
	h := gadget.Rescale(b, "h", f, 3, -16, 15)
	text.Logits(b, b.Virtual("logits", []int{4, vocabulary}, b.Times(1, "ti,vi->tv t=4 i=2 v=5", h, b.Weight("head", 4, vocabulary, 2))))
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

func newSubject(t testing.TB, private bool) *subject {
	t.Helper()
	u := &subject{c: compile(t, private)}
	u.weights = kit.Weights(u.c, 5, 6)
	var err error
	u.key, u.vkFile, err = engine.Setup(context.Background(), circuit.Single(u.c), u.weights, engine.Options{Backend: processor})
	require.NoError(t, err)
	u.vk, err = verifier.ReadKey(context.Background(), circuit.Single(u.c), generation.Kind, u.vkFile)
	require.NoError(t, err)
	return u
}

// Setup runs once per kind of prompt.
var shared = [2]func(testing.TB) *subject{}

func init() {
	for i := range shared {
		var once sync.Once
		var u *subject
		shared[i] = func(t testing.TB) *subject {
			once.Do(func() { u = newSubject(t, i == 1) })
			require.NotNil(t, u)
			return u
		}
	}
}

// ask returns the true claim about what the model predicts behind a prompt.
func (u *subject) ask(t testing.TB, prompt ...int64) *engine.Input {
	t.Helper()
	in, err := kit.Answered(u.c, u.key, prompt, 0)
	require.NoError(t, err)
	return in
}

// try makes a proof.
func (u *subject) try(in *engine.Input, hooks engine.Hooks) ([]byte, error) {
	return u.key.Prove(context.Background(), in, engine.Dishonest(engine.Options{Backend: processor}, hooks))
}

func (u *subject) prove(t testing.TB, in *engine.Input, hooks engine.Hooks) []byte {
	t.Helper()
	proof, err := u.try(in, hooks)
	require.NoError(t, err)
	return proof
}

// points are the model's row commitments.
func (u *subject) points(t testing.TB) []group.Affine {
	t.Helper()
	return rowsOfKey(t, u.c, u.vkFile)
}

func rowsOfKey(t testing.TB, c *circuit.Circuit, file []byte) []group.Affine {
	t.Helper()
	r, err := format.NewReader(file, format.MagicVerifyingKey, c.Digest())
	require.NoError(t, err)
	out := make([]group.Affine, protocol.WeightLayout(c).Rows)
	require.NoError(t, r.Points(out))
	return out
}

// public is the verifier's side of a proof.
func (u *subject) public(t testing.TB, st protocol.Statement) *protocol.Proof {
	t.Helper()
	return protocol.Inference(circuit.Single(u.c), u.c, u.points(t), st)
}

// element is one element of a proof with the label of the message it came in.
type element struct {
	label   string
	isPoint bool
	point   group.Affine
	scalar  field.Element
}

// dissector reads a proof for a verifier's channel, as its Reader and its transcript at once: what was read and then absorbed under
// a label is a message of that label.
type dissector struct {
	*format.Reader
	transcript.Source
	t        testing.TB
	elements []element
	fresh    int // elements that were read and not yet absorbed
}

func (d *dissector) Points(out []group.Affine) error {
	err := d.Reader.Points(out)
	for _, p := range out {
		d.elements = append(d.elements, element{isPoint: true, point: p})
	}
	d.fresh += len(out)
	return err
}

func (d *dissector) Scalar() (field.Element, error) {
	v, err := d.Reader.Scalar()
	d.elements = append(d.elements, element{scalar: v})
	d.fresh++
	return v, err
}

func (d *dissector) absorbed(label string, n int) {
	require.Equal(d.t, d.fresh, n, "%s: what is absorbed is what was read", label)
	for i := len(d.elements) - n; i < len(d.elements); i++ {
		d.elements[i].label = label
	}
	d.fresh = 0
}

func (d *dissector) AbsorbPoints(label string, ps []group.Affine) {
	d.absorbed(label, len(ps))
	for i := range ps {
		require.Equal(d.t, d.elements[len(d.elements)-len(ps)+i].point, ps[i])
	}
	d.Source.AbsorbPoints(label, ps)
}

func (d *dissector) AbsorbScalars(label string, es []field.Element) {
	d.absorbed(label, len(es))
	for i := range es {
		require.Equal(d.t, d.elements[len(d.elements)-len(es)+i].scalar, es[i])
	}
	d.Source.AbsorbScalars(label, es)
}

// dissect verifies a proof and returns its elements. source, if not nil, replaces the transcript.
func (u *subject) dissect(t testing.TB, st protocol.Statement, proof []byte, source func(*transcript.Transcript) transcript.Source) []element {
	t.Helper()
	r, err := format.NewReader(proof, format.MagicProof, u.c.Digest())
	require.NoError(t, err)
	r.Raw(32)
	return dissect(t, u.public(t, st), r, source)
}

// dissectKey does so with the range proof of a verifying key.
func (u *subject) dissectKey(t testing.TB) ([]element, *protocol.Proof) {
	t.Helper()
	piece, err := protocol.SetupPiece(circuit.Single(u.c), 0)
	require.NoError(t, err)
	require.Equal(t, 1, piece.Of)
	p := piece.Proof(u.points(t))
	r, err := format.NewReader(u.vkFile, format.MagicVerifyingKey, u.c.Digest())
	require.NoError(t, err)
	r.Raw(32 * len(p.Weights.Points))
	return dissect(t, p, r, nil), p
}

func dissect(t testing.TB, p *protocol.Proof, r *format.Reader, source func(*transcript.Transcript) transcript.Source) []element {
	t.Helper()
	d := &dissector{Reader: r, Source: p.Transcript(), t: t}
	if source != nil {
		d.Source = source(p.Transcript())
	}
	require.NoError(t, p.Run(veil.NewVerifier(d, d)))
	require.NoError(t, r.Close())
	require.Zero(t, d.fresh, "every element is absorbed")
	return d.elements
}

// bytes are the element's 32 bytes in a proof.
func (e *element) bytes() [32]byte {
	if e.isPoint {
		return [32]byte(group.Encode(nil, &e.point))
	}
	return [32]byte(field.Encode(nil, &e.scalar))
}

func raw(elements []element) [][32]byte {
	out := make([][32]byte, len(elements))
	for i := range out {
		out[i] = elements[i].bytes()
	}
	return out
}

// chunks are the elements of a proof's file, as they stand in it.
func chunks(file []byte) [][32]byte {
	const header = 8 + 4 + 32 + 32 // magic, version, circuit, model
	out := make([][32]byte, (len(file)-header)/32)
	for i := range out {
		out[i] = [32]byte(file[header+32*i:])
	}
	return out
}

// deaf is a transcript that does not hear what is absorbed: all its proofs have the same challenges.
type deaf struct{ transcript.Source }

func (deaf) Absorb(string, []byte)                 {}
func (deaf) AbsorbScalars(string, []field.Element) {}
func (deaf) AbsorbPoints(string, []group.Affine)   {}

func newDeaf(*transcript.Transcript) transcript.Source {
	return deaf{transcript.New("the same challenges for all")}
}

// many calls f for 0, …, n−1 on all processors.
func many(n int, f func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// said is the statement of an input.
func said(in *engine.Input) *generation.Statement { return in.Statement.(*generation.Statement) }
