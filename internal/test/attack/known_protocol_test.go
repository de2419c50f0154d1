package attack

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// hardOfHearing is a transcript that hears only the first keep elements of the messages with a label.
type hardOfHearing struct {
	transcript.Source
	label string
	keep  int
}

func (h hardOfHearing) AbsorbScalars(label string, v []field.Element) {
	if label == h.label {
		v = v[:min(h.keep, len(v))]
	}
	h.Source.AbsorbScalars(label, v)
}

func (h hardOfHearing) AbsorbPoints(label string, p []group.Affine) {
	if label == h.label {
		p = p[:min(h.keep, len(p))]
	}
	h.Source.AbsorbPoints(label, p)
}

// adaptive plays a prover who makes his proof twice with the same randomness. The first time, known is nil and he notes the
// challenges; the second time he knows those that do not depend on what he is changing now. He wins on a transcript that does not
// hear the messages with the label beyond their first keep elements, and loses on the real one.
func (u *subject) adaptive(t *testing.T, label string, keep int, forge func(known, drawn map[string][]field.Element) lie) {
	t.Helper()
	run := func(hear func(*transcript.Transcript) transcript.Source, forge func(known, drawn map[string][]field.Element) lie) error {
		var known map[string][]field.Element
		var proof []byte
		var claim statement.Statement
		for range 2 {
			drawn := map[string][]field.Element{}
			l := forge(known, drawn)
			l.seed = []byte("the same pads in both")
			l.source = func(tr *transcript.Transcript) transcript.Source { return &source{Source: hear(tr), drawn: drawn} }
			var err error
			proof, err = u.prove(l)
			require.NoError(t, err)
			known, claim = drawn, u.claim(l)
		}
		return u.verifyWith(t, claim, proof, hear)
	}
	honest := func(_, _ map[string][]field.Element) lie { return lie{} }
	deaf := func(tr *transcript.Transcript) transcript.Source {
		return hardOfHearing{Source: tr, label: label, keep: keep}
	}
	hearing := func(tr *transcript.Transcript) transcript.Source { return tr }
	require.NoError(t, run(deaf, honest))
	require.NoError(t, run(hearing, honest))
	require.NoError(t, run(deaf, forge), "the attack must work where the message is not absorbed")
	require.ErrorIs(t, run(hearing, forge), veil.ErrRejected)
}

// Claims that the transcript does not hear. Jolt did not absorb the claims that sumchecks start from and end in (a16z/jolt, pull
// request 981), nor Ceno the evaluations of its layers (scroll-tech/ceno, pull request 1294): coefficients that batch claims are
// known before the claims are. False claims that cancel are then easy to find.
//
// The prover below commits to a copy that is off by one and sends evaluations whose errors close the zero-check and cancel under
// the openings' α, which he knows from his first attempt where the evaluations are not absorbed.
func knownClaimsNotAbsorbed(t *testing.T) {
	stage(t, "copy").adaptive(t, "leaf evaluations", 0, func(known, drawn map[string][]field.Element) lie {
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "leaf evaluations" && known != nil { // δy − δx closes the zero-check, α³·δx + α⁴·δy = 0
				alpha := known["alpha"][0]
				dy := div(openedWrongly(drawn), plus(one, alpha))
				v[3], v[2] = plus(v[3], dy), sub(v[2], mul(alpha, dy))
			}
		}}}
	})
}

