package veil_test

import (
	"bytes"
	"context"
	"crypto/sha3"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

var processor = cpu.New()

const positions, vocabulary = 3, 5

// toy is a model with a residual branch: two waves, tables, and one or two classes of rows.
func toy(t testing.TB, reveal circuit.Reveal, private bool, weightBits int) *circuit.Circuit {
	t.Helper()
	text := witnesstest.Text{
		Name: "toy", Length: positions, Vocab: vocabulary, Reveal: reveal, PrivateInput: private, WeightBits: weightBits, WitnessBits: 5,
	}
	b := text.Builder()
	tokens := text.Tokens(b)
	x := gadget.Rescale(b, "x", gadget.Embed(b, "e", tokens, b.Weight("embedding", 6, vocabulary, 3)), 1, -16, 16)
	a := b.Virtual("a", []int{positions, 4}, b.Times(1, "ti,ji->tj t=3 i=3 j=4", x, b.Weight("up", 5, 4, 3)))
	_, act := gadget.RescaleTable(b, "act", a, 4, -32, 31, "silu", 2, 2)
	f := b.Virtual("f", []int{positions, 3}, b.Times(1, "tj,ij->ti t=3 i=3 j=4", act, b.Weight("down", 5, 3, 4)), circuit.Scaled(b, 8, x))
	h := gadget.Rescale(b, "h", f, 3, -16, 16)
	logits := b.Virtual("logits", []int{positions, vocabulary}, b.Times(1, "ti,vi->tv t=3 i=3 v=5", h, b.Weight("head", 5, vocabulary, 3)))
	text.Logits(b, logits)
	c, err := b.Finish()
	require.NoError(t, err)
	return c
}

// claims returns the true statement about two tokens and, for each other answer, the false ones. hidden are the tokens where the
// circuit hides them.
func claims(t testing.TB, c *circuit.Circuit, k *engine.Key) (honest *engine.Input, lies []*generation.Statement) {
	t.Helper()
	honest, err := kit.Answered(c, k, []int64{1, 3}, 0)
	require.NoError(t, err)
	st := honest.Statement.(*generation.Statement)
	for i := range int64(vocabulary) {
		lie := *st
		if c.Generation.Reveal == circuit.Values {
			lie.Logits = append([]int64(nil), st.Logits...)
			lie.Logits[i]++
		} else if lie.Next = i; i == st.Next {
			continue
		}
		lies = append(lies, &lie)
	}
	return honest, lies
}

// public is all that a simulator is given: circuit, model commitment, statement.
func public(c *circuit.Circuit, model []group.Affine, st protocol.Statement) *protocol.Proof {
	return protocol.Inference(circuit.Single(c), c, model, st)
}

// model reads the points of a verifying key.
func model(t testing.TB, c *circuit.Circuit, key []byte) []group.Affine {
	t.Helper()
	r, err := format.NewReader(key, format.MagicVerifyingKey, c.Digest())
	require.NoError(t, err)
	points := make([]group.Affine, protocol.WeightLayout(c).Rows)
	require.NoError(t, r.Points(points))
	return points
}

// simulate returns the file of a simulated proof and the programmed oracle.
func simulate(t testing.TB, p *protocol.Proof, choices veil.Choices) ([]byte, map[field.Element]field.Element) {
	t.Helper()
	w := format.NewWriter(format.MagicProof, p.Circuit.Digest())
	id := protocol.ModelID(circuit.Single(p.Circuit), p.Weights.Points)
	w.Raw(id[:])
	oracle, err := veil.Simulate(p.Transcript(), choices, w, kit.Begin(t.Context(), processor), p.Run)
	require.NoError(t, err)
	require.Len(t, oracle, 1)
	return w.Bytes(), oracle
}

// kinds notes what kind of element is read.
type kinds struct {
	veil.Reader
	seq []byte
}

func (k *kinds) Points(out []group.Affine) error {
	k.seq = append(k.seq, bytes.Repeat([]byte("P"), len(out))...)
	return k.Reader.Points(out)
}

func (k *kinds) Scalar() (field.Element, error) {
	k.seq = append(k.seq, 's')
	return k.Reader.Scalar()
}

// verify checks the file of a proof under a programmed oracle, to the last byte. It returns the kinds of the elements read.
func verify(p *protocol.Proof, proof []byte, oracle map[field.Element]field.Element) (string, error) {
	r, err := format.NewReader(proof, format.MagicProof, p.Circuit.Digest())
	if err != nil {
		return "", err
	}
	r.Raw(32)
	k := &kinds{Reader: r}
	if err := p.Run(veil.NewVerifier(&veil.Programmed{Source: p.Transcript(), At: oracle}, k)); err != nil {
		return "", err
	}
	return string(k.seq), r.Close()
}

// From the verifying key's points alone: proofs of every answer to one prompt, one of them true at most. All are accepted by
// whoever takes e from the simulator, look like the real proof element for element, and are worth nothing to anybody else.
func TestSimulateEveryAnswer(t *testing.T) {
	for name, c := range map[string]*circuit.Circuit{
		"arg-max":        toy(t, circuit.Argmax, false, 4),
		"logits":         toy(t, circuit.Values, false, 5),
		"private prompt": toy(t, circuit.Argmax, true, 5),
	} {
		t.Run(name, func(t *testing.T) {
			k, key, err := engine.Setup(context.Background(), circuit.Single(c), kit.Weights(c, 3, 4), engine.Options{Backend: processor})
			require.NoError(t, err)
			in, lies := claims(t, c, k)
			real, err := k.Prove(context.Background(), in, engine.Options{Backend: processor})
			require.NoError(t, err)
			points := model(t, c, key)
			want, err := verify(public(c, points, in.Statement), real, nil)
			require.NoError(t, err)
			vk, err := verifier.ReadKey(context.Background(), circuit.Single(c), generation.Kind, key)
			require.NoError(t, err)
			require.NoError(t, vk.VerifyStatement(c, in.Statement, real))
			for _, st := range append(lies, said(in)) {
				p := public(c, points, st)
				proof, oracle := simulate(t, p, veil.Uniform{})
				got, err := verify(p, proof, oracle)
				require.NoError(t, err)
				require.Equal(t, want, got)
				require.Len(t, proof, len(real))
				require.ErrorIs(t, vk.VerifyStatement(c, st, proof), veil.ErrRejected, "on the real oracle")
				_, err = verify(public(c, points, in.Statement), real, oracle)
				require.NoError(t, err, "the programmed oracle is the real one everywhere else")
			}
			t.Logf("%d false statements and a true one; proofs of %d bytes: %d elements", len(lies), len(real), len(want))
		})
	}
}

// Not even a model is needed: uniform points for its commitment, a simulated range proof, and simulated proofs of contradictory
// answers under that key. A verifying key and any number of proofs tell nothing of the weights.
func TestSimulateModel(t *testing.T) {
	c := toy(t, circuit.Argmax, false, 5)
	_, key, err := engine.Setup(context.Background(), circuit.Single(c), kit.Weights(c, 3, 4), engine.Options{Backend: processor})
	require.NoError(t, err)
	points := make([]group.Affine, protocol.WeightLayout(c).Rows)
	for i := range points {
		points[i] = veil.Uniform{}.Point()
	}
	piece, err := protocol.SetupPiece(circuit.Single(c), 0)
	require.NoError(t, err)
	p := piece.Proof(points)
	w := format.NewWriter(format.MagicVerifyingKey, c.Digest())
	for i := range points {
		w.Point(points[i])
	}
	oracle, err := veil.Simulate(p.Transcript(), veil.Uniform{}, w, kit.Begin(t.Context(), processor), p.Run)
	require.NoError(t, err)
	require.Len(t, w.Bytes(), len(key))
	_, err = verifier.ReadKey(context.Background(), circuit.Single(c), generation.Kind, w.Bytes())
	require.ErrorIs(t, err, veil.ErrRejected, "on the real oracle")

	r, err := format.NewReader(w.Bytes(), format.MagicVerifyingKey, c.Digest())
	require.NoError(t, err)
	r.Raw(32 * len(points))
	require.NoError(t, p.Run(veil.NewVerifier(&veil.Programmed{Source: p.Transcript(), At: oracle}, r)))
	require.NoError(t, r.Close())
	for next := range int64(vocabulary) {
		p := public(c, points, &generation.Statement{Tokens: []int64{1, 3}, Prompt: 2, Next: next})
		proof, oracle := simulate(t, p, veil.Uniform{})
		_, err := verify(p, proof, oracle)
		require.NoError(t, err)
	}
}

// The programmed verifier is a verifier: it refuses a simulated proof of another statement, and one with any element changed.
func TestSimulationIsChecked(t *testing.T) {
	c := toy(t, circuit.Argmax, false, 5)
	points := make([]group.Affine, protocol.WeightLayout(c).Rows)
	for i := range points {
		points[i] = veil.Uniform{}.Point()
	}
	st := generation.Statement{Tokens: []int64{1, 3}, Prompt: 2, Next: 4}
	p := public(c, points, &st)
	proof, oracle := simulate(t, p, veil.Uniform{})
	other := st
	other.Next = 3
	_, err := verify(public(c, points, &other), proof, oracle)
	require.ErrorIs(t, err, veil.ErrRejected)
	seq, err := verify(p, proof, oracle)
	require.NoError(t, err)
	header := len(proof) - 32*len(seq)
	for i := range seq {
		if i%5 != 0 && i < len(seq)-40 { // of D and what follows, every element
			continue
		}
		at := header + 32*i
		bad := append([]byte(nil), proof...)
		if seq[i] == 'P' {
			q := veil.Uniform{}.Point()
			copy(bad[at:], group.Encode(nil, &q))
		} else {
			v := veil.Uniform{}.Scalar()
			copy(bad[at:], field.Encode(nil, &v))
		}
		_, err := verify(p, bad, oracle)
		require.ErrorIs(t, err, veil.ErrRejected, "element %d of %d", i, len(seq))
	}
}

// streams is randomness that yields the same stream again when asked again.
type streams [32]byte

func (s streams) Uniform(label string, n int) []field.Element {
	h := sha3.NewSHAKE256()
	_, _ = h.Write(append(s[:], label...))
	out := make([]field.Element, n)
	var raw [field.WideBytes]byte
	for i := range out {
		_, _ = h.Read(raw[:])
		out[i] = field.Uniform(raw[:])
	}
	return out
}

// drawn remembers the challenges of a transcript.
type drawn struct {
	transcript.Source
	last map[string]field.Element
}

func (d *drawn) Challenge(label string) field.Element {
	d.last[label] = d.Source.Challenge(label)
	return d.last[label]
}

// The simulator is not one of many: given as its choices what an honest prover's pads, blinders and mask make of the witness (the
// commitments, w + pad, f(c), g(c), z = e·u + d, φ), and the oracle's e, it gives the honest proof, byte for byte. So a
// proof is one function of values that are uniform whatever the witness is, and of nothing else that depends on the witness.
func TestRealProofIsASimulation(t *testing.T) {
	c := toy(t, circuit.Argmax, true, 4)
	k, key, err := engine.Setup(context.Background(), circuit.Single(c), kit.Weights(c, 3, 4), engine.Options{Backend: processor})
	require.NoError(t, err)
	in, _ := claims(t, c, k)
	a, err := k.Witness(context.Background(), in)
	require.NoError(t, err)
	rnd := streams{1}
	p := public(c, model(t, c, key), in.Statement)
	held := kit.Hold(processor, c, a.Tensor)
	p.Backend = held
	p.Weights, err = held.Commit(p.Weights.Layout, c, blinders(t, c, k))
	require.NoError(t, err)
	layout := commit.NewLayout(c, circuit.Witness, c.WitnessBits)
	p.Witness, err = held.Commit(layout, c, rnd.Uniform("witness blinders", layout.Rows))
	require.NoError(t, err)
	counts, err := p.Count()
	require.NoError(t, err)

	w := format.NewWriter(format.MagicProof, c.Digest())
	id := k.ModelID()
	w.Raw(id[:])
	source := &drawn{Source: p.Transcript(), last: map[string]field.Element{}}
	ch := veil.NewProver(source, w, rnd, held, counts.Pads)
	require.NoError(t, p.Run(ch))
	_, err = verify(p, w.Bytes(), nil)
	require.NoError(t, err)

	r, err := format.NewReader(w.Bytes(), format.MagicProof, c.Digest())
	require.NoError(t, err)
	r.Raw(32)
	opened := veil.Open(ch, rnd, source.last["nu"], source.last["theta"], source.last["e"], r)
	again, oracle := simulate(t, public(c, p.Weights.Points, in.Statement), opened)
	require.Equal(t, w.Bytes(), again)
	require.Equal(t, map[field.Element]field.Element{source.last["e"]: source.last["e"]}, oracle, "nothing was programmed")
}

// blinders takes the weights' blinders out of the prover key's file, where they stand before the checksum, each behind its row's
// commitment.
func blinders(t testing.TB, c *circuit.Circuit, k *engine.Key) []field.Element {
	t.Helper()
	file := k.Encode()
	out := make([]field.Element, protocol.WeightLayout(c).Rows)
	for i := range out {
		at := len(file) - format.SumSize - 64*(len(out)-i) + 32
		var err error
		out[i], err = field.Decode(file[at : at+32])
		require.NoError(t, err)
	}
	return out
}

// said is the statement of an input.
func said(in *engine.Input) *generation.Statement { return in.Statement.(*generation.Statement) }
