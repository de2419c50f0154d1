package attack

import (
	"math/big"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Every challenge is there because an attack works without it. Each test below freezes one challenge to a constant for both sides
// and forges a proof of a false statement with it, which shows that the attack is the right one; then it plays the same prover
// against the real transcript, where it must fail. All challenges but the frozen one are real in both runs.

// source draws challenges from a transcript, except for the frozen ones, and remembers them.
type source struct {
	transcript.Source
	frozen map[string]field.Element
	drawn  map[string][]field.Element
}

// foldBytes is what the folding challenges are frozen to: a + b·λ with a = 3, b = 1.
var foldBytes = []byte{0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1}

// ChallengeBytes draws folding challenges; that they are frozen is all the value of the map says.
func (s *source) ChallengeBytes(label string, n int) []byte {
	raw := s.Source.ChallengeBytes(label, n)
	if _, ok := s.frozen[label]; ok {
		return foldBytes
	}
	return raw
}

func (s *source) note(label string, v field.Element) field.Element {
	if f, ok := s.frozen[label]; ok {
		v = f
	}
	if s.drawn != nil {
		s.drawn[label] = append(s.drawn[label], v)
	}
	return v
}

func (s *source) Challenge(label string) field.Element {
	return s.note(label, s.Source.Challenge(label))
}
func (s *source) Short(label string) field.Element { return s.note(label, s.Source.Short(label)) }

// freeze returns sources with frozen challenges.
func freeze(frozen map[string]field.Element) func(*transcript.Transcript) transcript.Source {
	return func(tr *transcript.Transcript) transcript.Source { return &source{Source: tr, frozen: frozen} }
}

// breaksWithout plays one forger. Frozen, an honest proof and the forgery are accepted; on the real transcript the honest proof
// is accepted and the forgery rejected. forge makes the lie for a run; drawn tells it, as the proof goes on, the challenges.
func (u *subject) breaksWithout(t *testing.T, frozen map[string]field.Element, forge func(drawn map[string][]field.Element) lie) {
	t.Helper()
	honest := func(map[string][]field.Element) lie { return lie{} }
	require.NoError(t, u.forged(t, frozen, honest), "an honest proof, frozen challenge")
	require.NoError(t, u.forged(t, nil, honest), "an honest proof, real transcript")
	require.NoError(t, u.forged(t, frozen, forge), "the attack must work when it knows the challenge")
	require.ErrorIs(t, u.forged(t, nil, forge), veil.ErrRejected)
	for label := range frozen {
		if len(frozen) == 1 { // where several are known it is not said which of them matters
			shownBy.Store(kindOf(label), true)
		}
	}
}

// forged is the verifier's answer to a forger, with challenges that both sides know in advance; nil for none.
func (u *subject) forged(t *testing.T, frozen map[string]field.Element, forge func(drawn map[string][]field.Element) lie) error {
	t.Helper()
	drawn := map[string][]field.Element{}
	l := forge(drawn)
	l.source = func(tr *transcript.Transcript) transcript.Source {
		return &source{Source: tr, frozen: frozen, drawn: drawn}
	}
	proof, err := u.prove(l)
	require.NoError(t, err)
	if frozen == nil {
		return u.verify(u.claim(l), proof)
	}
	return u.verifyWith(t, u.claim(l), proof, freeze(frozen))
}

// tamperer changes messages by label.
type tamperer struct {
	scalars func(label string, v []field.Element)
	points  func(label string, p []group.Affine)
}

func (f tamperer) Scalars(label string, v []field.Element) {
	if f.scalars != nil {
		f.scalars(label, v)
	}
}

func (f tamperer) Points(label string, p []group.Affine) {
	if f.points != nil {
		f.points(label, p)
	}
}

var (
	one = field.One()
	two = field.FromInt64(2)
)

func mul(a field.Element, bs ...field.Element) field.Element {
	for i := range bs {
		a.Mul(&a, &bs[i])
	}
	return a
}

func sub(a, b field.Element) field.Element  { return *a.Sub(&a, &b) }
func plus(a, b field.Element) field.Element { return *a.Add(&a, &b) }
func div(a, b field.Element) field.Element  { return *a.Div(&a, &b) }
func neg(a field.Element) field.Element     { return *a.Neg(&a) }

// twins has two zero-checks whose tensors are each other's negative.
func twins(t *testing.T) *subject {
	return newSubject(t, spec{cfg: config("twins"), build: func(b *circuit.Builder) {
		x := b.Weight("x", 3, 2)
		y := gadget.Rescale(b, "y", x, 0, -8, 7)
		b.Zero(b.VirtualBound("twin", []int{2}, 0, 0, "zero-checked", circuit.Scaled(b, 1, y), circuit.Scaled(b, -1, x)))
	}})
}

// ν: two false checks that cancel.
func rejectFalseConstraintsThatCancel(t *testing.T) {
	twins(t).breaksWithout(t, map[string]field.Element{"nu": one}, func(map[string][]field.Element) lie {
		return lie{override: at("y", 0, add(1))}
	})
}

// τ: a tensor that is not zero but vanishes at one known point.
func rejectZeroCheckAtAKnownPoint(t *testing.T) {
	twins(t).breaksWithout(t, map[string]field.Element{"zero-check tau": two}, func(map[string][]field.Element) lie {
		return lie{override: both(at("y", 0, add(2)), at("y", 1, add(1)))} // (1−τ)·2 + τ·1 = 0
	})
}

// γ: a pair that is no line of the table but has the fingerprint of one, x + f(x).
func rejectPairNotInTable(t *testing.T) {
	u := stage(t, "table")
	table := &u.c.Tables[len(u.c.Tables)-1]
	require.Len(t, table.Cols, 2)
	line := slices.IndexFunc(table.Cols[0], func(x int64) bool { // f is flat there, and a cell of x can be put there
		i := int(x - table.Cols[0][0])
		return x == -16 && table.Cols[1][i] == table.Cols[1][i+1]
	})
	require.GreaterOrEqual(t, line, 0)
	u.breaksWithout(t, map[string]field.Element{"lookup gamma": one}, func(map[string][]field.Element) lie {
		return lie{override: both(at("y", 0, add(1)), at(u.c.Tensor(table.Mult).Name, line+1, add(1)))}
	})
}

// γ: a value of the neighbouring table, whose id is one more.
func rejectLineOfTheNeighbouringTable(t *testing.T) {
	u := neighbours(t)
	neighbour := u.c.Tensor(u.c.Tables[1].Mult).Name
	u.breaksWithout(t, map[string]field.Element{"lookup gamma": one}, func(map[string][]field.Element) lie {
		return lie{override: both(at("y", 0, set(8)), at(neighbour, 7+9, add(1)))} // 1 + 8 = 2 + 7
	})
	// Without the trick, too: the value 8 is a line of the other table.
	u.mustReject(t, lie{override: both(at("y", 0, set(8)), at(neighbour, 8+9, add(1)))})
}

// neighbours has two tensors that are looked up in two ranges and in nothing else.
func neighbours(t *testing.T) *subject {
	return newSubject(t, spec{cfg: config("neighbours"), build: func(b *circuit.Builder) {
		x := b.Weight("x", 4, 3)
		for _, y := range []struct {
			name   string
			lo, hi int64
		}{{"y", -8, 7}, {"z", -9, 8}} {
			id := b.Witness(y.name, y.lo, y.hi, 3)
			b.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{x}, Out: []circuit.ID{id}, Params: []int64{1}})
			b.Lookup(gadget.Range(b, y.lo, y.hi), id)
		}
	}})
}

