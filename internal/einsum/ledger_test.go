package einsum_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/einsum"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// nothing is for circuits without public tensors.
type nothing struct{}

func (nothing) Eval(circuit.ID, []field.Element) field.Element { return field.Element{} }

// An evaluation that was not bound, or asked for and left, is an error, whatever kind of tensor it is of.
func TestUnboundEvaluations(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "ledger", WeightBits: 4, WitnessBits: 4})
	w := b.Weight("weights", 4, 2, 3)
	b.Lookup(b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} }), b.Witness("x", 0, 1, 2))
	products := b.Virtual("products", []int{2}, b.Times(1, "ti,ti->t t=2 i=3", w, w)) // nothing of it passes through
	b.Zero(products)
	c, err := b.Finish()
	require.NoError(t, err)
	ledger := func() (*veil.Channel, *einsum.Ledger) {
		ch := veil.NewCounter(transcript.New("ledger"))
		ch.Open()
		return ch, einsum.NewLedger(ch, c, nothing{}, nil, nil)
	}
	for id, want := range map[circuit.ID]string{w: "evaluation of weights was not bound", products: "product part of products was not bound"} {
		point := make([]field.Element, circuit.ShapeBits(c.Tensor(id).Shape))
		ch, l := ledger()
		l.Expr(id, point)
		require.ErrorContains(t, ch.Err(), want)

		ch, l = ledger()
		l.Ask(id, point)
		l.Expr(id, point)
		require.ErrorContains(t, ch.Err(), want, "it was asked for")

		ch, l = ledger()
		l.Ask(id, point)
		_, err := l.Openings()
		require.ErrorContains(t, err, "asked for and not bound")
		l.Bind("claims", 0, nil)
		l.Expr(id, point)
		require.NoError(t, ch.Err())
	}
}
