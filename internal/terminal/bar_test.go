package terminal

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// screenText is what a terminal shows, whole, while it is written.
type screenText struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *screenText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *screenText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// waits until something stands on the screen, however slow the machine is.
func (s *screenText) waits(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(t, func() bool { return re.MatchString(s.String()) }, time.Minute, 5*time.Millisecond, pattern)
}

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
	shown, copied := &screenText{}, make(chan bool)
	go func() {
		_, _ = io.Copy(shown, screen) // ends with an error of the closed terminal
		close(copied)
	}()
	b := NewBar(terminal)
	require.NotNil(t, b)
	b.Show(0.5, "of nothing")
	b.Begin("read key")
	b.Begin("lookups")
	b.Show(0.25, "1 of 4, about 3 s left")
	shown.waits(t, `1 of 4`)
	fmt.Fprintln(b.Above(terminal), "a warning")
	b.Show(2, "longer than expected")
	shown.waits(t, `longer than expected`)
	fmt.Fprintln(b.Before(terminal), "the result")
	b.Show(0.5, "too late")
	b.End()
	shown.waits(t, `the result`)
	require.NoError(t, terminal.Close())
	require.NoError(t, screen.Close())
	<-copied
	text := shown.String()
	for _, want := range []string{"read key", "lookups          [=====>", "]  25 %  1 of 4, about 3 s left", "a warning\r\n", "]  99 %  longer than expected"} {
		require.Contains(t, text, want)
	}
	require.True(t, strings.HasSuffix(text, "\x1b[Jthe result\r\n"), "%q", text)
	require.NotContains(t, text, "of nothing")
	require.NotContains(t, text, "too late")
}
