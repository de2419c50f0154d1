package compiler

import (
	"math"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
)

// Row widths. N cells in rows of 2^b columns are at least N/2^b row commitments. One of the witness is 32 bytes of every proof; and every
// commitment, and every column, is a point in the sum that verifies a proof. Rows of weights and witness of one width share their columns.
// So narrow rows make proofs long, and wide ones make verification slow, above all where it begins: whoever meets a column has to derive
// its generator.
const (
	minWidth = 12 // log2 of the narrowest rows that are chosen, and of the widest
	maxWidth = 20

	rowBytes = 32
	// pointBytes is what a point costs in bytes of proof: 7 µs of a verifier, and where it is a column 13 µs of whoever derives it, once, and 14 µs
	// of a prover.
	pointBytes = 2
)

// rows is how many rows there are of 2^bits columns.
type rows struct{ bits, n int }

// widths returns log2 of the row widths of weights and witness with which proofs about a circuit cost least, where they are not given.
func widths(c *circuit.Circuit, weight, witness int) (w, x int) {
	least := math.MaxInt
	for _, i := range rowsIn(c, circuit.Weight, weight) {
		for _, j := range rowsIn(c, circuit.Witness, witness) {
			points := i.n + j.n + 1<<j.bits
			if i.bits != j.bits {
				points += 1 << i.bits
			}
			if cost := rowBytes*j.n + pointBytes*points; cost < least {
				least, w, x = cost, i.bits, j.bits
			}
		}
	}
	return w, x
}

// rowsIn lists the rows of all widths that may be chosen, or of the given one if it is not 0.
func rowsIn(c *circuit.Circuit, kind circuit.Kind, given int) (list []rows) {
	lo, hi := minWidth, maxWidth
	if given != 0 {
		lo, hi = given, given
	}
	for b := lo; b <= hi; b++ {
		list = append(list, rows{b, commit.NewLayout(c, kind, b).Rows})
	}
	return list
}

// chooseWidths builds the circuit again if other row widths are better for it. Those that the configuration gives are kept, and so is that
// of the weights if this is a shorter length of a model.
func (r *Result) chooseWidths(cfg Config) (err error) {
	before := r.plan.Config
	c := &r.plan.Config
	if c.WeightBits, c.WitnessBits = widths(r.Circuit, cfg.WeightBits, cfg.WitnessBits); *c != before {
		if _, err = r.buildCircuit(); err != nil {
			return err
		}
	}
	r.Stats, err = statistics(r.Circuit)
	return err
}
