package attack

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/veil"
	"github.com/zkllmc/zkllmc/runtime/verifier"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

// claiming is the prover who claims a statement and fills in the public tensors by it.
func claiming(st *statement.Statement) lie { return lie{input: st, claims: st} }

func TestMustRejectWrongOutput(t *testing.T) {
	u := stage(t, "reveal logits")
	for i := range u.st.Logits {
		st := *u.st
		st.Logits = slices.Clone(u.st.Logits)
		st.Logits[i]++
		u.mustReject(t, claiming(&st))    // public tensors by the claim
		u.mustReject(t, lie{claims: &st}) // public tensors by the truth
		proof, err := u.prove(lie{})      // the proof of the truth
		require.NoError(t, err)
		require.ErrorIs(t, u.verify(&st, proof), veil.ErrRejected)
	}
	u = stage(t, "reveal argmax")
	for next := range int64(u.c.Vocab) {
		if next != u.st.Next {
			st := *u.st
			st.Next = next
			u.mustReject(t, claiming(&st))
			u.mustReject(t, lie{claims: &st})
		}
	}
}

// Values that differ from the true ones by the modulus do not exist: 64 bits are all that a statement holds, and the bounds of
// the tensor that binds them less than that.
func TestMustRejectLogitsOutOfBounds(t *testing.T) {
	u := stage(t, "reveal logits")
	proof, err := u.prove(lie{})
	require.NoError(t, err)
	for _, x := range []int64{1 << 40, -1 << 40, 1<<63 - 1, -1 << 63} {
		st := *u.st
		st.Logits = slices.Clone(u.st.Logits)
		st.Logits[0] = x
		require.ErrorIs(t, u.vk.VerifyStatement(&st, proof), statement.ErrLogits)
	}
}

// The tie at the first revealed position is between tokens 1 and 4, at the second one between all.
func TestMustRejectTieBrokenToAHigherIndex(t *testing.T) {
	u := stage(t, "reveal argmax")
	u.mustReject(t, claiming(&statement.Statement{Tokens: []int64{3, 4}, Prompt: 1, Next: 0}))
	for next := int64(1); next < 5; next++ {
		u.mustReject(t, claiming(&statement.Statement{Tokens: []int64{3, 1}, Prompt: 1, Next: next}))
	}
}

func TestMustRejectChangedPublicInput(t *testing.T) {
	u := stage(t, "reveal logits")
	for token := range int64(5) {
		if token == u.st.Tokens[0] {
			continue
		}
		other := *u.st
		other.Tokens = []int64{token, u.st.Tokens[1]}
		a, err := u.generate(lie{input: &other})
		require.NoError(t, err)
		other.Reveal(u.c, a.Tensor(u.c.Output))
		u.accept(t, claiming(&other)) // true of the other input
		st := *u.st
		st.Logits = other.Logits
		u.mustReject(t, lie{input: &other, claims: &st}) // its answer claimed of this one
	}
}

// A private prompt may be any, but the public tokens behind it are what the statement says, and pads are pads.
func TestMustRejectChangedPrivateInput(t *testing.T) {
	u := stage(t, "private embedding")
	u.accept(t, lie{private: &witness.PrivateInput{Tokens: []int64{0, 2}}})
	u.mustReject(t, lie{private: &witness.PrivateInput{Tokens: []int64{4, 3}}})
	u.mustReject(t, lie{private: &witness.PrivateInput{Tokens: []int64{4, 2, 1}}})
	v := u.c.Vocab
	for name, l := range map[string]lie{
		"no token":           {override: at("tokens", 4, set(0))},
		"two tokens":         {override: at("tokens", 0, set(1))},
		"half of each":       {override: both(at("tokens", 4, set(2)), at("tokens", 0, set(-1)))},
		"no public token":    {override: at("tokens", v+2, set(0))},
		"other public token": {override: both(at("tokens", v+2, set(0)), at("tokens", v, set(1)))},
	} {
		t.Run(name, func(t *testing.T) { u.mustReject(t, l) })
	}
}

func TestMustRejectWrongWeightsForTheCommitment(t *testing.T) {
	u := stage(t, "reveal logits")
	for id, w := range u.weights {
		lo := u.c.Tensor(id).Lo
		for cell := range w.V {
			d := int64(1)
			if w.V[cell] > lo {
				d = -1
			}
			weights := u.changed(id, cell, d)
			a, err := u.generate(lie{weights: weights})
			require.NoError(t, err)
			st := *u.st
			st.Reveal(u.c, a.Tensor(u.c.Output)) // the other model's true answer
			u.reject(t, lie{weights: weights, claims: &st, input: &st})
		}
	}
	u.accept(t, lie{})
}

