package cli

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// prediction says what setup, proofs and answers cost, in seconds of one core.
type prediction struct {
	// whose seconds these are: `measured`, of this machine, or `reference`, of an Intel Xeon with AVX-512 (`zkllmc benchmark`)
	Rates     string       `json:"rates"`
	Prove     float64      `json:"prove_seconds"`           // of a proof whose answer is known
	Phases    []cost.Phase `json:"phases"`                  // its phases, in order
	Peak      float64      `json:"prove_peak_bytes"`        // most memory of a proof
	Token     float64      `json:"token_seconds,omitempty"` // of a generation: a token of an answer, computed by itself
	Setup     float64      `json:"setup_seconds"`           // of the keys
	SetupPeak float64      `json:"setup_peak_bytes"`        // most memory of setup
	ByLayer   []float64    `json:"by_layer,omitempty"`      // seconds that each of `by_layer` adds to a proof
}

// machineRates are those of this machine, if it was measured, else those of the reference.
func machineRates() *cost.Rates {
	return cmp.Or(cost.Stored(console.CacheFolder()), cost.Reference())
}

// predict says what a model costs on this machine.
func (d *manifest) predict() *prediction {
	r := machineRates()
	s := &d.Stats
	p := &prediction{Rates: "reference", Prove: r.Seconds(&s.Work), Phases: r.Proof(&s.Work), Peak: s.Work.Bytes(), Setup: r.Keys(s.WeightCells), SetupPeak: cost.SetupBytes(s.WeightCells)}
	if cost.Stored(console.CacheFolder()) != nil {
		p.Rates = "measured"
	}
	if d.Statement == "generation" {
		p.Token = predictedToken(r, s, d.positions())
	}
	for i := range d.ByLayer {
		p.ByLayer = append(p.ByLayer, r.Part(&d.ByLayer[i].Work))
	}
	return p
}

// of says in words whose seconds these are.
func (p *prediction) of() string {
	if p.Rates == "measured" {
		return "seconds are of one core of this machine, by what zkllmc benchmark measured"
	}
	return "seconds are of one core of an Intel Xeon with AVX-512 at 2 GHz: zkllmc benchmark measures this machine, for predictions of its own"
}

// predicted says what a proof costs.
func predicted(r *cost.Rates, proofBytes int, w *cost.Work) string {
	return fmt.Sprintf("proof %d bytes, %.1f s, %.0f MB", proofBytes, r.Seconds(w), w.Bytes()/1e6)
}

// positions are those of a generation's text.
func (d *manifest) positions() int {
	shape := d.Ports[slices.IndexFunc(d.Ports, isInput)].Shape
	return shape[len(shape)-1]
}

func isInput(p portInfo) bool { return p.Side == "input" }

// predictedToken is what reading a token by itself costs, where positions are computed one after the other.
func predictedToken(r *cost.Rates, s *compiler.Stats, positions int) float64 {
	return r.Token(s.WeightCells, s.WitnessCells, s.Witness+s.Virtual, positions)
}