// c: a false product, repaired by the free value h(0).
func rejectFalseProduct(t *testing.T) {
	u := stage(t, "rescale")
	m := u.sizes(t).Counts.Products
	c := field.FromInt64(1 << 40)
	long := poly.LagrangeAt(2*m, c)
	u.breaksWithout(t, map[string]field.Element{"c": c}, func(map[string][]field.Element) lie {
		var gap field.Element // −z − a1·b0, the second product of the root
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch label {
			case "lookup root":
				gap = sub(neg(v[4]), mul(v[1], v[2]))
			case "product block":
				v[2] = sub(v[2], div(mul(long[2], gap), long[0]))
			}
		}}}
	})
}

// wrongLogits claims one logit that is off by one. Every stage but one check, the zero-check, is honest.
func wrongLogits(u *subject) *generation.Statement {
	st := *u.text()
	st.Logits = append([]int64(nil), st.Logits...)
	st.Logits[0]++
	return &st
}

// zeroError returns what the zero-check of wrongLogits is off by: the MLE of the false cell at τ, negated.
func zeroError(u *subject, tau []field.Element) field.Element {
	cell := uint64((u.text().Prompt - 1) << circuit.Bits(u.c.Generation.Vocab))
	return neg(poly.EqIndex(tau[:circuit.Bits(u.c.Generation.Length)+circuit.Bits(u.c.Generation.Vocab)], cell))
}