// anotherModel is the same circuit with other weights.
func anotherModel(t *testing.T, name string) *subject {
	s := stages[name]
	u := stage(t, name)
	s.weights = map[string][]int64{}
	for id, w := range u.weights {
		v := slices.Clone(w.V)
		slices.Reverse(v)
		s.weights[u.c.Tensor(id).Name] = v
	}
	return newSubject(t, s)
}

func TestMustRejectWeightsOfAnotherModel(t *testing.T) {
	u, other := stage(t, "reveal logits"), anotherModel(t, "reveal logits")
	require.Equal(t, u.c.Digest(), other.c.Digest())
	require.NotEqual(t, u.key.ModelID(), other.key.ModelID())
	proof, err := other.prove(lie{})
	require.NoError(t, err)
	require.NoError(t, other.verify(other.st, proof))
	require.ErrorIs(t, u.verify(other.st, proof), format.ErrModel)
	id := u.vk.ModelID()
	require.ErrorIs(t, u.verify(other.st, patch(proof, 44, id[:])), veil.ErrRejected)
	u.reject(t, lie{weights: other.weights, claims: other.st}) // its weights under our commitment
}

// patch returns a copy with bytes replaced.
func patch(data []byte, at int, b []byte) []byte {
	out := bytes.Clone(data)
	copy(out[at:], b)
	return out
}

// answered is the true statement about a prompt of one token and an answer of one.
func (u *subject) answered(t *testing.T, prompt, answer int64) *statement.Statement {
	st := &statement.Statement{Tokens: []int64{prompt, answer}, Prompt: 1, Next: statement.Unclaimed, Logits: make([]int64, 2*u.c.Vocab)}
	a, err := u.generate(lie{input: st})
	require.NoError(t, err)
	st.Reveal(u.c, a.Tensor(u.c.Output))
	return st
}

// Logits that are the model's do not make every answer the model's.
func TestMustRejectAnswerThatTheLogitsDoNotPredict(t *testing.T) {
	u := stage(t, "reveal logits")
	for answer := range int64(u.c.Vocab) {
		st := u.answered(t, 1, answer)
		proof, err := u.prove(claiming(st))
		require.NoError(t, err)
		if statement.Argmax(st.Logits[:u.c.Vocab]) == answer {
			require.NoError(t, u.verify(st, proof))
		} else {
			require.ErrorIs(t, u.verify(st, proof), statement.ErrAnswer)
		}
	}
}

func TestMustRejectReplay(t *testing.T) {
	u := stage(t, "reveal logits")
	proof, err := u.prove(lie{})
	require.NoError(t, err)
	require.NoError(t, u.verify(u.st, proof))

	t.Run("for another input", func(t *testing.T) {
		st := *u.st
		st.Tokens = []int64{2, 1}
		require.ErrorIs(t, u.verify(&st, proof), veil.ErrRejected)
	})
	t.Run("for another prompt length", func(t *testing.T) {
		st := u.answered(t, 1, 1)
		u.accept(t, claiming(st)) // true, but of another statement
		require.ErrorIs(t, u.verify(st, proof), veil.ErrRejected)
	})
	t.Run("for another output", func(t *testing.T) {
		require.ErrorIs(t, u.verify(wrongLogits(u), proof), veil.ErrRejected)
	})
	t.Run("for another model", func(t *testing.T) {
		other := anotherModel(t, "reveal logits")
		require.ErrorIs(t, other.verify(u.st, proof), format.ErrModel)
		id := other.vk.ModelID()
		require.ErrorIs(t, other.verify(u.st, patch(proof, 44, id[:])), veil.ErrRejected)
	})
	t.Run("for another circuit", func(t *testing.T) {
		s := stages["reveal logits"]
		s.cfg.Name = "the same under another name"
		other := newSubject(t, s)
		require.Equal(t, u.weights, other.weights)
		require.ErrorIs(t, other.verify(u.st, proof), format.ErrCircuit)
		digest, id := other.c.Digest(), other.vk.ModelID()
		moved := patch(patch(proof, 12, digest[:]), 44, id[:])
		require.ErrorIs(t, other.verify(u.st, moved), veil.ErrRejected)
		_, err := verifier.ReadKey(other.c, patch(u.vkBytes, 12, digest[:])) // a range proof of another circuit
		require.ErrorIs(t, err, veil.ErrRejected)
	})
	t.Run("a range proof for another model", func(t *testing.T) {
		other := anotherModel(t, "reveal logits")
		rows := 44 + 32*protocol.WeightLayout(u.c).Rows
		mixed := append(bytes.Clone(u.vkBytes[:rows]), other.vkBytes[rows:]...)
		_, err := verifier.ReadKey(u.c, mixed)
		require.ErrorIs(t, err, veil.ErrRejected)
	})
}

