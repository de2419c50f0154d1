package prover

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/meter"
)

// stage is a phase with what it took.
type stage struct {
	Name    string  `json:"name"`        // of the phase
	Seconds float64 `json:"seconds"`     // of the clock
	CPU     float64 `json:"cpu_seconds"` // of processors, user and system; 0 where the system does not tell
	Peak    uint64  `json:"peak_rss"`    // most memory that the process has had up to its end, in bytes
}

// stage notes what the running phase took; p.mu is held.
func (p *progress) stage(took time.Duration) {
	s := stage{p.name, took.Seconds(), machine.CPUSeconds() - p.cpu, machine.Now().PeakRSS}
	for i := range p.stages {
		if old := &p.stages[i]; old.Name == s.Name {
			old.Seconds, old.CPU, old.Peak = old.Seconds+s.Seconds, old.CPU+s.CPU, s.Peak
			return
		}
	}
	p.stages = append(p.stages, s)
}

// stats is what --stats tells: how long each stage took, and what was computed.
type stats struct {
	Stages     []stage           `json:"stages"`           // the phases, in order
	Operations []meter.Operation `json:"operations"`       // what was asked of the backend, by kind, longest first
	Device     *backend.Use      `json:"device,omitempty"` // what was asked of the GPU, in a prover that is built for one
	// prove: what the circuit asks for, from which its cost is predicted; as in `zkllmc compile`
	Work *cost.Work `json:"work,omitempty"`
	// nanoseconds that a product of field elements takes one core, measured at the end
	Multiplication float64 `json:"multiplication_ns"`
	Ratios         *ratios `json:"ratios,omitempty"` // of prove
}

// ratios tell more across machines and models than times.
type ratios struct {
	// processors' time of the phase lookups, in such products, per `stats.work.lookups`
	MulPerLookup float64 `json:"multiplications_per_lookup"`
	// processors' time of the operation fold weights, in such products, per item
	MulPerWeight float64 `json:"multiplications_per_folded_weight"`
	// items of the operation integer products, those of matrices, per second of the processors in its calls, which lay operands out, too
	ProductsPerCore float64 `json:"gigaproducts_per_core_second"`
	// processors' time outside of the phases lookups and commit witness and of integer products and sums, in parts of all
	Other          float64 `json:"other_share"`
	BytesPerCell   float64 `json:"bytes_per_witness_cell"` // peak memory per `stats.work.witness`
	BytesPerWeight float64 `json:"bytes_per_weight"`       // peak memory per `stats.work.weights`
}

// measuring is what --stats asks for; a nil one measures nothing.
type measuring struct {
	asked bool
	told  bool // in a report
	meter *meter.Meter
	work  *cost.Work
}

// flag registers --stats.
func (m *measuring) flag(c *cobra.Command) {
	c.Flags().BoolVar(&m.asked, "stats", false, "tell how long each stage took and what was computed in it, as part of --json or on the standard error")
}

// begin begins to measure a command.
func (m *measuring) begin() {
	if m.asked {
		m.meter = meter.New()
	}
}

// metered is a backend of which everything that is asked is measured, if anything is.
func (m *measuring) metered(be backend.Backend) backend.Backend {
	if m.meter == nil {
		return be
	}
	return m.meter.Backend(be)
}

// proves notes which circuit is proved with.
func (m *measuring) proves(c *circuit.Circuit) {
	w := cost.Of(c)
	m.work = &w
}

// of is what was measured, on a device if there is one; nil if nobody asked.
func (m *measuring) of(p *progress, device backend.Backend) *stats {
	if !m.asked {
		return nil
	}
	s := &stats{Stages: p.stages, Operations: m.meter.Operations(), Work: m.work, Multiplication: multiplication()}
	if d, ok := device.(backend.OnDevice); ok {
		use := d.Device()
		s.Device = &use
	}
	if m.work != nil {
		s.Ratios = m.ratios(s)
	}
	return s
}

