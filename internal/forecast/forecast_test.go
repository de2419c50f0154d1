package forecast

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// A forecast goes by what finished phases took: nothing is said of time before a fiftieth is done, a phase that takes longer than expected
// does not end before it ends, and what is not expected counts for nothing.
func TestForecast(t *testing.T) {
	f := New(Work{"a", 1}, Work{"b", 20}, Work{"c", 79})
	require.Empty(t, f.Say("other", time.Hour))
	require.Equal(t, "0 %", f.Say("a", time.Hour))
	f.Finish("other", time.Hour)
	f.Finish("a", time.Second)
	require.Equal(t, "1 %", f.Say("b", time.Hour))
	require.False(t, f.Long())
	f.Finish("b", 41*time.Second)
	require.True(t, f.Long())
	require.Equal(t, "21 %, about 3 min left", f.Say("c", 0))
	require.Equal(t, "71 %, about 58 s left", f.Say("c", 100*time.Second))
	require.Equal(t, "96 %, about 8 s left", f.Say("c", time.Hour))
	f.Finish("c", time.Minute)
	require.Empty(t, f.Say("after", time.Second))

	short := New(Work{"a", 1}, Work{"b", 1})
	short.Finish("a", 4*time.Second)
	require.False(t, short.Long())
	var none *Forecast
	none.Finish("a", time.Hour)
	require.Empty(t, none.Say("a", time.Hour))
	require.False(t, none.Long())
}

// Every phase of a proof is expected, and the lookups, which are most of it, are most of what is.
func TestProofForecast(t *testing.T) {
	text := witnesstest.Text{Name: "text", Length: 2, Vocab: 4, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	text.Logits(b, gadget.Embed(b, "logits", text.Tokens(b), b.Weight("w", 8, 4, 4)))
	c := witnesstest.Finish(t, b)
	f := Of(c)
	for _, phase := range []string{"witness", "commit witness", "lookups", "einsum waves", "openings", "final argument"} {
		require.Positive(t, f.cost(phase), phase)
	}
	require.Len(t, f.phases, 6)
}
