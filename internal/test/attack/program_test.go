package attack

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// claiming is the prover who claims a statement and fills in the public tensors by it.
func claiming(st statement.Statement) lie { return lie{input: st, claims: st} }

// The tie at the first revealed position is between tokens 1 and 4, at the second one between all.
func rejectTieBrokenToAHigherIndex(t *testing.T) {
	u := stage(t, "reveal argmax")
	u.mustReject(t, claiming(&generation.Statement{Tokens: []int64{3, 4}, Prompt: 1, Next: 0}))
	for next := int64(1); next < 5; next++ {
		u.mustReject(t, claiming(&generation.Statement{Tokens: []int64{3, 1}, Prompt: 1, Next: next}))
	}
}

// A private prompt may be any, but the public tokens behind it are what the statement says, and pads are pads.
func rejectChangedPrivateInput(t *testing.T) {
	u := stage(t, "private embedding")
	u.accept(t, lie{private: generation.PrivateInput(u.c, []int64{0, 2})})
	u.mustReject(t, lie{private: generation.PrivateInput(u.c, []int64{4, 3})})
	u.mustReject(t, lie{private: generation.PrivateInput(u.c, []int64{4, 2, 1})})
}

// Rows of a private input that hold no token, two, or parts of two, and public tokens that are not the statement's.
func rejectRowsThatAreNotOneHot(t *testing.T) {
	u := stage(t, "private embedding")
	v := u.c.Generation.Vocab
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

func rejectWrongWeightsForTheCommitment(t *testing.T) {
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
			st := *u.text()
			st.Reveal(u.c, a.Tensor(u.c.Generation.Output)) // the other model's true answer
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

func rejectWeightsOfAnotherModel(t *testing.T) {
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
func (u *subject) answered(t *testing.T, prompt, answer int64) *generation.Statement {
	st := &generation.Statement{Tokens: []int64{prompt, answer}, Prompt: 1, Next: generation.Unclaimed, Logits: make([]int64, 2*u.c.Generation.Vocab)}
	a, err := u.generate(lie{input: st})
	require.NoError(t, err)
	st.Reveal(u.c, a.Tensor(u.c.Generation.Output))
	return st
}

// Logits that are the model's do not make every answer the model's.
func rejectAnswerThatTheLogitsDoNotPredict(t *testing.T) {
	u := stage(t, "reveal logits")
	for answer := range int64(u.c.Generation.Vocab) {
		st := u.answered(t, 1, answer)
		proof, err := u.prove(claiming(st))
		require.NoError(t, err)
		if statement.Argmax(st.Logits[:u.c.Generation.Vocab]) == answer {
			require.NoError(t, u.verify(st, proof))
		} else {
			require.ErrorIs(t, u.verify(st, proof), generation.ErrAnswer)
		}
	}
}

func rejectReplay(t *testing.T) {
	u := stage(t, "reveal logits")
	proof, err := u.prove(lie{})
	require.NoError(t, err)
	require.NoError(t, u.verify(u.st, proof))

	t.Run("for another input", func(t *testing.T) {
		st := *u.text()
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
		_, err := verifier.ReadKey(context.Background(), circuit.Single(other.c), kit.Kind(other.c), patch(u.vkBytes, 12, digest[:])) // a range proof of another circuit
		require.ErrorIs(t, err, veil.ErrRejected)
	})
	t.Run("a range proof for another model", func(t *testing.T) {
		other := anotherModel(t, "reveal logits")
		rows := 44 + 32*protocol.WeightLayout(u.c).Rows
		mixed := append(bytes.Clone(u.vkBytes[:rows]), other.vkBytes[rows:]...)
		_, err := verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), mixed)
		require.ErrorIs(t, err, veil.ErrRejected)
	})
}

// A weight outside its declared range cannot be set up: the range proof fails, whether the weight is a small integer or not. The
// lying processor computes the tree by its definition, too slowly for a big circuit.
func weightOutOfRange(t testing.TB, u *subject) (out []named) {
	if u.big {
		return nil
	}
	ids := protocol.WeightIDs(u.c)
	for _, i := range spread(len(ids), 2) {
		c := u.c.Tensor(ids[i])
		for _, x := range []int64{c.Lo - 1, c.Hi + 1, 1 << 40} {
			out = append(out, named{what: fmt.Sprintf("%s[0] = %d", c.Name, x), run: func() error {
				err := u.readKeyWith(t, c.ID, 0, x)
				if err == nil {
					return errAccepted
				}
				return refusal(err)
			}})
		}
	}
	return out
}

// readKeyWith commits to the model with one weight's cell worth something else than it is, and reads the key.
func (u *subject) readKeyWith(t testing.TB, id circuit.ID, cell int, worth int64) error {
	vk, err := u.setUpWith(t, id, cell, worth)
	if err != nil {
		return err
	}
	_, err = verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), vk)
	return err
}

