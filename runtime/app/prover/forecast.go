package prover

import (
	"fmt"
	"time"

	"github.com/zkllmc/zkllmc/internal/circuit"
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

// proofForecast is of a proof about a circuit: nanoseconds of one processor as measured on models of ten million cells, of which only the
// ratios count.
func proofForecast(c *circuit.Circuit) *forecast {
	var weights, witness, virtual, leaves float64
	for i := range c.Tensors {
		n := float64(circuit.Size(c.Tensors[i].Shape))
		switch c.Tensors[i].Kind {
		case circuit.Weight:
			weights += n
		case circuit.Witness:
			witness += n
		case circuit.Virtual:
			virtual += n
		}
	}
	for _, l := range c.Lookups {
		leaves += float64(uint64(1) << circuit.ShapeBits(c.Tensor(l.Cols[0]).Shape))
	}
	const once = 5e8 // generators, and what a small proof takes for its number of messages
	return newForecast(
		work{"witness", float64(10*weights) + float64(30*(witness+virtual))},
		work{"commit witness", float64(130*witness) + once},
		work{"lookups", float64(430 * leaves)},
		work{"einsum waves", float64(80*(witness+virtual)) + float64(20*weights) + once},
		work{"openings", float64(60*(witness+weights)) + once},
		work{"final argument", once},
	)
}

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