// A round's degree that is the prover's and not absorbed. In Jolt's hidden sumchecks a round's degree was data of the proof that
// the transcript did not hear (a16z/jolt, pull request 1736, after a review; an exploit is not shown there). A part of a round
// polynomial that is not heard can be chosen when the round's challenge is known.
//
// Here the degree follows from the circuit, every coefficient is absorbed, and with it how many there are. A prover whose
// coefficients after the first are not heard proves a false logit; and one coefficient more or less in the proof is refused.
func knownDegreeNotAbsorbed(t *testing.T) {
	u := stage(t, "reveal logits")
	u.adaptive(t, "wave 1", 1, func(known, drawn map[string][]field.Element) lie {
		var off field.Element
		first := true
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch {
			case label == "leaf evaluations": // the false claim, which closes the zero-check
				off = neg(zeroError(u, drawn["zero-check tau"]))
				v[len(v)-1] = plus(v[len(v)-1], off)
			case label == "wave 1" && first && known != nil: // g(2) makes g(r) true
				first = false
				l := poly.LagrangeAt(len(v), known["wave 1"][0])
				v[1] = sub(v[1], div(mul(l[1], weightInWave(drawn), off), l[2]))
			}
		}}}
	})
	from, to, first := u.span(t, "wave 1")
	proof, err := u.prove(lie{})
	require.NoError(t, err)
	require.NoError(t, u.verify(u.st, proof))
	longer := append(append(bytes.Clone(proof[:from+32*first]), make([]byte, 32)...), proof[from+32*first:]...)
	shorter := append(bytes.Clone(proof[:from+32*first-32]), proof[from+32*first:]...)
	none := append(bytes.Clone(proof[:from]), proof[to:]...)
	for _, p := range [][]byte{longer, shorter, none} {
		require.NoError(t, refusal(u.verify(u.st, p)))
	}
	split := func(at int) field.Element { // the same scalars in two rounds of other degrees
		tr, v := transcript.New("split"), []field.Element{one, two, one}
		tr.AbsorbScalars("round", v[:at])
		tr.AbsorbScalars("round", v[at:])
		return tr.Challenge("r")
	}
	require.NotEqual(t, split(1), split(2))
}

// span returns where the messages with a label begin and end in a proof, and how many elements the first has.
func (u *subject) span(t *testing.T, label string) (from, to, first int) {
	t.Helper()
	sent, part := u.record(t)
	at := header
	for i, n := range part {
		m := sent[i]
		if n == messages.Vector { // seen before its commitment, which is what the proof holds
			continue
		}
		if m.label == label && from == 0 {
			from, first = at, m.n
		}
		at += 32 * m.n
		if m.label == label {
			to = at
		}
	}
	require.Positive(t, from)
	return from, to, first
}

// An opening's point that is not bound. HyperPlonk's batch opening absorbed neither points nor values before it drew what batches
// them (EspressoSystems/hyperplonk, issue 173); nor do the openings of Jolt (a16z/jolt, pull request 1536, whose maintainers hold
// that the claims are bound elsewhere). Two different tensors agree at many points: who may choose the point proves them equal.
//
// Here a point is no message. It consists of challenges, and the column weights of the openings are made of it. The prover below
// copies wrongly. If he may choose τ, he needs nothing else: his tensors agree there. If not, he opens them where they agree, and
// the column sumcheck refuses him, unless its own point does not depend on what he sends in it.
func knownPointNotBound(t *testing.T) {
	u := stage(t, "copy")
	wrong := both(at("y", 0, add(3)), at("y", 1, add(-2)))
	agree := fraction(3, 5) // (1−τ)·3 + τ·(−2) = 0
	u.breaksWithout(t, map[string]field.Element{"zero-check tau": agree}, func(map[string][]field.Element) lie { return lie{override: wrong} })

	a, err := u.generate(lie{override: wrong})
	require.NoError(t, err)
	x, y := a.Tensor(u.id(t, "x")), a.Tensor(u.id(t, "y"))
	there := []field.Element{agree, agree}
	elsewhere := func(known, drawn map[string][]field.Element) lie {
		var dx, dy field.Element
		first := true
		return lie{override: wrong, tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch {
			case label == "leaf evaluations": // x(τ) and y(τ) are the third and the fourth
				dx, dy = sub(poly.EvalInts(x.V, x.Shape, there), v[2]), sub(poly.EvalInts(y.V, y.Shape, there), v[3])
				v[2], v[3] = plus(v[2], dx), plus(v[3], dy)
			case label == "columns" && first && known != nil:
				first = false
				alpha := field.Powers(drawn["alpha"][0], 5)
				bend(v, known["columns"][0], plus(mul(alpha[3], dx), mul(alpha[4], dy)))
			}
		}}}
	}
	u.mustReject(t, elsewhere(nil, nil))
	u.adaptive(t, "columns", 0, elsewhere)
}

