package witnesstest

import (
	"fmt"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// WholeVocab is how many token ids a model of Whole knows, the last of which pads.
const WholeVocab = 4

// Whole is a model that reads a text whole: the sum of the lines of a table that its tokens choose, of those that the mask does not leave
// out, plus a thousand times the sum of their positions and a hundred times that of their segments.
type Whole struct {
	Bare    bool   // token ids are its one input
	Private string // an input that statements do not tell
	Real    string // an input that is of reals
	First   int64  // the least position
}

// Family is the model at some lengths, with its weights.
func (x Whole) Family(t testing.TB, lengths ...int) (*circuit.Family, map[circuit.ID]integer.Tensor) {
	t.Helper()
	var members []*circuit.Circuit
	for _, n := range lengths {
		members = append(members, x.circuit(t, n))
	}
	f, err := circuit.NewFamily(members...)
	if err != nil {
		t.Fatal(err)
	}
	return f, map[circuit.ID]integer.Tensor{f.Shortest().Weights()[0].ID: Cells([]int{WholeVocab, 2}, 3, -1, 2, 5, -4, 1, 7, 7)}
}

func (x Whole) circuit(t testing.TB, n int) *circuit.Circuit {
	b := circuit.NewBuilder(circuit.Config{Name: "whole", WeightBits: 4, WitnessBits: 4})
	port := func(name string, kind circuit.Element, hi int64) circuit.ID {
		p := circuit.Port{Name: name, Kind: kind, Shape: []int{n}, Hi: hi, Reveal: circuit.Values}
		if name == x.Private {
			p.Reveal = circuit.Nothing
		}
		if name == x.Real {
			p.Kind = circuit.Reals
		}
		if name == "position_ids" {
			p.Lo = x.First
		}
		return gadget.Input(b, name, p)
	}
	ids := port("input_ids", circuit.IDs, WholeVocab-1)
	embedded := gadget.Embed(b, "embedded", ids, b.Weight("table", 8, WholeVocab, 2))
	extents := fmt.Sprintf(" t=%d d=2", n)
	terms := []circuit.Term{b.Times(1, "td->d"+extents, embedded)}
	if !x.Bare {
		mask := port("attention_mask", circuit.Integers, 1)
		segments := port("token_type_ids", circuit.Integers, 1)
		positions := port("position_ids", circuit.Integers, 8)
		terms = []circuit.Term{b.Times(1, "t,td->d"+extents, mask, embedded), b.Times(100, "t->d"+extents, segments), b.Times(1000, "t->d"+extents, positions)}
	}
	sum := b.Virtual("sum", []int{2}, terms...)
	b.Lookup(gadget.Range(b, -256, 16383), sum) // something is, in circuits of real models
	gadget.Output(b, circuit.Port{Name: "sum", Kind: circuit.Integers, Reveal: circuit.Values}, sum)
	return Finish(t, b)
}
