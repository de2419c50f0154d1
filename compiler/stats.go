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
	Tensors      int   `json:"tensors"`
	Witness      int   `json:"witness_tensors"`
	Virtual      int   `json:"virtual_tensors"`
	WeightCells  int64 `json:"weight_cells"`
	WitnessCells int64 `json:"witness_cells"` // without multiplicities
	Lookups      int   `json:"lookups"`
	LookupCells  int64 `json:"lookup_cells"`
	Tables       int   `json:"tables"`
	TableLines   int64 `json:"table_lines"`
	Zeros        int   `json:"zero_checks"`
	Waves        int   `json:"waves"`
	Evaluations  int   `json:"evaluations"` // of tensors, each at one point: see circuit.Requests
	Requests     int64 `json:"requests"`    // for them
	WeightRows   int   `json:"weight_rows"`
	WitnessRows  int   `json:"witness_rows"`
	ProofBytes   int   `json:"proof_bytes"`
	KeyBytes     int   `json:"key_bytes"`      // of the verifying key, that of all lengths
	KeyPieces    int   `json:"key_pieces"`     // of its range proof, each of its own
	Soundness    int   `json:"soundness_bits"` // statistical, of the interactive protocol: see protocol.SoundnessBits

	Work cost.Work `json:"work"` // of a proof
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