// setUpWith returns the verifying key of a liar: one weight's cell is worth something else than the integer that the program sees.
func (u *subject) setUpWith(t testing.TB, id circuit.ID, cell int, worth int64) ([]byte, error) {
	row, col := u.place(t, circuit.Weight, u.c.WeightBits, id, cell)
	index := row / protocol.PieceRows(circuit.Single(u.c))
	piece, err := protocol.SetupPiece(circuit.Single(u.c), index)
	require.NoError(t, err)
	honest := u.tensors(t, piece, u.weights)
	was := u.weights[id].V[cell]
	changed := maps.Clone(u.weights)
	changed[id] = integer.Tensor{Shape: changed[id].Shape, V: slices.Clone(changed[id].V)}
	changed[id].V[cell]++
	at := fieldCell{delta: fraction(worth-was, 1), row: row - piece.Rows.From, col: col, cell: -1}
	for of, v := range u.tensors(t, piece, changed) { // where the cell is among the tensors of the piece
		was := honest[of]
		cells, like := v.All(), was.All()
		for i := range cells {
			if cells[i] != like[i] {
				require.Equal(t, -1, at.cell, "it is there once")
				at.shape, at.cell, at.like = v.Shape, i, like
			}
		}
	}
	b := &fieldCells{Backend: host, cells: []fieldCell{at}, piece: &index}
	_, vk, err := engine.Setup(context.Background(), circuit.Single(u.c), u.weights, engine.Options{Backend: b})
	if err != nil {
		return nil, fmt.Errorf("the prover fails: %v", err)
	}
	return vk, nil
}

// tensors are what a piece of the range proof is about.
func (u *subject) tensors(t testing.TB, piece *protocol.Piece, weights map[circuit.ID]integer.Tensor) map[circuit.ID]integer.Tensor {
	cellsOf := func(id circuit.ID, lo, hi int) (integer.Tensor, error) {
		w := weights[id]
		return w.Run(lo, hi), nil
	}
	rows, err := protocol.WeightLayout(u.c).LayRange(u.c, piece.Rows, func(id circuit.ID, lo, hi int) (backend.Tensor, error) {
		return &integer.Tensor{V: weights[id].V[lo:hi]}, nil
	})
	require.NoError(t, err)
	out, err := piece.Tensors(rows, cellsOf)
	require.NoError(t, err)
	return out
}

// The control: a cell that is worth nothing more than it is; and the honest prover does not even try to prove a false range.
func rejectWeightOutOfRange(t *testing.T) {
	u := stage(t, "copy")
	id := u.id(t, "x")
	require.NoError(t, u.readKeyWith(t, id, 0, u.weights[id].V[0]))
	w := integer.Tensor{Shape: u.c.Tensor(id).Shape, V: []int64{8, 7, 1}}
	_, _, err := engine.Setup(context.Background(), circuit.Single(u.c), map[circuit.ID]integer.Tensor{id: w}, engine.Options{Backend: processor})
	require.Error(t, err)
}

