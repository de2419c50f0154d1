package cost

import "math"

// Phase is a part of a proof, by the name that progress shows, with the seconds that it takes one core.
type Phase struct {
	Name    string  `json:"name"`    // as progress shows it
	Seconds float64 `json:"seconds"` // what it takes
}

// Pace is how long a machine takes for something: at amounts of work, ascending, two at least, given in seconds of the reference, the seconds of one core
// that it takes. Between them, and beyond the last, it goes on straight.
type Pace []Point

// Point is an amount of work with what it takes.
type Point struct {
	Work    float64 `json:"work"`    // the amount
	Seconds float64 `json:"seconds"` // what it took
}

// of is how long so much work takes: no less than the least.
func (p Pace) of(work float64) float64 {
	i := 1
	for i < len(p)-1 && work > p[i].Work {
		i++
	}
	return max(p[0].Seconds, p[i].Seconds+float64(p.slope(i)*(work-p[i].Work)))
}

// slope is how much more work takes before a point.
func (p Pace) slope(i int) float64 {
	return (p[i].Seconds - p[i-1].Seconds) / (p[i].Work - p[i-1].Work)
}

// adds is how much so much work adds to much work.
func (p Pace) adds(work float64) float64 { return float64(p.slope(len(p)-1) * work) }

// valid says that there are points and that more work takes longer.
func (p Pace) valid() bool {
	for i, at := range p {
		if math.IsInf(at.Seconds, 0) || !(at.Seconds >= 0) || i > 0 && !(at.Work > p[i-1].Work && at.Seconds > p[i-1].Seconds) {
			return false
		}
	}
	return len(p) > 1 && !math.IsInf(p[len(p)-1].Work, 0)
}

// and is the pace of the reference: seconds for all that is small, messages and the like, and the work.
func and(small float64) Pace { return Pace{{0, small}, {1, small + 1}} }

// Rates say how many seconds of one core a machine takes.
type Rates struct {
	Phases   map[string]Pace `json:"phases"`   // of each phase of a proof, by name, at several amounts of work
	Decoding Pace            `json:"decoding"` // the same of a token of an answer
	Setup    Pace            `json:"setup"`    // the same of keys
}

// Seconds of one core of the reference, an Intel Xeon with AVX-512 IFMA of which two cores were used, as BENCH.md had it at commit fadd071.
const (
	perProduct   = 0.075e-9 // witness: of integers of 16 bits
	perValue     = 9e-9     // witness: of a committed or virtual cell
	perCommitted = 36e-9    // many cells are zero
	perLeaf      = 85e-9    // fraction tree
	perPadded    = 10e-9    // what padding costs
	perColumn    = 3e-9     // evaluation
	perSummed    = 4e-9     // claims about a committed or virtual cell, passed through
	perFactor    = 40e-9    // sumchecks of products
	perWeight    = 0.3e-9   // partial evaluation
	perOpened    = 4e-9     // of a cell of the witness
	perFolded    = 0.8e-9   // openings: of a weight
	perColumns   = 6e-6     // openings: of a column of rows
	perPoint     = 13.5e-6  // final argument

	perWeightRead   = 0.24e-9 // decoding, a position by itself: of a weight
	perValueDecoded = 36e-9   // of a committed cell, what virtual ones take in proportion
	perStep         = 2.8e-6  // of a tensor

	setupPerCell = 0.3e-6
)

// Reference are the rates of the machine that the constants are of.
func Reference() *Rates {
	return &Rates{
		Phases: map[string]Pace{
			"witness": and(0.005), "commit witness": and(0.01), "lookups": and(0.04),
			"einsum waves": and(0.012), "openings": and(0.003), "final argument": and(0.02),
		},
		Decoding: and(0),
		Setup:    and(0.15),
	}
}

// Phases lists the phases of a proof with what the reference takes for the work alone.
func (w *Work) Phases() []Phase {
	return []Phase{
		{"witness", per(w.Products, perProduct) + per(w.Witness+w.Virtual, perValue)},
		{"commit witness", per(w.Witness, perCommitted)},
		{"lookups", per(w.Leaves, perLeaf) + per(w.Padded, perPadded) + per(w.Columns, perColumn)},
		{"einsum waves", per(w.Witness+w.Virtual, perSummed) + per(w.Factors, perFactor) + per(w.Weights, perWeight)},
		{"openings", per(w.Witness, perOpened) + per(w.Weights, perFolded) + per(w.Points, perColumns)},
		{"final argument", per(w.Points, perPoint)},
	}
}

// Proof lists the phases of a proof.
func (r *Rates) Proof(w *Work) []Phase {
	phases := w.Phases()
	for i := range phases {
		p := &phases[i]
		p.Seconds = r.Phases[p.Name].of(p.Seconds)
	}
	return phases
}

// Seconds is how long a proof takes one core.
func (r *Rates) Seconds(w *Work) float64 { return sum(r.Proof(w)) }

// Parts lists what the work of a part of a proof adds to its phases.
func (r *Rates) Parts(w *Part) []Phase {
	phases := (&Work{Part: *w}).Phases()
	for i := range phases {
		p := &phases[i]
		p.Seconds = r.Phases[p.Name].adds(p.Seconds)
	}
	return phases
}

// Part is what it adds to all of them.
func (r *Rates) Part(w *Part) float64 { return sum(r.Parts(w)) }

// Token is how long a position of a text takes one core that is computed by itself: of a circuit with so many cells of weights, and at so many
// positions so many committed cells, multiplicities left out, in so many tensors, those not committed among them.
func (r *Rates) Token(weights, witness int64, tensors, positions int) float64 {
	return r.Decoding.of(TokenWork(weights, witness, tensors, positions))
}

// TokenWork is Token with the reference, for the work alone.
func TokenWork(weights, witness int64, tensors, positions int) float64 {
	return per(weights, perWeightRead) + per(witness, perValueDecoded)/float64(positions) + per(int64(tensors), perStep)
}

// Keys is how long the setup of so many weights takes one core.
func (r *Rates) Keys(weights int64) float64 { return r.Setup.of(SetupWork(weights)) }

// SetupWork is Keys with the reference, for the work alone.
func SetupWork(weights int64) float64 { return per(weights, setupPerCell) }

func sum(phases []Phase) (seconds float64) {
	for _, p := range phases {
		seconds += p.Seconds
	}
	return seconds
}
