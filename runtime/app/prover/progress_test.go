package prover

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// A forecast goes by what finished phases took: nothing is said of time before a fiftieth is done, a phase that takes longer than expected
// does not end before it ends, and what is not expected counts for nothing.
func TestForecast(t *testing.T) {
	f := newForecast(work{"a", 1}, work{"b", 20}, work{"c", 79})
	require.Empty(t, f.say("other", time.Hour))
	require.Equal(t, "0 %", f.say("a", time.Hour))
	f.finish("other", time.Hour)
	f.finish("a", time.Second)
	require.Equal(t, "1 %", f.say("b", time.Hour))
	require.False(t, f.long())
	f.finish("b", 41*time.Second)
	require.True(t, f.long())
	require.Equal(t, "21 %, about 3 min left", f.say("c", 0))
	require.Equal(t, "71 %, about 58 s left", f.say("c", 100*time.Second))
	require.Equal(t, "96 %, about 8 s left", f.say("c", time.Hour))
	f.finish("c", time.Minute)
	require.Empty(t, f.say("after", time.Second))

	short := newForecast(work{"a", 1}, work{"b", 1})
	short.finish("a", 4*time.Second)
	require.False(t, short.long())
	var none *forecast
	none.finish("a", time.Hour)
	require.Empty(t, none.say("a", time.Hour))
	require.False(t, none.long())
}

// Every phase of a proof is expected, and the lookups, which are most of it, are most of what is.
func TestProofForecast(t *testing.T) {
	text := witnesstest.Text{Name: "text", Length: 2, Vocab: 4, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	b := text.Builder()
	text.Logits(b, gadget.Embed(b, "logits", text.Tokens(b), b.Weight("w", 8, 4, 4)))
	c := witnesstest.Finish(t, b)
	f := proofForecast(c)
	for _, phase := range []string{"witness", "commit witness", "lookups", "einsum waves", "openings", "final argument"} {
		require.Positive(t, f.cost(phase), phase)
	}
	require.Len(t, f.phases, 6)
}

// On a terminal the line of the running phase is written over, by what comes after it too, and is left to what is printed meanwhile;
// elsewhere there is a line per phase, with a word on what is left where that is long. The clock stands still, however busy the machine is.
func TestProgressLines(t *testing.T) { synctest.Test(t, progressLines) }

func progressLines(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, interactive: true, begin: time.Now(), seconds: map[string]float64{}}
	p.phase("read key")
	p.phase("decoding")
	require.Regexp(t, `^\rread key         … +\rread key +0\.00 s\n\rdecoding         … +$`, out.String())
	p.tokens(3)
	require.Regexp(t, `\rdecoding         … 3 tokens +$`, out.String())
	p.yield()
	require.Regexp(t, `\r +\r$`, out.String())
	at := out.Len()
	p.yield()
	p.tokens(4)
	require.Len(t, out.String(), at, "the line is left to others")
	p.phase("")
	require.Regexp(t, `^\rdecoding +0\.00 s\n$`, out.String()[at:])
	p.expect(newForecast(work{"lookups", 1}, work{"openings", 1}))
	p.phase("lookups")
	require.Regexp(t, `\rlookups          … 0 % +$`, out.String())
	p.since = p.since.Add(-time.Minute)
	at = out.Len()
	p.phase("openings")
	require.Regexp(t, `^\rlookups +60\.00 s   50 %, about 60 s left\n\ropenings         … 50 %, about 60 s left +$`, out.String()[at:])
	p.abandon()
	at = out.Len()
	p.phase("final argument")
	require.Len(t, out.String(), at, "what was given up is not shown")

	var file bytes.Buffer
	q := newProgress(&file)
	q.expect(newForecast(work{"lookups", 1}, work{"openings", 1}))
	q.phase("lookups")
	q.since = q.since.Add(-time.Minute)
	q.phase("openings")
	q.phase("")
	require.Regexp(t, `^lookups +60\.00 s   50 %, about 60 s left\nopenings +0\.00 s   100 %\n$`, file.String())
}

// The running line is written anew while a phase runs.
func TestProgressTicks(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, interactive: true, begin: time.Now(), seconds: map[string]float64{}}
	p.phase("lookups")
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return bytes.Count(out.Bytes(), []byte("lookups")) > 1
	}, 30*time.Second, 50*time.Millisecond)
	p.phase("")
	require.Nil(t, p.ticking)
}