// Another high limb, and a prover who evaluates the lowest limb, which is what is left, as if nothing had happened.
func rejectLimbThatDoesNotRecompose(t *testing.T) {
	u := stage(t, "wide rescale")
	low := u.id(t, "q.rem.limb0")
	honest, err := u.generate(lie{})
	require.NoError(t, err)
	kept := slices.Clone(honest.Tensor(low).All())
	u.mustReject(t, lie{override: at("q.rem.limb1", 0, func(v int64) int64 { return v ^ 1 }), edit: func(a *witness.Assignment) {
		a.Tensor(low).V = kept
		recount(u.c, a, nil)
	}})
}

func rejectWrongRowMax(t *testing.T) {
	u := stage(t, "attention") // the first row sees only its first score, 3; the others are 31 and −30
	const max = "attn.max.limb0"
	// The maximum over all scores, with the masked one of 31: attained at a masked position only.
	u.mustReject(t, lie{override: at(max, 0, func(v int64) int64 { return v + 14 })})
	// Attained nowhere, and twice elsewhere.
	u.mustReject(t, lie{override: both(at(max, 1, add(1)), at("attn.zd", 3, set(2)))})
}

// The residual stream of another tensor, of none, and with the sign changed.
func rejectWrongSkipConnection(t *testing.T) {
	u := stage(t, "residual")
	u.accept(t, lie{circuit: finish(t, stages["residual"].cfg, residual("y1", 1))})
	other := finish(t, stages["residual"].cfg, residual("y0", 1))
	require.Equal(t, len(u.c.Tensors), len(other.Tensors))
	u.mustReject(t, lie{circuit: other})
	u.mustReject(t, lie{circuit: finish(t, stages["residual"].cfg, residual("y1", 0))})
	u.mustReject(t, lie{circuit: finish(t, stages["residual"].cfg, residual("y1", -1))})
}

// gaps lists the cells of all rows that hold no cell of a tensor: gaps of shared rows, tails of chunks, the rest of rows.
func (u *subject) gaps(t testing.TB) (free [][2]int) {
	layout := commit.NewLayout(u.c, circuit.Witness, u.c.WitnessBits)
	ones, err := kit.Cells(layout, u.c, func(id circuit.ID) *integer.Tensor {
		v := make([]int64, circuit.Size(u.c.Tensor(id).Shape))
		for i := range v {
			v[i] = 1
		}
		return &integer.Tensor{Shape: u.c.Tensor(id).Shape, V: v}
	})
	require.NoError(t, err)
	for r := range ones {
		for c := range 1 << layout.Bits {
			if c >= len(ones[r]) || ones[r][c] == 0 {
				free = append(free, [2]int{r, c})
			}
		}
	}
	return free
}

// fillGaps writes garbage where no tensor is.
func fillGaps(free [][2]int, value func(row, col int) int32) func(*commit.Layout, [][]int32) {
	return func(layout *commit.Layout, rows [][]int32) {
		for r := range rows {
			rows[r] = append(rows[r], make([]int32, 1<<layout.Bits-len(rows[r]))...)
		}
		for _, at := range free {
			rows[at[0]][at[1]] = value(at[0], at[1])
		}
	}
}

// What a prover writes into gaps, tails and padding has weight zero: the proof of a true statement is still one, as it must be
// for the commitment to be that of the tensors alone, and a false one stays false, also if the gap holds the very value that is
// missing next to it.
func rejectGarbageInGapsTailsAndPadding(t *testing.T) {
	for _, name := range []string{"layout", "rescale", "attention", "reveal logits"} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			for k, value := range []func(r, c int) int32{
				func(r, c int) int32 { return int32(r*31+c*7) - 50 },
				func(int, int) int32 { return 1<<31 - 1 },
				func(int, int) int32 { return -1 },
			} {
				free := u.gaps(t)
				require.NotEmpty(t, free)
				rows := fillGaps(free, value)
				u.accept(t, lie{rows: rows})
				for i := range u.c.Tensors {
					if c := &u.c.Tensors[i]; c.Kind == circuit.Witness && !c.Mult && (sweep || i%3 == k) {
						u.reject(t, lie{rows: rows, override: at(c.Name, circuit.Size(c.Shape)-1, add(1))})
					}
				}
			}
		})
	}
}

