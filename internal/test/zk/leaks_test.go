package zk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// A system that yields the same bytes twice, a restored snapshot of a machine say, must not make two models share blinders: the
// difference of their rows' commitments would be a sum of generators with the difference of the weights, without anything that hides
// it, and whoever suspects which weights changed can check. The same holds for two circuits.
func TestSetupWithRepeatedSystemBytes(t *testing.T) {
	o := engine.Dishonest(engine.Options{Backend: processor}, engine.Hooks{Seed: []byte("what the system yields")})
	setup := func(c *circuit.Circuit, weights map[circuit.ID]integer.Tensor) ([]group.Affine, string) {
		k, file, err := engine.Setup(context.Background(), circuit.Single(c), weights, o)
		require.NoError(t, err)
		u := &subject{c: c, key: k, vkFile: file}
		return u.points(t), string(u.secrets().secret)
	}
	c := compile(t, false)
	weights := kit.Weights(c, 5, 6)
	points, secret := setup(c, weights)
	again, _ := setup(c, weights)
	require.Equal(t, points, again, "the control: same bytes, same model, same key")

	t.Run("another model", func(t *testing.T) {
		tuned := maps.Clone(weights)
		id := tensorID(t, c, "head")
		w := weights[id]
		w.V = append([]int64(nil), w.V...)
		w.V[0] ^= 1 // within the range
		tuned[id] = w
		other, otherSecret := setup(c, tuned)
		assert.NotEqual(t, secret, otherSecret, "the prover's secret is shared by two models")
		for i := range points {
			assert.False(t, points[i].Equal(&other[i]), "row %d: an equal commitment says that these weights did not change", i)
			var diff group.Affine
			diff.Sub(&other[i], &points[i])
			for j, g := range group.Row(1 << c.WeightBits) {
				var minus group.Affine
				minus.Neg(&g)
				assert.False(t, diff.Equal(&g) || diff.Equal(&minus), "row %d: the attacker reads that the weight in column %d changed by one", i, j)
			}
		}
	})
	t.Run("another circuit", func(t *testing.T) {
		d := compile(t, true) // the same weights in the same places
		moved := map[circuit.ID]integer.Tensor{}
		for id, w := range weights {
			moved[tensorID(t, d, c.Tensor(id).Name)] = w
		}
		other, otherSecret := setup(d, moved)
		assert.NotEqual(t, secret, otherSecret, "the prover's secret is shared by two circuits")
		for i := range points {
			assert.False(t, points[i].Equal(&other[i]), "row %d: a shared blinder", i)
		}
	})
}

func tensorID(t testing.TB, c *circuit.Circuit, name string) circuit.ID {
	t.Helper()
	for i := range c.Tensors {
		if c.Tensors[i].Name == name {
			return circuit.ID(i)
		}
	}
	require.Fail(t, "no tensor "+name)
	return -1
}

// Where the system yields the same bytes for two proofs, everything hidden keeps them apart: two private prompts under one statement,
// above all, which differ in nothing that is public.
func TestProofsWithRepeatedSystemBytes(t *testing.T) {
	u := shared[1](t)
	a, b := u.twins(t)
	seed := engine.Hooks{Seed: []byte("what the system yields")}
	first, second := u.prove(t, a, seed), u.prove(t, b, seed)
	require.Zero(t, repeated(chunks(first), chunks(second)))
	require.Equal(t, first, u.prove(t, a, seed), "the control: nothing else enters")
}

// twins returns two private prompts with the same answer: one statement.
func (u *subject) twins(t testing.TB) (a, b *engine.Input) {
	t.Helper()
	by := map[int64]*engine.Input{}
	for first := range int64(vocabulary) {
		in := u.ask(t, first, 2)
		if a := by[said(in).Next]; a != nil {
			require.NotEqual(t, a.Private, in.Private)
			return a, in
		}
		by[said(in).Next] = in
	}
	require.Fail(t, "no two prompts have one answer")
	return nil, nil
}

// A private prompt is in nothing that leaves the prover: two prompts with one answer have the same statement file, their proofs the
// same length and messages, and a statement that shows a private token is refused.
func TestPrivatePromptIsNowhere(t *testing.T) {
	u := shared[1](t)
	a, b := u.twins(t)
	fileA, err := statement.Encode(u.c, a.Statement)
	require.NoError(t, err)
	fileB, err := statement.Encode(u.c, b.Statement)
	require.NoError(t, err)
	require.Equal(t, fileA, fileB)
	require.Len(t, u.prove(t, a, engine.Hooks{}), len(u.prove(t, b, engine.Hooks{})))
	require.NoError(t, u.vk.VerifyStatement(u.c, a.Statement, u.prove(t, b, engine.Hooks{})), "nothing binds a proof to one of the two")

	told := *said(a)
	told.Tokens = a.Private[u.c.Generation.In][:len(told.Tokens)]
	_, err = told.Encode(u.c)
	require.ErrorIs(t, err, generation.ErrHidden)
	_, err = u.key.Prove(context.Background(), &engine.Input{Statement: &told, Private: a.Private}, engine.Options{Backend: processor})
	require.ErrorIs(t, err, generation.ErrHidden)
}

