// Package forecast says how far a proof is and how long it will take.
package forecast

import (
	"fmt"
	"time"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// Forecast says how far a proof is and how long it will take, from what its phases cost and how long those took that are finished. A nil
// one says nothing.
type Forecast struct {
	phases   []Work
	total    float64
	finished float64 // cost of what is finished
	took     time.Duration
}

// Work is a phase with what it costs, in any unit.
type Work struct {
	Phase string
	Cost  float64
}

// New returns what expects phases.
func New(phases ...Work) *Forecast {
	f := &Forecast{phases: phases}
	for _, w := range phases {
		f.total += w.Cost
	}
	return f
}

// Of is of a proof about a circuit, of whose predicted seconds only the ratios count. A function's witness is what its run
// computes.
func Of(c *circuit.Circuit) *Forecast {
	w := cost.Of(c)
	var phases []Work
	for _, p := range cost.Reference().Proof(&w) {
		if p.Name == "witness" && c.Generation == nil {
			p.Name = "running"
		}
		phases = append(phases, Work{p.Name, p.Seconds})
	}
	return New(phases...)
}

// Finish notes that a phase is finished and how long it took.
func (f *Forecast) Finish(phase string, took time.Duration) {
	if cost := f.cost(phase); cost > 0 {
		f.finished += cost
		f.took += took
	}
}

// cost is that of a phase, 0 for one that is not expected.
func (f *Forecast) cost(phase string) float64 {
	if f != nil {
		for _, w := range f.phases {
			if w.Phase == phase {
				return w.Cost
			}
		}
	}
	return 0
}

// enough is the part of the whole that must be finished before anything is said of what is left.
const enough = 0.02

// Left is how long the rest takes if the running phase, for as long as it runs, goes on as expected; false if nothing is known yet.
func (f *Forecast) Left(running string, since time.Duration) (share float64, rest time.Duration, ok bool) {
	if f == nil || f.finished == f.total && running != "" {
		return 0, 0, false
	}
	if f.finished < enough*f.total {
		return f.finished / f.total, 0, false
	}
	pace := float64(f.took) / f.finished
	done := f.finished
	if cost := f.cost(running); cost > 0 {
		done += min(float64(since)/pace, float64(0.95*cost)) // a phase that takes longer than expected stays short of its end
	}
	done = min(done, f.total)
	return done / f.total, time.Duration(portable.Clamp(float64(pace * (f.total - done)))), true
}

// Long says whether the proof takes long enough that finished phases are worth a word on what is left.
func (f *Forecast) Long() bool {
	_, rest, ok := f.Left("", 0)
	return ok && f.took+rest >= 10*time.Second
}

// Say is how far the proof is, and how long it takes from now; "" before it begins.
func (f *Forecast) Say(running string, since time.Duration) string {
	share, words, ok := f.Show(running, since)
	switch {
	case !ok:
		return ""
	case words == "":
		return fmt.Sprintf("%.0f %%", float64(100*share))
	}
	return fmt.Sprintf("%.0f %%, %s", float64(100*share), words)
}

// Show is Say with the share as a number: whether there is something to say, too.
func (f *Forecast) Show(running string, since time.Duration) (share float64, words string, ok bool) {
	share, rest, known := f.Left(running, since)
	switch {
	case f == nil || running != "" && f.cost(running) == 0:
		return 0, "", false
	case !known || f.finished == f.total:
		return share, "", true
	}
	return share, About(rest), true
}

// About says how long something still takes.
func About(rest time.Duration) string {
	if rest >= 100*time.Second {
		return fmt.Sprintf("about %.0f min left", rest.Minutes())
	}
	return fmt.Sprintf("about %.0f s left", rest.Seconds())
}