// weightInWave is the coefficient of the zero-check's claim in wave 1: it stands behind the claim on the embedding.
func weightInWave(drawn map[string][]field.Element) field.Element {
	alpha := drawn["wave 1 alpha"][0]
	return mul(alpha, alpha)
}

// f(c), g(c) chosen after ν: free variables that absorb the error of any false check. They are sent, and absorbed, before.
func rejectClearValuesChosenAfterNu(t *testing.T) {
	u := stage(t, "reveal logits")
	k := u.sizes(t).Counts.Linear
	nu := field.FromInt64(12345)
	powers := field.Powers(nu, k+1)
	zero := 3 // the zero-check is the third linear check, after two of the leaves
	u.breaksWithout(t, map[string]field.Element{"nu": nu}, func(drawn map[string][]field.Element) lie {
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "f(c), g(c)" { // (f − f(c) − x)·ν^(k−2) + (h − (f(c)+x)·g(c))·ν^k cancels the error
				e := mul(powers[zero], zeroError(u, drawn["zero-check tau"]))
				v[0] = plus(v[0], div(e, plus(powers[k-2], mul(powers[k], v[1]))))
			}
		}}}
	})
}

// e: a mask t_D that absorbs the error of any false check.
func rejectMaskThatAbsorbsAnError(t *testing.T) {
	u := stage(t, "reveal logits")
	e := field.FromInt64(777)
	u.breaksWithout(t, map[string]field.Element{"e": e}, func(drawn map[string][]field.Element) lie {
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "t_D" { // e·(t + error) + t_D, with the error moved from the form to the target
				nu := drawn["nu"][0]
				v[0] = plus(v[0], mul(e, nu, nu, nu, zeroError(u, drawn["zero-check tau"])))
			}
		}}}
	})
}

// Round challenges: the claim of a sumcheck is false and the first round polynomial is bent so that it is true from there on.
func rejectSumcheckOfAFalseClaim(t *testing.T) {
	u := stage(t, "reveal logits")
	r := field.FromInt64(99)
	u.breaksWithout(t, map[string]field.Element{"wave 1": r}, func(drawn map[string][]field.Element) lie {
		var off field.Element
		first := true
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch {
			case label == "leaf evaluations": // the zero-check's product part is bound last; now the check holds
				off = neg(zeroError(u, drawn["zero-check tau"]))
				v[len(v)-1] = plus(v[len(v)-1], off)
			case label == "wave 1" && first:
				first = false
				l := poly.LagrangeAt(len(v), r)
				// C grew by α²·off, hence g(r) by l_1·α²·off; g(2) takes it back.
				v[1] = sub(v[1], div(mul(l[1], weightInWave(drawn), off), l[2]))
			}
		}}}
	})
}

// ρ of the fraction tree: a false root, repaired by h∞ of the first layer, of which ρ is also the line challenge.
func rejectFalseRootRepairedByTheFirstLayer(t *testing.T) {
	u := stage(t, "rescale")
	rho := field.FromInt64(31)
	u.breaksWithout(t, map[string]field.Element{"lookup rho": rho}, func(map[string][]field.Element) lie {
		var off field.Element
		first := true
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch {
			case label == "lookup root": // a0 := −a1·b0/b1, so that the sum is zero, and z = a0·b1
				truth := v[0]
				v[0] = neg(div(mul(v[1], v[2]), v[3]))
				v[4] = mul(v[0], v[3])
				off = sub(truth, v[0])
			case label == "lookup layer first" && first:
				first = false // C := (1−ρ)·a0 + … + (ρ²−ρ)·h∞
				v[0] = plus(v[0], div(mul(sub(one, rho), off), sub(mul(rho, rho), rho)))
			}
		}}}
	})
}