// A weight outside its declared range cannot be set up: the range proof fails, whether the weight is a small integer or not.
func TestMustRejectWeightOutOfRange(t *testing.T) {
	u := stage(t, "copy")
	id := u.id(t, "x")
	try := func(cell int64, delta int64) error {
		w := kernel.Tensor{Shape: u.c.Tensor(id).Shape, V: []int64{cell, 7, 1}}
		b := &setupCells{fieldCells{Backend: backend, cells: []fieldCell{{key: &w.V[0], shape: w.Shape, cell: 0, delta: fraction(delta, 1)}}}, false}
		_, vk, err := prover.Setup(context.Background(), u.c, map[circuit.ID]kernel.Tensor{id: w}, prover.Options{Backend: b})
		require.NoError(t, err)
		_, err = verifier.ReadKey(u.c, vk)
		return err
	}
	require.NoError(t, try(-8, 0))
	for _, delta := range []int64{16, -1, 1 << 20, -1 << 40} { // −8 + delta is outside [−8, 7]
		require.ErrorIs(t, try(-8, delta), veil.ErrRejected)
	}
	require.Error(t, func() error { // the honest prover does not even try
		w := kernel.Tensor{Shape: u.c.Tensor(id).Shape, V: []int64{8, 7, 1}}
		_, _, err := prover.Setup(context.Background(), u.c, map[circuit.ID]kernel.Tensor{id: w}, prover.Options{Backend: backend})
		return err
	}())
}

// setupCells commits to field cells in the first set of rows, the weights.
type setupCells struct {
	fieldCells
	done bool
}

func (b *setupCells) CommitRows(gens []group.Affine, rows []kernel.Row) []group.Affine {
	if b.done {
		return b.Backend.CommitRows(gens, rows)
	}
	b.done = true
	return b.fieldCells.CommitRows(gens, rows)
}

func TestMustRejectRemainderOutOfRange(t *testing.T) {
	for _, name := range []string{"rescale", "wide rescale", "clamp", "copy", "wide clamp"} {
		u := stage(t, name)
		y := "y"
		if name[:4] == "wide" {
			y = "q"
		}
		for _, d := range []int64{1, -1} { // the remainder moves by 2^s, out of its range
			u.mustReject(t, lie{override: at(y, 2, add(d))})
		}
	}
}

func TestMustRejectWrongMultiplicity(t *testing.T) {
	u := stage(t, "rescale")
	for i := range u.c.Tables {
		name := u.c.Tensor(u.c.Tables[i].Mult).Name
		for cell := range u.c.Tables[i].Cols[0] {
			u.reject(t, lie{override: at(name, cell, add(1))})
		}
		u.mustReject(t, lie{override: both(at(name, 0, add(1)), at(name, 1, add(-1)))})
	}
}

// A table's pair with the output of another line, in a table of its own and in one fused with a clamp.
func TestMustRejectOutputOfAnotherLine(t *testing.T) {
	u := stage(t, "table")
	for d := int64(-2); d <= 2; d++ {
		if d != 0 {
			u.mustReject(t, lie{override: at("y", 0, add(d))})
		}
	}
	u = stage(t, "rescale table")
	u.mustReject(t, lie{override: at("act", 2, add(1))})
	u.mustReject(t, lie{override: at("act", 0, func(int64) int64 { return u.c.Tables[0].Cols[0][0] })})
}

func TestMustRejectRsqrtOffByOne(t *testing.T) {
	for _, name := range []string{"rsqrt", "norm"} {
		u := stage(t, name)
		for cell := range u.c.Tensor(u.id(t, "r.limb0")).Shape[0] {
			for _, d := range []int64{1, -1, 2, -2} {
				u.mustReject(t, lie{override: at("r.limb0", cell, add(d))})
			}
			u.mustReject(t, lie{override: at("r.limb0", cell, func(v int64) int64 { return -v })}) // (−r)²·S is right
		}
	}
}

func TestMustRejectReciprocalOffByOne(t *testing.T) {
	u := stage(t, "reciprocal")
	for cell := range 3 {
		for _, d := range []int64{1, -1} {
			u.mustReject(t, lie{override: at("r.limb0", cell, add(d))})
		}
	}
}