// Length and messages of a proof follow from the circuit, whatever the prompt, the answer and their lengths.
func TestMessagesFollowFromTheCircuit(t *testing.T) {
	for i := range shared {
		u := shared[i](t)
		var inputs []*engine.Input
		for _, prompt := range [][]int64{{0}, {4}, {1, 1}, {2, 0, 3}, {3, 3, 3, 3}, {0, 1, 2, 4}} {
			in := u.ask(t, prompt...)
			inputs = append(inputs, in)
			if len(prompt) < u.c.Generation.Length {
				inputs = append(inputs, u.answered(in, prompt))
			}
		}
		var schedules []string
		var lengths []int
		for _, in := range inputs {
			var log strings.Builder
			proof := u.prove(t, in, engine.Hooks{Transcript: func(tr *transcript.Transcript) transcript.Source {
				tr.Record(func(kind, label string, n int) { fmt.Fprintln(&log, kind, label, n) })
				return tr
			}})
			schedules, lengths = append(schedules, log.String()), append(lengths, len(proof))
		}
		for j := range inputs {
			require.Equal(t, schedules[0], schedules[j])
			require.Equal(t, lengths[0], lengths[j])
		}
	}
}

// answered is the same claim as in, made by an answer behind the prompt.
func (u *subject) answered(in *engine.Input, prompt []int64) *engine.Input {
	tokens := append(append([]int64(nil), prompt...), said(in).Next)
	st := &generation.Statement{Tokens: tokens, Prompt: len(prompt), Next: generation.Unclaimed}
	out := &engine.Input{Statement: st.Hide(u.c)}
	out.Private = generation.PrivateInput(u.c, tokens)
	return out
}

// forbidding answers one challenge with a value that the protocol forbids, and remembers what was absorbed.
type forbidding struct {
	transcript.Source
	label string
	value field.Element
	heard map[[32]byte]bool
}

func (f *forbidding) Challenge(label string) field.Element {
	v := f.Source.Challenge(label)
	if label == f.label {
		return f.value
	}
	return v
}

func (f *forbidding) ChallengeBytes(label string, n int) []byte {
	raw := f.Source.ChallengeBytes(label, n)
	if label == f.label {
		clear(raw)
	}
	return raw
}

func (f *forbidding) AbsorbPoints(label string, ps []group.Affine) {
	for i := range ps {
		f.heard[[32]byte(group.Encode(nil, &ps[i]))] = true
	}
	f.Source.AbsorbPoints(label, ps)
}

func (f *forbidding) AbsorbScalars(label string, es []field.Element) {
	for i := range es {
		f.heard[[32]byte(field.Encode(nil, &es[i]))] = true
	}
	f.Source.AbsorbScalars(label, es)
}

// A forbidden challenge makes the prover start again with fresh randomness. Nothing of the attempt that was given up is in the proof: a
// mask used under two challenges e would open everything.
func TestAbortedAttemptsAreForgotten(t *testing.T) {
	u := shared[0](t)
	in := u.ask(t, 2, 0, 3)
	for label, value := range map[string]field.Element{"c": field.FromInt64(1), "theta": {}, "x": {}, "fold": {}} {
		t.Run(label, func(t *testing.T) {
			heard := map[[32]byte]bool{}
			attempts := 0
			proof := u.prove(t, in, engine.Hooks{Transcript: func(tr *transcript.Transcript) transcript.Source {
				if attempts++; attempts < 3 {
					return &forbidding{tr, label, value, heard}
				}
				return tr
			}})
			require.Equal(t, 3, attempts)
			elements := u.dissect(t, in.Statement, proof, nil)
			require.Greater(t, len(heard), len(elements)/2)
			for i := range elements {
				require.False(t, heard[elements[i].bytes()], elements[i].label)
			}
		})
	}
}

// Proofs under one key, made side by side, share nothing with each other nor with the range proof in the verifying key.
func TestProofsUnderOneKeyShareNothing(t *testing.T) {
	u := shared[0](t)
	in := u.ask(t, 2, 0, 3)
	const n = 16
	files, errs := make([][]byte, n), make([]error, n)
	many(n, func(i int) { files[i], errs[i] = u.try(in, engine.Hooks{}) })
	setup, _ := u.dissectKey(t)
	for _, p := range u.points(t) {
		setup = append(setup, element{isPoint: true, point: p})
	}
	all := [][][32]byte{raw(setup)}
	for i := range files {
		require.NoError(t, errs[i])
		all = append(all, chunks(files[i]))
	}
	require.Zero(t, repeated(all...))
}

// A proof that does not verify is not covered by the argument: the residue of its final equation is the error of the false checks, and
// tells of the witness. Prove makes none: of a false claim it returns no bytes.
func TestNoProofOfAFalseClaim(t *testing.T) {
	for i := range shared {
		u := shared[i](t)
		for _, in := range u.lies(t) {
			proof, err := u.try(in, engine.Hooks{})
			require.Error(t, err)
			require.Nil(t, proof)
		}
	}
}

// Whoever may ask a prover for proofs, and sees why one is refused, must not learn more than that the claim is false. The cell that
// fails is a difference of two logits, exactly: enough claims would give all logits up to a constant. It is in the detail.
func TestRefusalTellsNothing(t *testing.T) {
	for i := range shared {
		u := shared[i](t)
		texts := map[string]bool{}
		for _, in := range u.lies(t) {
			_, err := u.try(in, engine.Hooks{})
			require.ErrorIs(t, err, engine.ErrFalse)
			texts[err.Error()] = true
			var r *engine.Refusal
			require.ErrorAs(t, err, &r)
			require.ErrorContains(t, r.Detail(), "which is no line of table")
		}
		assert.Len(t, texts, 1, "%v", slices.Collect(maps.Keys(texts)))
	}
}

// lies are false claims about several prompts: all answers but the right one.
func (u *subject) lies(t testing.TB) []*engine.Input {
	t.Helper()
	var out []*engine.Input
	for first := range int64(vocabulary) {
		honest := u.ask(t, first, 0, 3)
		for next := range int64(vocabulary) {
			if lie := *said(honest); next != lie.Next {
				lie.Next = next
				out = append(out, &engine.Input{Statement: &lie, Private: honest.Private})
			}
		}
	}
	return out
}