// λ: a false root that keeps a + λ·b, which is all that the first layer checks of it.
func rejectFalseRootThatKeepsTheCombination(t *testing.T) {
	u := stage(t, "rescale")
	lambda := field.FromInt64(17)
	u.breaksWithout(t, map[string]field.Element{"lookup lambda": lambda}, func(map[string][]field.Element) lie {
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label != "lookup root" {
				return
			}
			a0, a1, b0, b1 := v[0], v[1], v[2], v[3] // (a0 − λx)·b1 + a1·(b0 + x) = 0
			x := neg(div(plus(mul(a0, b1), mul(a1, b0)), sub(a1, mul(lambda, b1))))
			v[0], v[2] = sub(a0, mul(lambda, x)), plus(b0, x)
			v[4], v[5] = mul(v[0], b1), mul(v[2], b1)
			v[6].Inverse(&v[5])
		}}}
	})
}

// μ: a false root and claims of every layer that follow from it, down to the last ones, which are false but true at the leaf
// point, on the line between them.
func rejectFalseClaimsThatAreTrueOnTheLine(t *testing.T) {
	u := stage(t, "rescale")
	layers := u.sizes(t).Layers
	mu := field.FromInt64(23)
	u.breaksWithout(t, map[string]field.Element{"lookup mu": mu}, func(drawn map[string][]field.Element) lie {
		var off field.Element // what a0 of the layer above is off by
		layer := 0
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch label {
			case "lookup root":
				truth := v[0]
				v[0] = neg(div(mul(v[1], v[2]), v[3]))
				v[4] = mul(v[0], v[3])
				off = sub(v[0], truth)
			case "lookup layer claims": // C = (a0+λb0)·b1 + a1·b0 is off by (1−ρ1)·off; z by what a0 changes it
				off = mul(off, sub(one, drawn["lookup rho"][layer*(layer+1)/2]))
				layer++
				b1 := v[3]
				if layer == layers { // (1−μ)·off0 + μ·off1 = 0 and off0·b1 + off1·b0 = the error
					slope := neg(div(sub(one, mu), mu))
					off = div(off, plus(b1, mul(slope, v[2])))
					v[1] = plus(v[1], mul(slope, off))
				} else {
					off = div(off, b1)
				}
				v[0], v[4] = plus(v[0], off), plus(v[4], mul(off, b1))
			}
		}}}
	})
}

// α of a wave: two false claims that cancel. Both zero-checks are satisfied by false product parts.
func rejectFalseClaimsThatCancelInAWave(t *testing.T) {
	u := newSubject(t, spec{cfg: config("two products"), build: func(b *circuit.Builder) {
		x, w := b.Weight("x", 3, 2), b.Weight("w", 3, 2)
		gadget.Rescale(b, "y1", b.Virtual("s1", []int{2}, circuit.Product(b, 1, x, x)), 0, -20, 20)
		gadget.Rescale(b, "y2", b.Virtual("s2", []int{2}, circuit.Product(b, 1, x, w)), 0, -20, 20)
	}})
	u.breaksWithout(t, map[string]field.Element{"wave 1 alpha": two}, func(drawn map[string][]field.Element) lie {
		return lie{override: both(at("y1", 0, add(-2)), at("y2", 0, add(1))), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "leaf evaluations" { // α·(−2) + α²·1 = 0
				eq := sub(one, drawn["zero-check tau"][0])
				n := len(v) - 1 // the zero-checks ask for s1, y1, s2, y2, and last of all for what is told
				v[n-4] = sub(v[n-4], mul(two, eq))
				v[n-2] = plus(v[n-2], eq)
			}
		}}}
	})
}

// openedWrongly returns what the evaluation of y at τ must grow by to satisfy the zero-check of a copy whose cell 0 is off by one.
func openedWrongly(drawn map[string][]field.Element) field.Element {
	tau := drawn["zero-check tau"]
	return neg(poly.EqIndex(tau, 0))
}

// α of the openings: two evaluations that are false but whose errors cancel. The copy's zero-check is x(τ) − y(τ), and x(τ), y(τ)
// are the third and fourth opening.
func rejectFalseOpeningsThatCancel(t *testing.T) {
	alpha := field.FromInt64(5)
	stage(t, "copy").breaksWithout(t, map[string]field.Element{"alpha": alpha}, func(drawn map[string][]field.Element) lie {
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "leaf evaluations" && len(v) == 5 { // δy − δx closes the zero-check, α³·δx + α⁴·δy = 0; the fifth is what is told
				dy := div(openedWrongly(drawn), plus(one, alpha))
				v[3] = plus(v[3], dy)
				v[2] = sub(v[2], mul(alpha, dy))
			}
		}}}
	})
}

