package verifier

import (
	"fmt"
	"io"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// stats is what verify --stats tells: the counts of a proof about a circuit, and the processors' time of the whole command.
type stats struct {
	// of processors, user and system, of the command; 0 where the system does not tell
	CPU         float64 `json:"cpu_seconds"`
	Points      int     `json:"points"`        // points in a proof about the circuit
	Scalars     int     `json:"scalars"`       // field elements in it
	Pads        int     `json:"pads"`          // those of them that hide messages
	Products    int     `json:"products"`      // products that are checked at the end, all in one
	Linear      int     `json:"linear_checks"` // linear checks, likewise
	Evaluations int     `json:"evaluations"`   // tensors that are evaluated, each counted per point
	Requests    int64   `json:"requests"`      // requests for them
	Generators  int     `json:"generators"`    // generators that are derived
}

// statsOf counts what a proof about a circuit holds, and what its verifier does.
func statsOf(c *circuit.Circuit) (*stats, error) {
	counts, err := protocol.Schedule(c)
	if err != nil {
		return nil, err
	}
	work := c.Requests()
	s := &stats{CPU: machine.CPUSeconds(), Points: counts.Points, Scalars: counts.Scalars, Pads: counts.Pads, Products: counts.Products, Linear: counts.Linear,
		Evaluations: work.Evaluations, Requests: work.References, Generators: 1<<max(c.WeightBits, c.WitnessBits) + counts.Pads}
	if c.WeightBits != c.WitnessBits {
		s.Generators += 1 << min(c.WeightBits, c.WitnessBits)
	}
	for _, n := range counts.Vectors {
		s.Generators += n
	}
	return s, nil
}

// show prints the counts for people.
func (s *stats) show(w io.Writer) {
	if s != nil {
		fmt.Fprintf(w, "counts    %d points and %d scalars in the proof, %d of them pads; %d evaluations, asked for %d times; %d products and %d linear checks in one; %d generators; %.2f s of processors\n",
			s.Points, s.Scalars, s.Pads, s.Evaluations, s.Requests, s.Products, s.Linear, s.Generators, s.CPU)
	}
}
