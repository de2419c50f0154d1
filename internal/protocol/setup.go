package protocol

import (
	"fmt"
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// SetupCircuit returns the circuit of the weights' range proof: the weights of c, in order and placed alike, and one lookup of
// each into its declared range. Its digest depends on the digest of c, so that a range proof belongs to one circuit.
func SetupCircuit(c *circuit.Circuit) (*circuit.Circuit, error) {
	digest := c.Digest()
	cfg := circuit.Config{
		Name: fmt.Sprintf("weights of %x", digest), WeightBits: c.WeightBits, WitnessBits: c.WitnessBits,
	}
	b := circuit.NewBuilder(cfg)
	for _, t := range c.Weights() {
		width := bits.Len64(uint64(t.Hi - t.Lo))
		id := b.Weight(t.Name, width, t.Shape...)
		b.Lookup(gadget.Range(b, t.Lo, t.Hi), id)
	}
	if len(c.Weights()) == 0 {
		return nil, fmt.Errorf("circuit %s has no weights, hence no model to commit to", c.Name)
	}
	return b.Finish()
}

// WeightIDs lists the weights of a circuit in order; weight k of c and weight k of SetupCircuit(c) are the same tensor.
func WeightIDs(c *circuit.Circuit) []circuit.ID {
	var ids []circuit.ID
	for _, t := range c.Weights() {
		ids = append(ids, t.ID)
	}
	return ids
}

// WeightLayout places the weights; it is the same for a circuit and its setup circuit.
func WeightLayout(c *circuit.Circuit) *commit.Layout {
	return commit.NewLayout(c, circuit.Weight, c.WeightBits)
}

// Nothing is the statement of a setup proof: all that is public is the circuit and the model commitment.
type Nothing struct{}

// Bytes returns no bytes.
func (Nothing) Bytes() []byte { return nil }

// Eval is never called: a setup circuit has no public tensors.
func (Nothing) Eval(*circuit.Circuit, circuit.ID, []field.Element) field.Element {
	return field.Element{}
}