// Round challenges of the openings: a false evaluation and a bent first round polynomial.
func rejectOpeningOfAFalseEvaluation(t *testing.T) {
	r := field.FromInt64(41)
	stage(t, "copy").breaksWithout(t, map[string]field.Element{"columns": r}, func(drawn map[string][]field.Element) lie {
		first := true
		return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: func(label string, v []field.Element) {
			switch {
			case label == "leaf evaluations":
				v[3] = plus(v[3], openedWrongly(drawn))
			case label == "columns" && first:
				first = false
				a, l := drawn["alpha"][0], poly.LagrangeAt(2, r)
				v[1] = sub(v[1], div(mul(l[1], a, a, a, a, openedWrongly(drawn)), l[2]))
			}
		}}}
	})
}

// Folding challenges: R of the first round takes up the error of any false check, over the inner product's base.
func rejectFoldingThatAbsorbsAnError(t *testing.T) {
	u := stage(t, "reveal logits")
	frozen := map[string]field.Element{"fold": one} // see foldBytes
	x1 := foldedTo(t)
	u.breaksWithout(t, frozen, func(drawn map[string][]field.Element) lie {
		first := true
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: tamperer{points: func(label string, p []group.Affine) {
			if label == "L, R" && first {
				first = false
				nu := drawn["nu"][0]
				y := mul(x1, drawn["x"][0], drawn["e"][0], nu, nu, nu, zeroError(u, drawn["zero-check tau"]))
				base := group.U()
				j := group.Mul(&base, &y)
				a := group.ToAffine(&j)
				p[1].Add(&p[1], &a)
			}
		}}}
	})
}

// foldedTo is the challenge that foldBytes stand for: 3 + λ with the primitive cube root of unity λ = 7^((p−1)/3).
func foldedTo(t *testing.T) field.Element {
	exp := field.Modulus()
	exp.Sub(exp, big.NewInt(1)).Div(exp, big.NewInt(3))
	lambda := field.FromInt64(7)
	lambda.Exp(lambda, exp)
	require.Equal(t, one, mul(lambda, lambda, lambda))
	return plus(field.FromInt64(3), lambda)
}

// borrower hides part of early vectors in a commitment that is sent last, the product block's, over the generators of the early
// vectors, and opens what the commitments then say. Without θ it would choose early messages after all challenges.
type borrower struct {
	backend.Run
	block []group.Affine // the product block's generators
	extra func() map[group.Affine]field.Element
	lent  map[group.Affine]field.Element
}

func (b *borrower) MSM(bases backend.Bases, scalars []field.Element) group.Affine {
	sum := b.Run.MSM(bases, scalars)
	if len(scalars) == len(b.block) && bases[0].Points[0] == b.block[0] {
		b.lent = b.extra()
		for g, v := range b.lent {
			j := group.Mul(&g, &v)
			a := group.ToAffine(&j)
			sum.Add(&sum, &a)
		}
	}
	return sum
}

// Argument adds what was lent to the vector e·u + d, with the factor e·θ^s of the product block.
func (b *borrower) Argument(
	mask []field.Element, segments []backend.Segment, form []field.Element, bases backend.Bases, U group.Affine,
) backend.Argument {
	mask = slices.Clone(mask)
	at := func(g group.Affine) int {
		for _, list := range bases {
			if i := slices.Index(list.Points, g); i >= 0 {
				return list.At + i
			}
		}
		return -1
	}
	block := slices.IndexFunc(segments, func(s backend.Segment) bool { return s.Offset == at(b.block[0]) })
	for guest, v := range b.lent {
		i := at(guest)
		mask[i] = plus(mask[i], mul(segments[block].Scale, v))
	}
	return b.Run.Argument(mask, segments, form, bases, U)
}

