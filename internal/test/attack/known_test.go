package attack

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/lookup"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// How other proof systems were broken, or could have been, played against this one. Every function below takes one published
// mistake, plays the prover who uses it, and shows two things next to an honest run: that he wins where our check is taken away,
// and that he loses where it stands. Where the mistake is a missing check, that is taken away in one of four ways:
//
//   - lacking: the same circuit without a lookup or a zero-check;
//   - freeze and breaksWithout: a challenge that is known in advance;
//   - repaired: the error of one linear check is taken out of the final form, so that all others must hold;
//   - adaptive: a transcript that does not hear a message, and a prover who changes that message when he knows what follows.
//
// The list is knownBreaks, at the end of known_protocol_test.go.

// lacking is the subject of a verifier who forgets checks: lookups, by the name of their first column, and zero-checks, by the
// name of their tensor. All else, the digest among it, is the same.
func (u *subject) lacking(t *testing.T, checks ...string) *subject {
	t.Helper()
	c, forgotten := *u.c, 0
	c.Lookups, c.Zeros = nil, nil
	forget := func(id circuit.ID) bool {
		if !slices.Contains(checks, u.c.Tensor(id).Name) {
			return false
		}
		forgotten++
		return true
	}
	for _, l := range u.c.Lookups {
		if !forget(l.Cols[0]) {
			c.Lookups = append(c.Lookups, l)
		}
	}
	for _, z := range u.c.Zeros {
		if !forget(z) {
			c.Zeros = append(c.Zeros, z)
		}
	}
	require.Equal(t, len(checks), forgotten, "%v", checks)
	return u.forgetting(t, &c)
}

// needs demands that a lie is refused, and is accepted by a verifier who forgets the given checks.
func (u *subject) needs(t *testing.T, l lie, checks ...string) {
	t.Helper()
	u.lacking(t, checks...).accept(t, l)
	u.mustReject(t, l)
}

// repaired is the prover who takes the error off of linear check k out of the final form, which he can do where he knows e. That
// his proof is accepted then says that all other checks hold: nothing but check k refuses it.
func repaired(e field.Element, k int, drawn map[string][]field.Element, off func() field.Element) tamperer {
	return tamperer{scalars: func(label string, v []field.Element) {
		if label == "t_D" {
			v[0] = plus(v[0], mul(e, field.Powers(drawn["nu"][0], k+1)[k], off()))
		}
	}}
}

// bend changes the first round polynomial of a claim that is too large by excess, of degree 2, so that it is right at r.
func bend(v []field.Element, r, excess field.Element) {
	l := poly.LagrangeAt(2, r)
	v[1] = sub(v[1], div(mul(l[1], excess), l[2]))
}

// leafPoint is the point at which the columns of all lookups are evaluated, lowest variable first.
func (u *subject) leafPoint(drawn map[string][]field.Element) []field.Element {
	rho := drawn["lookup rho"]
	return append([]field.Element{drawn["lookup mu"][0]}, rho[len(rho)-lookup.NewPlan(u.c).N+1:]...)
}

// An opening that nobody checks. In zkLLM's released code (jvhs0706/zkllm-ccs2024, commitment.cu) Commitment::open folds the
// prover's tensor and returns its evaluation; the points of the argument go into a local variable, and what it computes of the
// commitment is never used. verifyWeightClaim in proof.cu compares the claim with that value, which comes from the tensor that
// the claim was computed from. So the weights need not be the committed ones.
//
// Here the evaluation of a weight is a claim on its rows, reduced by the column sumcheck to the final argument. Where the
// sumcheck's challenge is known the other weights pass; on the real transcript neither they nor another model's answer do.
func knownUncheckedOpening(t *testing.T) {
	u, r := stage(t, "copy"), field.FromInt64(43)
	u.breaksWithout(t, map[string]field.Element{"columns": r}, func(drawn map[string][]field.Element) lie {
		first := true
		return lie{weights: u.changed(u.id(t, "x"), 0, 1), tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "columns" && first { // x(τ) is the third opening and too large by that of cell 0
				first = false
				a := drawn["alpha"][0]
				bend(v, r, mul(a, a, a, poly.EqIndex(drawn["zero-check tau"], 0)))
			}
		}}}
	})
	u.mustReject(t, lie{weights: u.changed(u.id(t, "x"), 0, 1)})
	u, other := stage(t, "reveal logits"), anotherModel(t, "reveal logits")
	u.mustReject(t, lie{weights: other.weights, input: other.st, claims: other.st})
}

