package engine_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// watch is a backend that calls stop when it begins the work of the given number, from 1, and counts what it is asked for afterwards.
// Work is a call, or a round or layer of what a call has begun.
type watch struct {
	backend.Backend
	asked, at int
	stop      func()
}

func (b *watch) Open() (backend.Session, error) {
	return kit.Wrapped{Backend: b.Backend, Run: func(r backend.Run) backend.Run { return watched{r, b} }}.Open()
}

func (b *watch) work() {
	if b.asked++; b.asked == b.at {
		b.stop()
	}
}

func (b watched) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	b.work()
	return b.Run.CommitRows(gens, rows)
}

func (b watched) MSM(bases backend.Bases, scalars []field.Element) group.Affine {
	b.work()
	return b.Run.MSM(bases, scalars)
}

func (b watched) EvalMany(evals []backend.Eval) []field.Element {
	b.work()
	return b.Run.EvalMany(evals)
}

func (b watched) Partials(partials []backend.Partial) []backend.Vector {
	b.work()
	return b.Run.Partials(partials)
}

func (b watched) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	b.work()
	return b.Run.FoldRows(sums, width)
}

func (b watched) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	b.work()
	return watchedTree{b.Run.Fractions(n, blocks), b.watch}
}

func (b watched) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	b.work()
	return watchedRounds{b.Run.Sumcheck(instances, rounds, degree), b.watch}
}

func (b watched) Argument(
	mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine,
) backend.Argument {
	b.work()
	return watchedArgument{b.Run.Argument(mask, segments, form, g, U), b.watch}
}

type watched struct {
	backend.Run
	*watch
}

type watchedTree struct {
	backend.FractionTree
	b *watch
}

func (t watchedTree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	t.b.work()
	return t.FractionTree.Layer(j, s, lambda)
}

type watchedRounds struct {
	backend.Sumcheck
	b *watch
}

func (s watchedRounds) Round() []field.Element {
	s.b.work()
	return s.Sumcheck.Round()
}

type watchedArgument struct {
	backend.Argument
	b *watch
}

func (a watchedArgument) Round() (l, r group.Affine) {
	a.b.work()
	return a.Argument.Round()
}

// rounded is a function of eight integers with its key, and a true statement about it.
func rounded(t *testing.T) (*engine.Key, *function.Statement) {
	b := circuit.NewBuilder(circuit.Config{Name: "given up", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{8}, Lo: -8, Hi: 7, Reveal: circuit.Values})
	y := b.Virtual("y", []int{8}, b.Times(1, "i,ji->j i=8 j=8", x, b.Weight("w", 4, 8, 8)))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "rounded", y, 4, -32, 31))
	c, err := b.Finish()
	require.NoError(t, err)
	k, _, err := engine.Setup(t.Context(), circuit.Single(c), kit.Weights(c, 1, 2), engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	st := &function.Statement{Ports: [][]int64{{1, 2, 3, 4, 5, 6, 7, -8}, make([]int64, 8)}}
	_, err = k.Compute(t.Context(), st, nil)
	require.NoError(t, err)
	return k, st
}

// A proof is given up wherever it is when its context ends: the backend finishes what it was asked for last, and is asked for no more.
func TestProofsAreGivenUp(t *testing.T) {
	k, st := rounded(t)
	prove := func(at int, phase string) (proof []byte, asked int, err error) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b := &watch{Backend: cpu.New(), at: at, stop: stop}
		begun := -1
		proof, err = k.Prove(ctx, &engine.Input{Statement: st}, engine.Options{Backend: b, Phase: func(name string) {
			if name == phase && ctx.Err() == nil {
				begun = b.asked
				stop()
			}
		}})
		if begun >= 0 {
			return proof, b.asked - begun, err
		}
		return proof, b.asked, err
	}
	_, all, err := prove(0, "none")
	require.NoError(t, err)
	require.Greater(t, all, 30)
	for at := 1; at < all; at++ {
		proof, asked, err := prove(at, "none")
		require.ErrorIs(t, err, context.Canceled, at)
		require.Nil(t, proof, at)
		require.LessOrEqual(t, asked, at+1, "%d: a fill function may ask for two things", at)
	}
	for _, phase := range []string{"commit witness", "lookups", "einsum waves", "openings", "final argument"} {
		_, asked, err := prove(0, phase)
		require.ErrorIs(t, err, context.Canceled, phase)
		require.Zero(t, asked, phase)
	}
}

// A prover checks its own proofs as a verifier does: their size before all else, up to the last byte, and as long as somebody waits.
func TestOwnProofsAreChecked(t *testing.T) {
	k, st := rounded(t)
	in := &engine.Input{Statement: st}
	proof, err := k.Prove(t.Context(), in, engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	require.NoError(t, k.Check(t.Context(), in, proof))
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, k.Check(ended, in, proof), context.Canceled)
	require.ErrorIs(t, k.Check(ended, in, append(proof, 0)), format.ErrTrailing)
	require.ErrorIs(t, k.Check(ended, in, proof[:len(proof)-1]), format.ErrTruncated)
	other, _ := rounded(t)
	require.ErrorIs(t, other.Check(t.Context(), in, proof), format.ErrModel)
	forged := slices.Clone(proof)
	forged[len(forged)-1] ^= 1
	require.ErrorIs(t, k.Check(t.Context(), in, forged), veil.ErrRejected)
}