// θ: the commitment of the product block, which is sent after all sumchecks, borrows a generator of the leaf evaluations and one
// of the pads. The first repairs the false zero-check, the second what the first does to the wave.
func rejectBorrowedGenerators(t *testing.T) {
	u := stage(t, "reveal logits")
	s := u.sizes(t)
	last := len(s.Counts.Vectors) - 1
	leaves := group.Vec(0, s.Counts.Vectors[0])
	guest := leaves[len(leaves)-1]
	u.breaksWithout(t, map[string]field.Element{"theta": one}, func(drawn map[string][]field.Element) lie {
		pads, final, degree := 0, 0, 0 // the pad of g(0) of the last round of wave 1
		r := tamperer{scalars: func(label string, v []field.Element) {
			if label == "wave 1" {
				final, degree = pads, len(v)
			}
			if messages.All[messages.Find(label)].Parts[0] == messages.Padded {
				pads += len(v)
			}
		}}
		extra := func() map[group.Affine]field.Element {
			off := neg(zeroError(u, drawn["zero-check tau"]))
			kappa := mul(weightInWave(drawn), off) // what the wave's final claim grows by
			rounds := drawn["wave 1"]
			for _, x := range rounds {
				kappa = mul(kappa, poly.LagrangeAt(degree, x)[1])
			}
			l := poly.LagrangeAt(degree, rounds[len(rounds)-1])
			// g(0) = c − pad enters with l_0 − l_1.
			return map[group.Affine]field.Element{guest: off, group.Pad(final + 1)[final]: div(kappa, sub(l[0], l[1]))}
		}
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: r, processor: with(func(r backend.Run) backend.Run {
			return &borrower{Run: r, block: group.Vec(last, s.Counts.Vectors[last]), extra: extra}
		})}
	})
}

// shownBy notes the challenges of which an attack showed that it works when it knows them and not otherwise.
var shownBy sync.Map

// everyChallengeIsAttacked compares them with all challenges that the circuits draw. The two row widths of a circuit, say, draw the same
// labels, and the waves are alike.
func everyChallengeIsAttacked(t *testing.T) {
	for name := range stages {
		for _, label := range stage(t, name).schedule(t).challenges() {
			_, ok := shownBy.Load(kindOf(label))
			require.True(t, ok, "no attack shows what challenge %q is for", label)
		}
	}
}

// kindOf is the label without the number of a wave.
func kindOf(label string) string {
	return regexp.MustCompile(`^wave \d+`).ReplaceAllString(label, "wave")
}

// β: poles. With β equal to the table's id a cell x contributes 1/(−γx), so that 1/10 + 1/15 = 1/6 passes two cells for the line 6.
func rejectPolesAtAKnownBeta(t *testing.T) {
	u := newSubject(t, spec{cfg: config("harmonic"), build: func(b *circuit.Builder) {
		y := b.Witness("y", 2, 7, 3)
		b.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{b.Weight("x", 5, 3)}, Out: []circuit.ID{y}, Params: []int64{1}})
		b.Lookup(gadget.Range(b, 2, 7), y)
	}, weights: map[string][]int64{"x": {4, 6, 8}}})
	six := u.c.Tensor(u.c.Tables[0].Mult).Name
	u.breaksWithout(t, map[string]field.Element{"lookup beta": one}, func(map[string][]field.Element) lie {
		return lie{override: both(at("y", 0, set(10)), at("y", 1, set(15)), at(six, 4, add(1)))}
	})
}

// x: an error hidden in the base of the inner product. The product block's commitment, which is sent before ν and θ, takes up δ·U; that
// is the error of a false check where U' = x·U is known. With ν and θ known and x real the same prover fails.
func rejectErrorInTheInnerProductsBase(t *testing.T) {
	u := stage(t, "reveal logits")
	nu, x := field.FromInt64(4321), field.FromInt64(99)
	forge := func(drawn map[string][]field.Element) lie {
		return lie{input: wrongLogits(u), claims: wrongLogits(u), tamper: tamperer{points: func(label string, p []group.Affine) {
			if label == "product block" { // the zero-check is the third linear check
				delta, base := mul(x, nu, nu, nu, zeroError(u, drawn["zero-check tau"])), group.U()
				j := group.Mul(&base, &delta)
				a := group.ToAffine(&j)
				p[0].Add(&p[0], &a)
			}
		}}}
	}
	known := map[string]field.Element{"nu": nu, "theta": one}
	require.ErrorIs(t, u.forged(t, known, forge), veil.ErrRejected, "x refuses it")
	known["x"] = x
	u.breaksWithout(t, known, forge)
	shownBy.Store("x", true)
}