// Claims of a lookup that are dropped. In zkLLM's released code (jvhs0706/zkllm-ccs2024) zksoftmax.cu collects the claims that
// its lookups end in, in claim_lus, and does not look at them again; rescaling.cu ignores what the lookup of the remainder
// returns and itself returns no claim. So the lookup is one of values that are in the table, whatever the tensor holds.
//
// The prover below rescales wrongly and shows the lookup the right remainder. Two linear checks tie the tree's leaves to
// evaluations of the columns; the second, of the denominators, is the only one that refuses him.
func knownDroppedLeafClaims(t *testing.T) {
	const cell = 2
	u, e := stage(t, "rescale"), field.FromInt64(777)
	rem := u.id(t, "y.rem")
	honest, err := u.generate(lie{})
	require.NoError(t, err)
	shown := slices.Clone(honest.Tensor(rem).All())
	plan := lookup.NewPlan(u.c)
	i := slices.IndexFunc(plan.Blocks, func(b lookup.Block) bool { return b.Lookup >= 0 && u.c.Lookups[b.Lookup].Cols[0] == rem })
	require.GreaterOrEqual(t, i, 0, "the remainder is looked up")
	b := plan.Blocks[i]
	wrong := lie{override: at("y", cell, add(1)), edit: func(a *witness.Assignment) {
		a.Tensor(rem).V = slices.Clone(shown)
		recount(u.c, a, nil)
	}}
	u.mustReject(t, wrong)
	u.breaksWithout(t, map[string]field.Element{"e": e}, func(drawn map[string][]field.Element) lie {
		l := wrong
		l.tamper = repaired(e, 2, drawn, func() field.Element { // the true remainder is smaller by 2^3
			r := u.leafPoint(drawn)
			block := poly.EqIndex(r[b.Bits:], b.Offset>>b.Bits)
			return mul(field.FromInt64(-8), block, drawn["lookup gamma"][0], poly.EqIndex(r[:b.Bits], cell))
		})
		return l
	})
}

// An inverse square root that is the prover's word. In zkLLM's released code (jvhs0706/zkllm-ccs2024, rmsnorm.cu) the factor of
// every row is read from a file, rms_inv_temp.bin, and multiplied in; nothing compares it with the row. Jolt Atlas proved the
// equations of both remainders and left their ranges for later (ICME-Lab/jolt-atlas, pull request 117). A row can be scaled at
// will, or erased.
//
// Here two slacks, each looked up, leave one integer; without them any r within its limbs does.
func knownUnconstrainedRsqrt(t *testing.T) {
	u := stage(t, "norm")
	for _, change := range []func(int64) int64{set(0), add(1), add(-3)} {
		u.needs(t, lie{override: at("r.limb0", 1, change)}, "r.below", "r.above")
	}
	u.needs(t, lie{override: at("r.limb0", 1, add(1))}, "r.below")  // either of them is needed
	u.needs(t, lie{override: at("r.limb0", 1, add(-1))}, "r.above") // on its side
}

// Rows that need not sum to one. zkLLM (arXiv 2404.16109) shifts every row of scores so that its exponentials sum to one, up to an
// error. In the released code (jvhs0706/zkllm-ccs2024, zksoftmax.cu) the bound E of the error is stored and not used: the proof
// says that scores and segments differ by the shift, and the shift is any. All attention of a row can be scaled up or down.
//
// Here a row is divided by its own sum, and its shift is the maximum, which must be attained. The third row below is another one
// that must sum to one: a private token.
func knownMissingRowSum(t *testing.T) {
	u := stage(t, "attention")
	for row := range 3 {
		u.needs(t, lie{override: at("attn.inv.limb0", row, set(0))}, "attn.inv.below", "attn.inv.above")
		u.needs(t, lie{override: at("attn.max.limb0", row, add(1))}, "attn.attained")
	}
	u = stage(t, "private embedding")
	// Without its 1 the first row embeds as nothing, whose logits are all 0: token 0 follows, and token 2 after that.
	st := &generation.Statement{Tokens: []int64{generation.Hidden, 0}, Prompt: 1, Next: 2}
	u.needs(t, lie{override: at("tokens", 4, set(0)), claims: st, input: st, private: generation.PrivateInput(u.c, []int64{4, 0})}, "tokens.sum")
}

