package prover

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/forecast"
)

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
	p.expect(forecast.New(forecast.Work{Phase: "lookups", Cost: 1}, forecast.Work{Phase: "openings", Cost: 1}))
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
	q.expect(forecast.New(forecast.Work{Phase: "lookups", Cost: 1}, forecast.Work{Phase: "openings", Cost: 1}))
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
