package prover

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zkllmc/zkllmc/internal/test/screen"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/forecast"
)

// On a terminal the running phase has a bar, which gives way to what is printed meanwhile, and the line of a phase that has ended stays.
func TestProgressOnATerminal(t *testing.T) {
	tty, device, err := pty.Open()
	if err != nil {
		t.Skip("there are no terminals: " + err.Error())
	}
	require.NoError(t, pty.Setsize(device, &pty.Winsize{Rows: 25, Cols: 100}))
	shown, copied := &screen.Text{}, make(chan bool)
	go func() {
		_, _ = io.Copy(shown, tty) // ends with an error of the closed terminal
		close(copied)
	}()
	p := newProgress(device)
	p.phase("read key")
	p.phase("decoding")
	p.tokens(3)
	shown.Waits(t, `3 tokens`)
	p.yield()
	fmt.Fprintln(device, "an answer")
	p.tokens(4)
	p.phase("commit weights")
	p.part(1, 4)
	shown.Waits(t, `1 of 4`)
	p.expect(forecast.New(forecast.Work{Phase: "lookups", Cost: 1}, forecast.Work{Phase: "openings", Cost: 1}))
	p.phase("lookups")
	p.since = p.since.Add(-time.Minute)
	p.phase("openings")
	shown.Waits(t, `openings .*about 60 s left`)
	p.abandon()
	p.phase("final argument")
	require.NoError(t, device.Close())
	require.NoError(t, tty.Close())
	<-copied
	text := shown.String()
	for _, want := range []string{
		`read key +\d+\.\d\d s\r\n`, `decoding +. +3 tokens, [0-9.e+]+/s`, `\x1b\[Jan answer\r\ndecoding +\d+\.\d\d s\r\n`, `commit weights   \[=+>-+\]  25 %  1 of 4, [0-9.e+]+/s, about \d+ s left`,
		`lookups +60\.\d\d s   50 %, about 60 s left\r\n`, `openings         \[=+>-+\]  50 %  about 60 s left`,
	} {
		require.Regexp(t, want, text)
	}
	require.NotContains(t, text, "4 tokens", "the line is left to others")
	require.NotContains(t, text, "final argument", "what was given up is not shown")
}

// Elsewhere there is a line per phase, with a word on what is left where that is long, and none where nobody wants to know. The clock stands
// still, however busy the machine is.
func TestProgressLines(t *testing.T) { synctest.Test(t, progressLines) }

func progressLines(t *testing.T) {
	var file bytes.Buffer
	q := newProgress(&file)
	q.expect(forecast.New(forecast.Work{Phase: "lookups", Cost: 1}, forecast.Work{Phase: "openings", Cost: 1}))
	q.phase("lookups")
	q.since = q.since.Add(-time.Minute)
	q.phase("openings")
	q.phase("")
	require.Regexp(t, `^lookups +60\.00 s   50 %, about 60 s left\nopenings +0\.00 s   100 %\n$`, file.String())

	var none bytes.Buffer
	q = newProgress(&none)
	q.quiet()
	q.phase("lookups")
	q.phase("")
	require.Empty(t, none.String())
	require.Contains(t, q.totals(), "lookups")
}