// What one constraint alone refuses: for every lookup and zero-check of every small circuit the lies about the circuit are searched for
// one that violates nothing else, by the slow definition of a satisfied circuit. A verifier who forgets that constraint accepts it, and
// ours does not; of every third one, and with make attacks of each, that is proved. Constraints whose lies need field elements that are
// no small integers are not found here; fieldcells_test.go has them.
func rejectWhatOneConstraintRefuses(t *testing.T) {
	alone, all := 0, 0
	for name := range stages {
		u := stage(t, name)
		pool := slices.Concat(committedTensorChanged(t, u), cellOutOfRange(t, u), otherSaturationBranch(t, u), wrongRowMax(t, u), attentionToAMaskedPosition(t, u))
		found := 0
		for _, c := range u.constraints() {
			all++
			l, ok := u.refusedOnlyBy(t, c, pool)
			if !ok {
				continue
			}
			alone++
			if found++; !sweep && found%3 != 1 {
				continue
			}
			require.NoError(t, u.without(t, c).outcome(l.lie), "%s: %s without %s", name, l.what, c)
			require.NoError(t, u.rejected(l.lie), "%s: %s", name, l.what)
		}
	}
	t.Logf("%d of %d constraints are alone in refusing a lie", alone, all)
	require.Greater(t, 2*alone, all)
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Contains(t, string(text), fmt.Sprintf("For %d of the %d lookups and zero-checks of the small circuits", alone, all))
}

// constraint is a lookup, or else a zero-check, of a circuit, by its index.
type constraint struct{ lookup, zero int }

func (c constraint) String() string {
	return fmt.Sprintf("lookup %d or zero-check %d", c.lookup, c.zero)
}

// constraints lists those of a stage, without the last of one that has no output of its own: it ties what is told to a weight.
func (u *subject) constraints() (out []constraint) {
	for i := range u.c.Lookups {
		out = append(out, constraint{i, -1})
	}
	zeros := len(u.c.Zeros)
	if u.c.Ports[0].Name == told {
		zeros--
	}
	for i := range zeros {
		out = append(out, constraint{-1, i})
	}
	return out
}

// without is the subject of a verifier who forgets a constraint.
func (u *subject) without(t testing.TB, x constraint) *subject {
	return u.forgetting(t, x.leftOut(u.c))
}

// leftOut is the circuit without the constraint.
func (x constraint) leftOut(of *circuit.Circuit) *circuit.Circuit {
	c := *of
	if x.zero < 0 {
		c.Lookups = slices.Delete(slices.Clone(c.Lookups), x.lookup, x.lookup+1)
	} else {
		c.Zeros = slices.Delete(slices.Clone(c.Zeros), x.zero, x.zero+1)
	}
	return &c
}

// refusedOnlyBy finds a lie that violates the constraint and no other.
func (u *subject) refusedOnlyBy(t *testing.T, x constraint, pool []named) (named, bool) {
	forgetful := x.leftOut(u.c)
	all, others := witness.NewChecker(u.c), witness.NewChecker(forgetful)
	for _, l := range pool {
		a, err := (&subject{c: forgetful, weights: u.weights, st: u.st, private: u.private}).generate(l.lie)
		require.NoError(t, err)
		if others.Field(witnesstest.Values(a)) == nil && all.Field(witnesstest.Values(a)) != nil {
			return l, true
		}
	}
	return named{}, false
}
