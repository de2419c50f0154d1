package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/test/screen"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// A bar stands in the last line of a terminal, with what is written meanwhile above, and leaves nothing behind. Elsewhere there is none.
func TestBar(t *testing.T) {
	require.Nil(t, NewBar(&bytes.Buffer{}))
	var none *Bar
	none.Begin("a")
	none.Show(0.5, "b")
	none.End()
	require.Equal(t, io.Discard, none.Above(io.Discard))
	require.Equal(t, io.Discard, none.Before(io.Discard))

	tty, terminal, err := pty.Open()
	if err != nil {
		t.Skip("there are no terminals: " + err.Error())
	}
	require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Rows: 25, Cols: 100}))
	shown, copied := &screen.Text{}, make(chan bool)
	go func() {
		_, _ = io.Copy(shown, tty) // ends with an error of the closed terminal
		close(copied)
	}()
	b := NewBar(terminal)
	require.NotNil(t, b)
	b.Show(0.5, "of nothing")
	b.Begin("read key")
	b.Begin("lookups")
	b.Show(0.25, "1 of 4, about 3 s left")
	shown.Waits(t, `1 of 4`)
	fmt.Fprintln(b.Above(terminal), "a warning")
	b.Show(2, "longer than expected")
	shown.Waits(t, `longer than expected`)
	fmt.Fprintln(b.Before(terminal), "the result")
	b.Show(0.5, "too late")
	b.End()
	shown.Waits(t, `the result`)
	require.NoError(t, terminal.Close())
	require.NoError(t, tty.Close())
	<-copied
	text := shown.String()
	for _, want := range []string{"read key", "lookups          [=====>", "]  25 %  1 of 4, about 3 s left", "a warning\r\n", "]  99 %  longer than expected"} {
		require.Contains(t, text, want)
	}
	require.True(t, strings.HasSuffix(text, "\x1b[Jthe result\r\n"), "%q", text)
	require.NotContains(t, text, "of nothing")
	require.NotContains(t, text, "too late")
}