// A range proof of something else. In zkGPT's code (USENIX Security 2025; seen in the public copy Koukyosyumei/zkGPT,
// src/range_prover.cpp) the range prover fills its inputs with random numbers of the right size and proves that these are in
// range; no commitment ties them to the network. gnark-crypto's lookup of tables had commitments that were not compared with the
// ones inside the proof (Consensys gnark-crypto, pull request 855). Such a proof says nothing about the witness.
//
// The prover below does that: his assignment holds numbers in range, his rows hold others. Here a column has no commitment of its
// own; its evaluation is opened in the rows, and only this refuses him.
func knownRangeProofOfOtherData(t *testing.T) {
	u, r := neighbours(t), field.FromInt64(57)
	z, shown, held := u.id(t, "z"), []int64{8, -9, 3}, []int64{1000, -1 << 30, 9}
	other := lie{override: func(name string, v []int64) {
		if name == "z" {
			copy(v, shown)
		}
	}, rows: func(_ *commit.Layout, rows [][]int32) {
		for cell := range held {
			row, col := u.locate(t, z, cell)
			rows[row][col] = int32(held[cell])
		}
	}}
	u.mustReject(t, other)
	u.breaksWithout(t, map[string]field.Element{"columns": r}, func(drawn map[string][]field.Element) lie {
		l, first := other, true
		l.tamper = tamperer{scalars: func(label string, v []field.Element) {
			if label == "columns" && first { // z is the fourth opening, behind two tables' multiplicities and y
				first = false
				at := u.leafPoint(drawn)[:2]
				excess := sub(poly.EvalInts(shown, []int{3}, at), poly.EvalInts(held, []int{3}, at))
				bend(v, r, mul(excess, field.Powers(drawn["alpha"][0], 5)[4]))
			}
		}}
		return l
	})
}

// A fraction 0/0 at the root. Fractions are added without division (Papini, Haböck, eprint 2023/1284), so that two poles make the
// root 0/0, whose numerator says that the sum is zero. This is a class of error; no public instance of it was found. Verifiers
// that look are DeepProve's (Lagrange-Labs/deep-prove, zkml/src/iop/verifier.rs: the accumulated denominator is not zero) and
// Winterfell's (facebook/winterfell, verifier/src/logup_gkr/mod.rs, ZeroOutputDenominator).
//
// The prover below knows β and γ and puts poles into two cells of y; then z may leave its range. The product 1 = q·q⁻¹ refuses him,
// and nothing else: with c known he repairs that product, the fourth of the proof, by the free value h(0).
func knownZeroFractionRoot(t *testing.T) {
	u := neighbours(t)
	frozen := map[string]field.Element{
		"lookup beta": field.FromInt64(1<<44 + 7), "lookup gamma": field.FromInt64(1<<43 + 9), "c": field.FromInt64(1 << 41),
	}
	honest, err := u.generate(lie{})
	require.NoError(t, err)
	poles := map[int]field.Element{}
	for cell := 1; cell < 3; cell++ { // β − 1 − γ·y = 0, where 1 is the id of y's table
		pole := div(sub(frozen["lookup beta"], one), frozen["lookup gamma"])
		poles[cell] = sub(pole, field.FromInt64(honest.Tensor(u.id(t, "y")).All()[cell]))
	}
	long := poly.LagrangeAt(2*u.sizes(t).Counts.Products, frozen["c"])
	forge := func(inverse field.Element) lie { // inverse is what q·q⁻¹ is short of one
		l := foreign{fields: map[string]map[int]field.Element{"y": poles}}.lie(t, u)
		l.override = at("z", 2, set(-77))
		l.tamper = tamperer{scalars: func(label string, v []field.Element) {
			if label == "product block" {
				v[2] = sub(v[2], mul(inverse, div(long[4], long[0])))
			}
		}}
		return l
	}
	u.breaksWithout(t, frozen, func(map[string][]field.Element) lie { return forge(one) })
	l := forge(field.Element{})
	l.source = freeze(frozen)
	proof, err := u.prove(l)
	require.NoError(t, err)
	require.ErrorIs(t, u.verifyWith(t, u.st, proof, freeze(frozen)), veil.ErrRejected, "the inverse is checked")
}

