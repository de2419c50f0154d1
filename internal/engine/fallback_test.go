package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// unsteady is a backend whose device is lost at some time: programs and runs say so, and no more.
type unsteady struct {
	backend.Backend
	lost bool
}

func (u *unsteady) err(err error) error {
	if u.lost {
		return fmt.Errorf("%w: it is lost", backend.ErrDevice)
	}
	return err
}

func (u *unsteady) Open() (backend.Session, error) {
	s, err := u.Backend.Open()
	return unsteadySession{s, u}, u.err(err)
}

type unsteadySession struct {
	backend.Session
	u *unsteady
}

func (s unsteadySession) Program() backend.Program { return unsteadyProgram{s.Session.Program(), s.u} }

func (s unsteadySession) Begin(ctx context.Context) backend.Run {
	return unsteadyRun{s.Session.Begin(ctx), s.u}
}

type unsteadyProgram struct {
	backend.Program
	u *unsteady
}

func (p unsteadyProgram) Err() error { return p.u.err(p.Program.Err()) }

type unsteadyRun struct {
	backend.Run
	u *unsteady
}

func (r unsteadyRun) Err() error { return r.u.err(r.Run.Err()) }

// Where a device is lost, before the witness of a proof or after it, the fallback proves, whatever was computed before and wherever: the
// proof is the same, and it is told once that the device failed and once what was clamped.
func TestFallbackProves(t *testing.T) {
	ctx, seed := t.Context(), engine.Hooks{Seed: []byte("the same for all")}
	type prover func(o engine.Options, before backend.Backend) ([]byte, error)
	vectors, st := layered(t, 4)
	provers := map[string]prover{
		"all": func(o engine.Options, _ backend.Backend) ([]byte, error) {
			return vectors.Prove(ctx, &engine.Input{Statement: st}, o)
		},
		"execution": func(o engine.Options, before backend.Backend) ([]byte, error) {
			r, err := vectors.Run(ctx, &function.Statement{Ports: [][]int64{st.Ports[0], nil}}, nil, before)
			require.NoError(t, err)
			return r.Prove(ctx, o)
		},
	}
	for name, c := range map[string]*circuit.Circuit{"rows": summing(t, 4, false), "whole passes": crossed(t)} {
		k, _, err := engine.Setup(ctx, circuit.Single(c), randomWeights(c), engine.Options{Backend: cpu.New()})
		require.NoError(t, err)
		provers[name] = func(o engine.Options, before backend.Backend) ([]byte, error) {
			d, err := k.Decode(2, before)
			require.NoError(t, err)
			require.NoError(t, d.Next(ctx, 1, 3))
			next := statement.Argmax(d.Logits()[len(d.Logits())-c.Generation.Vocab:])
			return d.Prove(ctx, &generation.Statement{Tokens: []int64{1, 3, next}, Prompt: 2, Next: generation.Unclaimed}, o)
		}
	}
	for name, prove := range provers {
		want, err := prove(engine.Dishonest(engine.Options{Backend: cpu.New()}, seed), nil)
		require.NoError(t, err, name)
		for _, at := range []string{"witness", "commit witness"} {
			for i := range 3 { // computed before in this process' memory, by the fallback, or by the device
				device, fallback := &unsteady{Backend: cpu.New()}, cpu.New()
				before := []backend.Backend{nil, fallback, device}[i]
				if before != nil && (name == "all" || name == "whole passes") {
					continue
				}
				var failed, clamped int
				proof, err := prove(engine.Dishonest(engine.Options{
					Backend: device, Fallback: fallback,
					Failed: func(err error) {
						require.ErrorIs(t, err, backend.ErrDevice)
						failed++
					},
					Clamped: func([]engine.Clamped) { clamped++ },
					Phase:   func(phase string) { device.lost = device.lost || phase == at },
				}, seed), before)
				require.NoError(t, err, "%s, %s, %d", name, at, i)
				require.Equal(t, want, proof, "%s, %s, %d", name, at, i)
				require.Equal(t, [2]int{1, 1}, [2]int{failed, clamped}, "%s, %s, %d", name, at, i)
			}
		}
	}
}

// A device that fails in a setup may have computed false commitments before. Nobody believes those that it left behind, with a fallback or
// without.
func TestFallbackBelievesNoRows(t *testing.T) {
	c := inPieces(t)
	w := cells(kit.Weights(c, 1, 2))
	seed := engine.Hooks{Seed: []byte("the same for all")}
	want, err := engine.MakeKeys(t.Context(), circuit.Single(c), w, nil, engine.Dishonest(engine.Options{Backend: cpu.New()}, seed))
	require.NoError(t, err)
	for _, fallback := range []backend.Backend{cpu.New(), nil} {
		work, err := engine.OpenWork(filepath.Join(t.TempDir(), "work"))
		require.NoError(t, err)
		device := &unsteady{Backend: cpu.New()}
		be := kit.Wrapped{Backend: device, Run: func(r backend.Run) backend.Run { return liar{r} }}
		o := engine.Options{Backend: be, Fallback: fallback, Phase: func(phase string) { device.lost = device.lost || phase == "range proof" }}
		made, err := engine.MakeKeys(t.Context(), circuit.Single(c), w, work, engine.Dishonest(o, seed))
		if fallback == nil {
			require.ErrorIs(t, err, backend.ErrDevice)
			o.Backend, o.Phase = cpu.New(), nil
			made, err = engine.MakeKeys(t.Context(), circuit.Single(c), w, work, engine.Dishonest(o, seed))
		}
		require.NoError(t, err)
		require.Equal(t, want.ModelID(), made.ModelID())
	}
}

// liar makes another commitment to the first of several rows.
type liar struct{ backend.Run }

func (l liar) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	points := l.Run.CommitRows(gens, rows)
	points[0] = points[1]
	return points
}
