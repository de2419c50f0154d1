package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

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

	screen, terminal, err := pty.Open()
	if err != nil {
		t.Skip("there are no terminals: " + err.Error())
	}
	require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Rows: 25, Cols: 100}))
	shown := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = io.Copy(&all, screen) // ends with an error of the closed terminal
		shown <- all.String()
	}()
	b := NewBar(terminal)
	require.NotNil(t, b)
	b.Show(0.5, "of nothing")
	b.Begin("read key")
	b.Begin("lookups")
	b.Show(0.25, "1 of 4, about 3 s left")
	time.Sleep(300 * time.Millisecond)
	fmt.Fprintln(b.Above(terminal), "a warning")
	b.Show(2, "longer than expected")
	time.Sleep(300 * time.Millisecond)
	fmt.Fprintln(b.Before(terminal), "the result")
	b.Show(0.5, "too late")
	b.End()
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, terminal.Close())
	require.NoError(t, screen.Close())
	text := <-shown
	for _, want := range []string{"read key", "lookups          [=====>", "]  25 %  1 of 4, about 3 s left", "a warning\r\n", "]  99 %  longer than expected"} {
		require.Contains(t, text, want)
	}
	require.True(t, strings.HasSuffix(text, "\x1b[Jthe result\r\n"), "%q", text)
	require.NotContains(t, text, "of nothing")
	require.NotContains(t, text, "too late")
}