// A sumcheck of no rounds. In Jolt a reduction whose second phase had no rounds left the final claim unbound (a16z/jolt, pull
// request 1485); Plonky3 took the number of rounds from the proof where the caller did not look (pull request 1836), lambdaworks
// the number of layers (issue 1012), and Akita let empty messages pass that turned the claim 1 into 0 (LayerZero-Labs/akita,
// pull request 19).
//
// Here the numbers follow from the circuit, and without a round the claim is tied to the factors by the same check as with many.
// The circuit below has one product of single cells: its wave has no rounds. Nothing but the wave's last check, the fifth linear
// one, refuses a wrong product. The second circuit has a fraction tree without layers: one cell, one line.
func knownZeroRounds(t *testing.T) {
	u, e := newSubject(t, spec{cfg: config("single cells"), build: func(b *circuit.Builder) {
		x, w := b.Weight("x", 3, 1), b.Weight("w", 3, 1)
		gadget.Rescale(b, "y", b.Virtual("s", []int{1}, circuit.Product(b, 1, x, w)), 0, -20, 20)
	}}), field.FromInt64(778)
	sent, _ := u.record(t)
	waves := map[string]bool{}
	for _, m := range sent {
		waves[m.label] = true
	}
	require.True(t, waves["wave 1 evaluations"])
	require.False(t, waves["wave 1"], "the wave has no rounds")
	wrong := func(drawn map[string][]field.Element) lie {
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch {
			case label == "leaf evaluations": // s, asked for last but for what is told, is claimed to be what y is
				v[len(v)-2] = plus(v[len(v)-2], one)
			case drawn != nil:
				repaired(e, 5, drawn, func() field.Element { return drawn["wave 1 alpha"][0] }).Scalars(label, v)
			}
		}}}
	}
	u.mustReject(t, lie{override: at("y", 0, add(1))})
	u.mustReject(t, wrong(nil))
	u.breaksWithout(t, map[string]field.Element{"e": e}, wrong)
	u = newSubject(t, spec{cfg: config("single line"), build: func(b *circuit.Builder) {
		x, y := b.Weight("x", 4, 1), b.Witness("y", 5, 5, 1)
		b.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{x}, Out: []circuit.ID{y}, Params: []int64{0}})
		b.Lookup(gadget.Range(b, 5, 5), y)
	}, weights: map[string][]int64{"x": {5}}})
	require.Zero(t, u.sizes(t).Layers)
	u.needs(t, lie{override: at("y", 0, set(6))}, "y")
}

// Blinders that are zero. Sonobe committed to Nova's cross terms with the blinder 0 whether hiding was asked for or not
// (ethereum/sonobe, issue 238): equal vectors have equal commitments, and whoever guesses a vector can check his guess.
// Proofs verify all the same. zkLLM's released code has no blinders at all.
//
// This is no matter of soundness: the verifier accepts such a proof here too, as it must. What must not be is that our prover makes
// one. With his blinders two proofs of one statement share nothing, and a right guess of the witness does not show.
func knownZeroBlinders(t *testing.T) {
	u := stage(t, "attention")
	layout := commit.NewLayout(u.c, circuit.Witness, u.c.WitnessBits)
	a, err := u.generate(lie{})
	require.NoError(t, err)
	guess, err := kit.Hold(processor, u.c, a.Tensor).Commit(layout, u.c, make([]field.Element, layout.Rows))
	require.NoError(t, err)
	var guessed []byte
	for _, p := range guess.Points {
		guessed = group.Encode(guessed, &p)
	}
	rows := func(l lie) (proof, rows []byte) {
		proof, err := u.prove(l)
		require.NoError(t, err)
		require.NoError(t, u.verify(u.st, proof))
		return proof, proof[header+32:][:32*layout.Rows] // behind the pads
	}
	first, bare := rows(lie{blinders: func(v []field.Element) { clear(v) }})
	second, _ := rows(lie{blinders: func(v []field.Element) { clear(v) }})
	require.Equal(t, guessed, bare, "the guess shows")
	require.GreaterOrEqual(t, shared(first, second), layout.Rows, "and links two proofs")

	first, hidden := rows(lie{})
	second, _ = rows(lie{})
	require.Zero(t, shared(first, second))
	for i := 0; i < len(guessed); i += 32 {
		require.False(t, bytes.Contains(hidden, guessed[i:i+32]), "row %d", i/32)
	}
}

// replay is a proof's items as a tape took them; repeatable is a generator that gives the same elements every time.
type replay struct{ tape }

