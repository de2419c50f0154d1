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

// model is one that is measured.
type model struct {
	make func(export.Config) (*export.Model, error)
	export.Config
}

// The models, with drawn weights, by size: of one size what they take on average counts. Each is measured several times, of which the least counts,
// since other programs only add to it.
var sizes = [][]model{
	{{export.GPT2, export.Config{Layers: 1, Width: 64, Heads: 2, Vocabulary: 64, Length: 4}}},
	{{export.LLaMA, export.Config{Layers: 4, Width: 64, Heads: 4, Vocabulary: 64, Length: 64}}},
	{{export.GPT2, export.Config{Layers: 4, Width: 768, Heads: 12, Vocabulary: 4096, Length: 128}},
		{export.LLaMA, export.Config{Layers: 4, Width: 768, Heads: 12, Vocabulary: 4096, Length: 128}}},
}

const runs = 2

// ErrClock says that the models took no time, or a large one less than a small one.
var ErrClock = errors.New("the clock is too coarse, or the machine too busy, to measure anything")

// sized is a model with what it takes.
type sized struct {
	stats     compiler.Stats
	positions int // positions
	took
}

// took is what its setup, a token of an answer and the phases of a proof take, in seconds.
type took struct {
	setup, token float64
	phases       map[string]float64
}

// Measure measures this machine, in less than a minute. Progress is told what begins.
func Measure(ctx context.Context, progress func(string)) (*cost.Rates, error) {
	var all [][]*sized
	for _, size := range sizes {
		var models []*sized
		for _, m := range size {
			progress(fmt.Sprintf("layers of width %d: %d, at %d positions, %d times", m.Width, m.Layers, m.Length, runs))
			s, err := m.measure(ctx)
			if err != nil {
				return nil, err
			}
			models = append(models, s)
		}
		all = append(all, models)
	}
	out := rates(all)
	if !out.Complete() {
		return nil, ErrClock
	}
	return out, nil
}

// measure makes the model and measures it.
func (of model) measure(ctx context.Context) (*sized, error) {
	dir, err := os.MkdirTemp("", "zkllmc-benchmark")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, err := of.make(of.Config)
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
	s := &sized{stats: r.Stats, positions: of.Length}
	for i := range runs {
		debug.FreeOSMemory() // a prover begins with memory that nobody touched
		var t took
		if t.setup, t.token, t.phases, err = r.Time(ctx, clock()); err != nil {
			return nil, err
		}
		if i == 0 {
			s.took = t
			continue
		}
		s.setup, s.token = min(s.setup, t.setup), min(s.token, t.token)
		for name, seconds := range t.phases {
			s.phases[name] = min(s.phases[name], seconds)
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

// rates are those with which a prediction says of the models of every size what they took.
func rates(sizes [][]*sized) *cost.Rates {
	out := &cost.Rates{Phases: map[string]cost.Pace{}}
	for _, models := range sizes {
		var setup, token cost.Point
		phases := map[string]cost.Point{}
		plus := func(to cost.Point, work, seconds float64) cost.Point {
			n := float64(len(models))
			return cost.Point{Work: to.Work + work/n, Seconds: to.Seconds + seconds/n}
		}
		for _, m := range models {
			setup = plus(setup, cost.SetupWork(m.stats.WeightCells), m.setup)
			token = plus(token, cost.TokenWork(m.stats.WeightCells, m.stats.WitnessCells, m.stats.Witness+m.stats.Virtual, m.positions), m.token)
			for _, p := range m.stats.Work.Phases() {
				phases[p.Name] = plus(phases[p.Name], p.Seconds, m.phases[p.Name])
			}
		}
		add(&out.Setup, setup)
		add(&out.Decoding, token)
		for name, at := range phases {
			pace := out.Phases[name]
			add(&pace, at)
			out.Phases[name] = pace
		}
	}
	return out
}

// add adds a point to a pace. One that takes more work and no longer than the last, which is noise or a clock that is too coarse, takes its place.
func add(p *cost.Pace, at cost.Point) {
	if n := len(*p); n > 0 && ((*p)[n-1].Work >= at.Work || (*p)[n-1].Seconds >= at.Seconds) {
		*p = (*p)[:n-1]
	}
	*p = append(*p, at)
}