// The branch of a saturated cell, the upper one for the lower one and none for one, with the excess that this leaves.
func TestMustRejectOtherSaturationBranch(t *testing.T) {
	for name, tensor := range map[string]string{"clamp": "y", "clamp without shift": "y", "wide clamp": "q", "rescale table": "act.in"} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			y := u.c.Tensor(u.id(t, tensor))
			class := tensor + ".class" // cell 0 is saturated below, cell 1 above, cell 2 not at all
			for cell, branches := range map[int][]int64{0: {0, 1}, 1: {0, -1}, 2: {1, -1}} {
				for _, k := range branches {
					bound := map[int64]int64{0: y.Hi, 1: y.Hi, -1: y.Lo}[k]
					u.mustReject(t, lie{override: both(at(tensor, cell, set(bound)), at(class, cell, set(k)))})
				}
			}
			u.mustReject(t, lie{override: at(tensor, 0, set(y.Hi))})   // the value without the class
			u.mustReject(t, lie{override: at(class, 0, set(1))})       // the class without the value
			u.mustReject(t, lie{override: at(tensor, 0, set(y.Lo+1))}) // saturation that stops early
		})
	}
}

// A limb that does not recompose: the lowest limb is what is left, so that another high limb leaves something out of range; and
// a prover who evaluates the lowest limb as if nothing had happened.
func TestMustRejectLimbThatDoesNotRecompose(t *testing.T) {
	u := stage(t, "wide rescale")
	for _, d := range []int64{1, -1} {
		u.mustReject(t, lie{override: at("q.rem.limb1", 0, add(d))})
	}
	low := u.id(t, "q.rem.limb0")
	honest, err := u.generate(lie{})
	require.NoError(t, err)
	kept := slices.Clone(honest.Tensor(low).V)
	u.mustReject(t, lie{override: at("q.rem.limb1", 0, func(v int64) int64 { return v ^ 1 }), edit: func(a *witness.Assignment) {
		a.Tensor(low).V = kept
		recount(u.c, a, nil)
	}})
}

func TestMustRejectWrongRowMax(t *testing.T) {
	u := stage(t, "attention") // the first row sees only its first score, 3; the others are 31 and −30
	const max = "attn.max.limb0"
	for row := range 3 {
		u.mustReject(t, lie{override: at(max, row, add(1))})
		u.mustReject(t, lie{override: at(max, row, add(-1))})
	}
	// The maximum over all scores, with the masked one of 31: attained at a masked position only.
	u.mustReject(t, lie{override: at(max, 0, func(v int64) int64 { return v + 14 })})
	// Too large, and an indicator that claims the maximum is attained.
	u.mustReject(t, lie{override: both(at(max, 0, add(1)), at("attn.zd", 0, set(1)))})
	// Attained nowhere, and twice elsewhere.
	u.mustReject(t, lie{override: both(at(max, 1, add(1)), at("attn.zd", 3, set(2)))})
}

// The masked positions get weight: by the exponential alone, by all of their segments, and by another mask.
func TestMustRejectAttentionToAMaskedPosition(t *testing.T) {
	u := stage(t, "attention")
	const cell = 1 // row 0, column 1 is masked
	u.mustReject(t, lie{override: at("attn.exp", cell, set(64))})
	u.mustReject(t, lie{override: both(at("attn.dlo", cell, set(0)), at("attn.u", cell, set(0)))})
	u.mustReject(t, lie{override: both(at("attn.u", cell, set(0)), at("attn.zu", cell, set(1)))})
	u.mustReject(t, lie{override: at("attn.zu", cell, set(1))})
	for i := range 9 {
		if causal(3)[i] == 1 {
			mask := causal(3)
			mask[i] = 0
			u.mustReject(t, lie{circuit: finish(t, config("attention"), zkattn(mask, 3))})
		}
	}
}

// A mask that hides what is to be seen.
func TestMustRejectWrongMask(t *testing.T) {
	for name, masks := range map[string][][]int64{
		"attention": {{0, 1, 1, 1, 0, 1, 0, 0, 0}, {0, 1, 1, 0, 0, 1, 1, 0, 0}},
		"key mask":  {{0, 1, 1, 0}, {1, 0, 0, 1}},
	} {
		u := stage(t, name)
		u.accept(t, lie{circuit: finish(t, stages[name].cfg, stages[name].build)})
		for _, m := range masks {
			u.mustReject(t, lie{circuit: finish(t, stages[name].cfg, zkattn(m, map[string]int{"attention": 3, "key mask": 4}[name]))})
		}
	}
}

