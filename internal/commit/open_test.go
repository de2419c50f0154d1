package commit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// A claim on a tensor that no set of rows holds would be checked by nothing.
func TestClaimOnNoRow(t *testing.T) {
	c, l, _, _ := laid(t)
	open := func(id circuit.ID) error {
		ch := veil.NewCounter(transcript.New("claims"))
		ch.Open()
		point := make([]field.Element, circuit.ShapeBits(c.Tensor(id).Shape))
		value := ch.Vector("value", 1, nil)[0]
		Open(ch, c, nil, []Set{{Layout: l}}, []Bound{{Claim: Claim{T: id, Point: point}, Value: value}})
		return ch.Err()
	}
	var witness circuit.ID = -1
	for i := range c.Tensors {
		if c.Tensors[i].Kind == circuit.Witness {
			witness = circuit.ID(i)
		}
	}
	require.ErrorContains(t, open(witness), "which no set of rows holds")
}