func (s *replay) Points(out []group.Affine) error {
	if len(s.points) < len(out) {
		return io.ErrUnexpectedEOF
	}
	s.points = s.points[copy(out, s.points):]
	return nil
}

func (s *replay) Scalar() (field.Element, error) {
	if len(s.scalars) == 0 {
		return field.Element{}, io.ErrUnexpectedEOF
	}
	v := s.scalars[0]
	s.scalars = s.scalars[1:]
	return v, nil
}

type repeatable struct{}

func (repeatable) Uniform(label string, n int) []field.Element {
	tr, out := transcript.New(label), make([]field.Element, n)
	for i := range out {
		out[i] = tr.Challenge("element")
	}
	return out
}

// multiply says that the product of a committed vector's n entries is the claimed number. The values are the prover's.
func multiply(ch *veil.Channel, n int, values []int64, claimed int64) error {
	ch.Open()
	v := ch.Vector("factors", n, func() (out []field.Element) {
		for _, x := range values {
			out = append(out, field.FromInt64(x))
		}
		return out
	})
	z := append(v[:1:1], ch.Vector("partial products", n-1, func() (out []field.Element) {
		product := values[0]
		for _, x := range values[1:] {
			product *= x
			out = append(out, field.FromInt64(product))
		}
		return out
	})...)
	for i := 1; i < n; i++ {
		ch.Product("partial product", z[i-1], v[i], z[i])
	}
	ch.Zero("claim", z[n-1].Sub(veil.Constant(field.FromInt64(claimed))))
	return ch.Finish()
}

// A vector's length that its commitment does not bind. A Pedersen commitment to (1, 2, 3) is one to (1, 2, 3, 0): in Jolt the
// length, the degree of a hidden round polynomial, was the prover's and bound by nothing else (a16z/jolt, pull request 1736).
//
// The argument below says what the product of a committed vector is. To a verifier who takes the length from the prover one and
// the same commitment has the products 6 and 0. One who has the length from elsewhere, as ours has every length from the circuit,
// accepts only one of them; and a commitment of a proof that says something of an entry that is not there is refused.
func knownLengthNotBound(t *testing.T) {
	prove := func(values []int64, claimed int64) *tape {
		s := &tape{}
		prover := veil.NewProver(transcript.New("product"), s, repeatable{}, kit.Begin(t.Context(), processor), 0)
		require.NoError(t, multiply(prover, len(values), values, claimed))
		return s
	}
	verify := func(s *tape, n int, claimed int64) error {
		return multiply(veil.NewVerifier(transcript.New("product"), &replay{*s}), n, nil, claimed)
	}
	three, four := prove([]int64{1, 2, 3}, 6), prove([]int64{1, 2, 3, 0}, 0)
	require.Equal(t, three.points[1], four.points[1], "one commitment")
	require.NoError(t, verify(three, 3, 6))
	require.NoError(t, verify(four, 4, 0), "the prover's length")
	require.ErrorIs(t, verify(three, 3, 0), veil.ErrRejected)
	require.Error(t, verify(four, 3, 0), "it has an item more")

	u := stage(t, "rescale")
	counts := u.sizes(t).Counts
	for label, beyond := range map[string]group.Affine{
		"leaf evaluations": group.Vec(0, counts.Vectors[0]+1)[counts.Vectors[0]],
		"pads":             group.Pad(counts.Pads + 1)[counts.Pads],
	} {
		u.mustReject(t, lie{tamper: tamperer{points: func(l string, p []group.Affine) {
			if l == label {
				p[0].Add(&p[0], &beyond)
			}
		}}})
	}
}

// quotient divides by 8 with remainders from −slack to 7+slack: 0 for the exact program.
func quotient(b *circuit.Builder, name string, v circuit.ID, lo, hi, slack int64) circuit.ID {
	shape := b.Shape(v)
	y := b.Witness(name, lo, hi, shape...)
	b.Lookup(gadget.Range(b, lo, hi), y)
	b.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{v}, Out: []circuit.ID{y}, Params: []int64{3}})
	rem := b.VirtualBound(name+".rem", shape, -slack, 7+slack, "looked up in this range",
		circuit.Scaled(b, 1, v), circuit.Scaled(b, -8, y), circuit.Ones(4, shape))
	b.Lookup(gadget.Range(b, -slack, 7+slack), rem)
	return y
}