// The residual stream of another tensor, of none, and with the sign changed.
func TestMustRejectWrongSkipConnection(t *testing.T) {
	u := stage(t, "residual")
	u.accept(t, lie{circuit: finish(t, stages["residual"].cfg, residual("y1", 1))})
	other := finish(t, stages["residual"].cfg, residual("y0", 1))
	require.Equal(t, len(u.c.Tensors), len(other.Tensors))
	u.mustReject(t, lie{circuit: other})
	u.mustReject(t, lie{circuit: finish(t, stages["residual"].cfg, residual("y1", 0))})
	u.mustReject(t, lie{circuit: finish(t, stages["residual"].cfg, residual("y1", -1))})
}

// rotation multiplies pairs by constant angles, as rotary position embeddings do.
func rotation(cos []int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		x := b.Weight("x", 5, 2, 3)
		acc := b.Virtual("acc", []int{2, 3}, b.Times(1, "td,td->td t=2 d=3", x, b.Const("cos", cos, 2, 3)))
		gadget.Rescale(b, "y", acc, 3, -32, 32)
	}
}

func TestMustRejectWrongRotation(t *testing.T) {
	right, wrong := []int64{8, 8, 8, 7, 6, 5}, []int64{8, 8, 8, 7, 5, 6}
	u := newSubject(t, spec{cfg: config("rotation"), build: rotation(right)})
	u.accept(t, lie{circuit: finish(t, config("rotation"), rotation(right))})
	u.mustReject(t, lie{circuit: finish(t, config("rotation"), rotation(wrong))})
}

// garbage fills every cell of every row that holds no cell of a tensor: gaps of shared rows, tails of chunks, the rest of rows.
func (u *subject) garbage(t *testing.T, value func(row, col int) int32) func(*commit.Layout, [][]int32) {
	return func(layout *commit.Layout, rows [][]int32) {
		ones, err := layout.Cells(u.c, func(id circuit.ID) *kernel.Tensor {
			v := make([]int64, circuit.Size(u.c.Tensor(id).Shape))
			for i := range v {
				v[i] = 1
			}
			return &kernel.Tensor{Shape: u.c.Tensor(id).Shape, V: v}
		})
		require.NoError(t, err)
		gaps := 0
		for r := range rows {
			for c := range 1 << layout.Bits {
				if c >= len(rows[r]) {
					rows[r] = append(rows[r], 0)
				}
				if c >= len(ones[r]) || ones[r][c] == 0 {
					rows[r][c] = value(r, c)
					gaps++
				}
			}
		}
		require.Positive(t, gaps)
	}
}

// What a prover writes into gaps, tails and padding has weight zero: the proof of a true statement is still one, as it must be
// for the commitment to be that of the tensors alone, and a false one stays false, also if the gap holds the very value that is
// missing next to it.
func TestMustRejectGarbageInGapsTailsAndPadding(t *testing.T) {
	for _, name := range []string{"layout", "rescale", "attention", "reveal logits"} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			for _, value := range []func(r, c int) int32{
				func(r, c int) int32 { return int32(r*31+c*7) - 50 },
				func(int, int) int32 { return 1<<31 - 1 },
				func(int, int) int32 { return -1 },
			} {
				rows := u.garbage(t, value)
				u.accept(t, lie{rows: rows})
				for i := range u.c.Tensors {
					if c := &u.c.Tensors[i]; c.Kind == circuit.Witness && !c.Mult {
						u.reject(t, lie{rows: rows, override: at(c.Name, circuit.Size(c.Shape)-1, add(1))})
					}
				}
			}
		})
	}
}

// The prover computes with the honest witness and commits to one that differs in one cell, of any tensor.
func TestMustRejectCommittedCellChanged(t *testing.T) {
	for _, name := range []string{"layout", "copy", "attention"} {
		u := stage(t, name)
		var lies []named
		for i := range u.c.Tensors {
			c := &u.c.Tensors[i]
			if c.Kind != circuit.Witness {
				continue
			}
			for _, cell := range spread(circuit.Size(c.Shape), 3) {
				row, col := u.locate(t, c.ID, cell)
				lies = append(lies, named{fmt.Sprintf("%s[%d]", c.Name, cell), lie{rows: func(_ *commit.Layout, rows [][]int32) { rows[row][col]++ }}})
			}
		}
		u.sweep(t, lies)
	}
}