// divided divides by 8 and looks the remainder up in [0, top]; the program that divides has top = 7.
func divided(top int64) spec {
	return spec{cfg: config("divided"), build: func(b *circuit.Builder) {
		x := b.Weight("x", 6, 3)
		y := b.Witness("y", -8, 8, 3)
		b.Lookup(gadget.Range(b, -8, 8), y)
		b.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{x}, Out: []circuit.ID{y}, Params: []int64{3}})
		rem := b.VirtualBound("rem", []int{3}, 0, top, "looked up in this range",
			circuit.Scaled(b, 1, x), circuit.Scaled(b, -8, y), circuit.Ones(4, []int{3}))
		b.Lookup(gadget.Range(b, 0, top), rem)
	}, weights: map[string][]int64{"x": {4, -20, 9}}} // remainders 0, 0, 5
}

// Bounds that the prover chooses. In Jolt Atlas the bound of a remainder's range check was a tensor of the prover's
// (ICME-Lab/jolt-atlas, issue 195): a proof with τ+1 in place of τ verified, hence two results of one division.
//
// Here ranges are tables of the circuit. The prover below uses a table that is one line longer: key and proof of such a circuit
// are sound, for it, but the verifier reads neither with his own circuit, under whatever header; and no message of a proof
// carries a bound, so that with the right table the result is refused.
func knownProverChosenRange(t *testing.T) {
	wrong := lie{override: at("y", 0, set(0))} // ⌊(4+4)/8⌋ = 1, and 0 leaves the remainder 8
	wide, u := newSubject(t, divided(8)), newSubject(t, divided(7))
	wide.control(t)
	wide.accept(t, wrong)
	u.mustReject(t, wrong)

	digest, id := u.c.Digest(), u.vk.ModelID()
	require.NotEqual(t, digest, wide.c.Digest())
	_, err := verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), wide.vkBytes)
	require.ErrorIs(t, err, format.ErrCircuit)
	_, err = verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), patch(wide.vkBytes, 12, digest[:]))
	require.ErrorIs(t, err, veil.ErrRejected)
	proof, err := wide.prove(wrong)
	require.NoError(t, err)
	require.ErrorIs(t, u.verify(u.st, proof), format.ErrCircuit)
	require.NoError(t, refusal(u.verify(u.st, patch(patch(proof, 12, digest[:]), 44, id[:]))))
}

// A remainder that is committed and not range-checked. In Jolt Atlas ScalarConstDiv proves input = divisor·output + remainder and
// opens the remainder, but does not bound it (ICME-Lab/jolt-atlas, issue 203), so that every output has a remainder.
//
// Here the remainder is defined by that equation and looked up; without the lookup any quotient in its range passes.
func knownUnboundedRemainder(t *testing.T) {
	for name, tensor := range map[string]string{"rescale": "y", "table": "x"} {
		u := stage(t, name)
		for _, d := range []int64{1, -1, 3} { // from inside of the range to inside
			u.needs(t, lie{override: at(tensor, 2, add(d))}, tensor+".rem")
		}
	}
}

// Public inputs that are not bound. Challenges that do not depend on the statement let the prover choose the statement last: Trail
// of Bits' "Frozen Heart" (2022) in PlonK and Bulletproofs implementations; binius-zk/binius64, issue 1350, in its shift argument, where a
// proof passed for another public witness.
//
// The transcript weak hears the prover's messages only. A proof of the true logits proves false ones there which agree at τ, a
// point that the prover knows by then; τ is small so that integers agree there. The transcript strong has the same τ and hears
// the statement: it refuses them.
func knownUnboundPublicInput(t *testing.T) {
	u := stage(t, "reveal logits")
	frozen := map[string]field.Element{"zero-check tau": two}
	weak := func(*transcript.Transcript) transcript.Source {
		return &source{Source: transcript.New("weak Fiat-Shamir"), frozen: frozen}
	}
	strong := freeze(frozen)
	wrong := *u.text()
	wrong.Logits = slices.Clone(u.text().Logits)
	wrong.Logits[0] += 2 // (1−τ)·2 + τ·1 = 0
	wrong.Logits[1]++
	require.NotEqual(t, u.text().Logits, wrong.Logits)
	for _, run := range []struct {
		source func(*transcript.Transcript) transcript.Source
		want   error
	}{{weak, nil}, {strong, veil.ErrRejected}} {
		proof, err := u.prove(lie{source: run.source})
		require.NoError(t, err)
		require.NoError(t, u.verifyWith(t, u.st, proof, run.source))
		require.ErrorIs(t, u.verifyWith(t, &wrong, proof, run.source), run.want)
	}
	u.mustReject(t, lie{claims: &wrong})
	u.mustReject(t, claiming(&wrong))
}