// Tolerance bands. That each layer is right up to δ does not say that the output is: every network has an equivalent one whose
// output such errors steer anywhere within its range (Zamir, arXiv 2602.15756).
//
// Two layers divide by 8, and between them a weight multiplies by 64. With a band of one unit in each, the second layer's output
// may be off by 9 and takes nine values. The exact program accepts one of them.
func knownToleranceBand(t *testing.T) {
	layers := func(slack int64) spec {
		return spec{cfg: config("layers"), build: func(b *circuit.Builder) {
			y := quotient(b, "y", b.Weight("x", 6, 2), -8, 8, slack)
			product := b.Virtual("product", []int{2}, circuit.Product(b, 1, y, b.Weight("w", 8, 2)))
			quotient(b, "out", product, -200, 200, slack)
		}, weights: map[string][]int64{"x": {21, -30}, "w": {64, 64}}}
	}
	band, exact := newSubject(t, layers(8)), newSubject(t, layers(0))
	honest, err := exact.generate(lie{})
	require.NoError(t, err)
	out, outputs := honest.Tensor(exact.id(t, "out")).All()[0], map[int64]bool{} // by their distance from it
	for dy := int64(-1); dy <= 1; dy++ {
		for dout := int64(-1); dout <= 1; dout++ {
			l := lie{override: both(at("y", 0, add(dy)), at("out", 0, func(v int64) int64 {
				outputs[v+dout-out] = true
				return v + dout
			}))}
			band.accept(t, l)
			if dy == 0 && dout == 0 {
				exact.accept(t, l)
			} else {
				exact.mustReject(t, l)
			}
		}
	}
	require.Len(t, outputs, 9)
	require.True(t, outputs[9] && outputs[-9])
}

// knownBreaks lists the breaks, each with where it was published.
var knownBreaks = []struct {
	name, source string
	run          func(*testing.T)
}{
	{"unchecked openings", "zkLLM's released code, jvhs0706/zkllm-ccs2024, commitment.cu and proof.cu", knownUncheckedOpening},
	{"discarded lookup leaf claims", "zkLLM's released code, jvhs0706/zkllm-ccs2024, zksoftmax.cu and rescaling.cu", knownDroppedLeafClaims},
	{"unconstrained rsqrt", "zkLLM's released code, jvhs0706/zkllm-ccs2024, rmsnorm.cu; ICME-Lab/jolt-atlas pull request 117", knownUnconstrainedRsqrt},
	{"missing row-sum check", "zkLLM's released code, jvhs0706/zkllm-ccs2024, zksoftmax.cu, against arXiv 2404.16109", knownMissingRowSum},
	{"range proofs on unrelated data", "zkGPT's code as in Koukyosyumei/zkGPT, src/range_prover.cpp; gnark-crypto pull request 855", knownRangeProofOfOtherData},
	{"(0,0) fraction roots", "class of error, no public instance found; eprint 2023/1284 and Lagrange-Labs/deep-prove", knownZeroFractionRoot},
	{"prover-chosen ranges", "ICME-Lab/jolt-atlas issue 195", knownProverChosenRange},
	{"remainders committed but not range-checked", "ICME-Lab/jolt-atlas issue 203", knownUnboundedRemainder},
	{"unbound public inputs", "Frozen Heart, Trail of Bits 2022; binius-zk/binius64 issue 1350", knownUnboundPublicInput},
	{"claims missing from the transcript", "a16z/jolt pull request 981; scroll-tech/ceno pull request 1294", knownClaimsNotAbsorbed},
	{"round degree not absorbed", "a16z/jolt pull request 1736", knownDegreeNotAbsorbed},
	{"opening point not bound", "EspressoSystems/hyperplonk issue 173; a16z/jolt pull request 1536", knownPointNotBound},
	{"zero-round sumchecks", "a16z/jolt pull request 1485; Plonky3/Plonky3 pull request 1836; LayerZero-Labs/akita pull request 19", knownZeroRounds},
	{"zeroed blinders", "ethereum/sonobe issue 238", knownZeroBlinders},
	{"vector length not bound by a commitment", "a16z/jolt pull request 1736", knownLengthNotBound},
	{"tolerance bands", "Zamir, arXiv 2602.15756", knownToleranceBand},
}