// ratios of a proof. What sums of products and folds of weights take is what the processors took in their calls, or the time of the clock where the
// system does not tell.
func (m *measuring) ratios(s *stats) *ratios {
	var all, main float64
	cpu := map[string]float64{}
	for _, x := range s.Stages {
		all += x.CPU
		cpu[x.Name] = x.CPU
	}
	took := func(o meter.Operation) float64 { return cmp.Or(o.CPU, o.Seconds) }
	products, weights, usage := m.meter.Operation(meter.Products), m.meter.Operation(meter.Weights), machine.Now()
	ofProducts, ofWeights := took(products), took(weights)
	main = cpu["lookups"] + cpu["commit witness"] + ofProducts + took(m.meter.Operation(meter.Sums))
	mul := float64(s.Multiplication * 1e-9)
	return &ratios{
		MulPerLookup:    per(cpu["lookups"]/mul, float64(m.work.Lookups)),
		MulPerWeight:    per(ofWeights/mul, float64(weights.Items)),
		ProductsPerCore: per(float64(float64(products.Items)*1e-9), ofProducts),
		Other:           per(all-main, all),
		BytesPerCell:    per(float64(usage.PeakRSS), float64(m.work.Witness)),
		BytesPerWeight:  per(float64(usage.PeakRSS), float64(m.work.Weights)),
	}
}

// per is a ratio, 0 of nothing.
func per(x, of float64) float64 {
	if of == 0 {
		return 0
	}
	return x / of
}

// multiplication is how many nanoseconds one in the field takes: in the fastest of several runs, for others may have the core meanwhile.
func multiplication() float64 {
	const runs, each = 20, 50_000
	best := time.Duration(1<<63 - 1)
	x := field.FromInt64(3)
	for range runs {
		since := time.Now()
		for range each {
			x.Mul(&x, &x)
		}
		best = min(best, time.Since(since))
	}
	if x.IsZero() { // it is not, but then nothing is left out
		return 0
	}
	return float64(best.Nanoseconds()) / each
}

// show prints what was measured, for people.
func (s *stats) show(w io.Writer) {
	if s == nil {
		return
	}
	fmt.Fprintf(w, "\n%-18s %9s %9s %9s\n", "stage", "seconds", "CPU-s", "peak MB")
	for _, x := range s.Stages {
		fmt.Fprintf(w, "%-18s %9.3f %9.3f %9.0f\n", x.Name, x.Seconds, x.CPU, float64(x.Peak)/1e6)
	}
	fmt.Fprintf(w, "\n%-18s %9s %9s %22s %12s %12s %12s %9s %9s\n", "operation", "seconds", "calls", "items", "mul", "add", "points", "MB in", "MB out")
	for _, o := range s.Operations {
		fmt.Fprintf(w, "%-18s %9.3f %9d %22s %12d %12d %12d %9.2f %9.2f\n", o.Name, o.Seconds, o.Calls, fmt.Sprintf("%d %s", o.Items, o.Unit), o.Multiplications, o.Additions, o.Points,
			float64(o.In)/1e6, float64(o.Out)/1e6)
	}
	if d := s.Device; d != nil {
		fmt.Fprintf(w, "\n%s: %d launches, %d synchronisations, %.2f MB up, %.2f MB down\n", d.Name, d.Launches, d.Synchronisations, float64(d.Up)/1e6, float64(d.Down)/1e6)
	}
	fmt.Fprintf(w, "\na multiplication in the field takes %.1f ns\n", s.Multiplication)
	if r := s.Ratios; r != nil {
		fmt.Fprintf(w, "%.1f multiplications per lookup, %.2f per folded weight; %.2f G integer products a second and core; %.0f %% outside lookups, commitments, products and sums\n"+
			"%.0f bytes per witness cell, %.1f per weight\n", r.MulPerLookup, r.MulPerWeight, r.ProductsPerCore, float64(100*r.Other), r.BytesPerCell, r.BytesPerWeight)
	}
}
