// Package benchmark measures how fast a machine proves, for what package cost predicts: by keys and proofs about models of several sizes. The smallest
// takes what everything takes that is small.
package benchmark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/export"
	"github.com/zkllmc/zkllmc/internal/machine"
)

// The models, of GPT-2's architecture with drawn weights, and how often each is measured: of what it takes the least counts, since other programs
// only add to it.
var sizes = []export.Config{
	{Layers: 1, Width: 64, Heads: 2, Vocabulary: 64, Length: 4},
	{Layers: 4, Width: 64, Heads: 4, Vocabulary: 64, Length: 64},
	{Layers: 4, Width: 768, Heads: 12, Vocabulary: 4096, Length: 128},
}

const runs = 2

// ErrClock says that the models took no time, or a large one less than a small one.
var ErrClock = errors.New("the clock is too coarse, or the machine too busy, to measure anything")

// sized is a model with what it takes.
type sized struct {
	stats     compiler.Stats
	positions int // positions
	took      compiler.Took
}

// Measure measures this machine, in half a minute. Progress is told what begins.
func Measure(ctx context.Context, progress func(string)) (*cost.Rates, error) {
	var models []*sized
	for _, c := range sizes {
		progress(fmt.Sprintf("layers of width %d: %d, at %d positions, %d times", c.Width, c.Layers, c.Length, runs))
		m, err := measure(ctx, c)
		if err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	out := rates(models)
	if !out.Complete() {
		return nil, ErrClock
	}
	return out, nil
}

// measure makes a model and measures it.
func measure(ctx context.Context, c export.Config) (*sized, error) {
	dir, err := os.MkdirTemp("", "zkllmc-benchmark")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, err := export.GPT2(c)
	if err != nil {
		return nil, err
	}
	if err := m.Write(ctx, dir, false); err != nil {
		return nil, err
	}
	r, err := compiler.Analyse(ctx, filepath.Join(dir, "model.onnx"), compiler.Config{Name: "benchmark", Reveal: map[string]string{"": "argmax"}})
	if err != nil {
		return nil, err
	}
	s := &sized{stats: r.Stats, positions: c.Length}
	for i := range runs {
		debug.FreeOSMemory() // a prover begins with memory that nobody touched
		took, err := r.Time(ctx, clock())
		if err != nil {
			return nil, err
		}
		if i == 0 {
			s.took = *took
			continue
		}
		s.took.Setup, s.took.Token = min(s.took.Setup, took.Setup), min(s.took.Token, took.Token)
		for name, seconds := range took.Phases {
			s.took.Phases[name] = min(s.took.Phases[name], seconds)
		}
	}
	return s, nil
}

// clock counts seconds of the process on all processors, or those of a clock where the system does not tell.
func clock() func() float64 {
	if machine.CPUSeconds() > 0 {
		return machine.CPUSeconds
	}
	begin := time.Now()
	return func() float64 { return time.Since(begin).Seconds() }
}

// rates are those with which a prediction says of all models what they took.
func rates(models []*sized) *cost.Rates {
	out := &cost.Rates{Phases: map[string]cost.Pace{}}
	for _, m := range models {
		add(&out.Setup, cost.SetupWork(m.stats.WeightCells), m.took.Setup)
		add(&out.Decoding, cost.TokenWork(m.stats.WeightCells, m.stats.WitnessCells, m.stats.Witness+m.stats.Virtual, m.positions), m.took.Token)
		for _, p := range m.stats.Work.Phases() {
			pace := out.Phases[p.Name]
			add(&pace, p.Seconds, m.took.Phases[p.Name])
			out.Phases[p.Name] = pace
		}
	}
	return out
}

// add adds a point to a pace. One that takes more work and no longer than the last, which is noise or a clock that is too coarse, takes its place.
func add(p *cost.Pace, work, seconds float64) {
	if n := len(*p); n > 0 && ((*p)[n-1].Work >= work || (*p)[n-1].Seconds >= seconds) {
		*p = (*p)[:n-1]
	}
	*p = append(*p, cost.Point{Work: work, Seconds: seconds})
}
