package prover

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// forecast says how far a proof is and how long it will take, from what its phases cost and how long those took that are finished. A nil
// one says nothing.
type forecast struct {
	phases   []work
	total    float64
	finished float64 // cost of what is finished
	took     time.Duration
}

// work is a phase with what it costs, in any unit.
type work struct {
	phase string
	cost  float64
}

func newForecast(phases ...work) *forecast {
	f := &forecast{phases: phases}
	for _, w := range phases {
		f.total += w.cost
	}
	return f
}

// proofForecast is of a proof about a circuit, of whose predicted seconds only the ratios count. A function's witness is what its run
// computes.
func proofForecast(c *circuit.Circuit) *forecast {
	w := cost.Of(c)
	var phases []work
	for _, p := range w.Proof() {
		if p.Name == "witness" && c.Generation == nil {
			p.Name = "running"
		}
		phases = append(phases, work{p.Name, p.Seconds})
	}
	return newForecast(phases...)
}

// budget is how much memory proofs may take: what --memory says, or else what the machine has now; 0 if that is not known.
func (o *proveFiles) budget() (bytes uint64, err error) {
	if o.memory == "" {
		return machine.Available(), nil
	}
	if bytes, err = humanize.ParseBytes(o.memory); err != nil || bytes == 0 {
		return 0, console.Usagef("--memory %q is no size such as 8GB or 12GiB", o.memory)
	}
	return bytes, nil
}

// affordable refuses a proof about a circuit that is predicted to take more memory than there is, and says whether only a frugal one fits.
func affordable(c *circuit.Circuit, budget uint64) (frugal bool, err error) {
	w := cost.Of(c)
	if budget == 0 || w.Bytes() <= float64(budget) {
		return false, nil
	}
	if w.FrugalBytes() > float64(budget) {
		return false, tooLarge(c, &w, budget)
	}
	return true, nil
}

// afford is affordable for a proof that is begun now: it tells the backend what there is, which takes longer where something does not fit.
func (a *app) afford(ctx context.Context, c *circuit.Circuit, budget uint64) (context.Context, error) {
	frugal, err := affordable(c, budget)
	if err != nil {
		return ctx, err
	}
	if budget > 0 {
		ctx = backend.WithBudget(ctx, budget)
	}
	if !frugal {
		return ctx, nil
	}
	w := cost.Of(c)
	a.progress.yield()
	fmt.Fprintf(a.stderr, "prover: the proof takes about %s of memory, or %s and longer, and there are %s\n",
		size(w.Bytes()), size(w.FrugalBytes()), size(float64(budget)))
	return ctx, nil
}

// tooLarge is the refusal of a proof.
func tooLarge(c *circuit.Circuit, w *cost.Work, budget uint64) error {
	var parts, largest []string
	for _, s := range w.Memory(true) {
		parts = append(parts, s.Name+" "+size(s.Bytes))
	}
	for _, s := range cost.Largest(c, 3) {
		largest = append(largest, fmt.Sprintf("%s (%s)", s.Name, size(s.Bytes)))
	}
	remedy := "another machine, or --memory SIZE to try it all the same"
	if c.Generation != nil {
		remedy = fmt.Sprintf("a model compiled for fewer positions than these %d (compile --length), %s", c.Generation.Length, remedy)
	}
	return &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("the proof would take about %s of memory, and there are %s: %s; most for %s. What helps: %s",
		size(w.FrugalBytes()), size(float64(budget)), strings.Join(parts, ", "), strings.Join(largest, ", "), remedy)}
}

// size writes bytes for people.
func size(bytes float64) string { return humanize.Bytes(uint64(portable.Clamp(bytes))) }

// finish notes that a phase is finished and how long it took.
func (f *forecast) finish(phase string, took time.Duration) {
	if cost := f.cost(phase); cost > 0 {
		f.finished += cost
		f.took += took
	}
}

// cost is that of a phase, 0 for one that is not expected.
func (f *forecast) cost(phase string) float64 {
	if f != nil {
		for _, w := range f.phases {
			if w.phase == phase {
				return w.cost
			}
		}
	}
	return 0
}

// enough is the part of the whole that must be finished before anything is said of what is left.
const enough = 0.02

// left is how long the rest takes if the running phase, for as long as it runs, goes on as expected; false if nothing is known yet.
func (f *forecast) left(running string, since time.Duration) (share float64, rest time.Duration, ok bool) {
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

// long says whether the proof takes long enough that finished phases are worth a word on what is left.
func (f *forecast) long() bool {
	_, rest, ok := f.left("", 0)
	return ok && f.took+rest >= 10*time.Second
}

// say is how far the proof is, and how long it takes from now; "" before it begins.
func (f *forecast) say(running string, since time.Duration) string {
	share, rest, ok := f.left(running, since)
	switch {
	case f == nil || running != "" && f.cost(running) == 0:
		return ""
	case !ok || f.finished == f.total:
		return fmt.Sprintf("%.0f %%", float64(100*share))
	}
	return fmt.Sprintf("%.0f %%, %s", float64(100*share), about(rest))
}

// about says how long something still takes.
func about(rest time.Duration) string {
	if rest >= 100*time.Second {
		return fmt.Sprintf("about %.0f min left", rest.Minutes())
	}
	return fmt.Sprintf("about %.0f s left", rest.Seconds())
}
