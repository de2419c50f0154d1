package compiler

import (
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// Stats sizes a circuit up, for inspect.
type Stats struct {
	Tensors      int   `json:"tensors"`         // all tensors
	Witness      int   `json:"witness_tensors"` // those that are committed with every proof
	Virtual      int   `json:"virtual_tensors"` // those that are never committed
	WeightCells  int64 `json:"weight_cells"`    // cells of all weights
	WitnessCells int64 `json:"witness_cells"`   // cells that are committed with every proof, without multiplicities
	Lookups      int   `json:"lookups"`         // tensors that are looked up
	LookupCells  int64 `json:"lookup_cells"`    // cells that are looked up
	Tables       int   `json:"tables"`          // tables
	TableLines   int64 `json:"table_lines"`     // lines of all tables
	Zeros        int   `json:"zero_checks"`     // tensors that must be zero
	Waves        int   `json:"waves"`           // waves of sumchecks
	Evaluations  int   `json:"evaluations"`     // tensors that a proof evaluates, each counted per point
	Requests     int64 `json:"requests"`        // requests for them
	WeightRows   int   `json:"weight_rows"`     // row commitments of the model
	WitnessRows  int   `json:"witness_rows"`    // row commitments of a proof
	ProofBytes   int   `json:"proof_bytes"`     // exact size of a proof
	KeyBytes     int   `json:"key_bytes"`       // exact size of the verifying key, that of all lengths
	// proofs that its range proof consists of, each of at most 2^24 weights, and padding
	KeyPieces int `json:"key_pieces"`
	Soundness int `json:"soundness_bits"` // statistical soundness of one proof: its error is at most 2^-bits

	Work cost.Work `json:"work"` // what a proof has to do, from which its seconds and memory are predicted
}

// statistics counts what a proof about a circuit costs. The proof's size is exact: the message schedule is run without a prover.
func statistics(c *circuit.Circuit) (Stats, error) {
	work := c.Requests()
	s := Stats{Work: cost.Of(c), Evaluations: work.Evaluations, Requests: work.References, Tensors: len(c.Tensors), Lookups: len(c.Lookups), Tables: len(c.Tables), Zeros: len(c.Zeros), Waves: c.Waves()}
	for i := range c.Tensors {
		t := &c.Tensors[i]
		cells := int64(circuit.Size(t.Shape))
		switch {
		case t.Kind == circuit.Weight:
			s.WeightCells += cells
		case t.Kind == circuit.Virtual:
			s.Virtual++
		case t.Kind == circuit.Witness && !t.Mult:
			s.Witness++
			s.WitnessCells += cells
		}
	}
	for _, l := range c.Lookups {
		s.LookupCells += int64(circuit.Size(c.Tensor(l.Cols[0]).Shape))
	}
	for _, t := range c.Tables {
		s.TableLines += int64(len(t.Cols[0]))
	}
	s.WeightRows, s.WitnessRows = protocol.WeightLayout(c).Rows, commit.NewLayout(c, circuit.Witness, c.WitnessBits).Rows
	counts, err := protocol.CheckedSchedule(c)
	const header = format.HeaderSize + 32 // and the model's ID
	s.ProofBytes, s.Soundness = header+32*(counts.Points+counts.Scalars), protocol.SoundnessBits(counts)
	return s, err
}
