package console

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// A verdict has a colour on a terminal, unless the user wants none; elsewhere it has none.
func TestVerdictsStandOut(t *testing.T) {
	for _, name := range []string{"NO_COLOR", "CLICOLOR", "WT_SESSION"} {
		t.Setenv(name, "")
	}
	t.Setenv("TERM", "xterm")
	require.Equal(t, "accepted", Good(&bytes.Buffer{}, "accepted"))
	file, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, "accepted", Good(file, "accepted"))

	screen, terminal, err := pty.Open()
	if err != nil {
		t.Skip("there are no terminals: " + err.Error())
	}
	defer screen.Close()
	require.Equal(t, "\x1b[1;32maccepted\x1b[0m", Good(terminal, "accepted"))
	for _, without := range [][2]string{{"NO_COLOR", "1"}, {"CLICOLOR", "0"}, {"TERM", "dumb"}, {"TERM", ""}} {
		t.Run(without[0], func(t *testing.T) {
			t.Setenv(without[0], without[1])
			require.Equal(t, "rejected", Bad(terminal, "rejected"))
		})
	}
	Report(t.Context(), "verifier", "", NewOutput(io.Discard), terminal, &Failure{Code: Rejected, Class: "decoding", Err: errors.New("why")})
	require.NoError(t, terminal.Close())
	shown, _ := io.ReadAll(screen) // ends with an error of the closed terminal
	require.Equal(t, "verifier: \x1b[1;31mrejected (decoding)\x1b[0m: why\r\n", string(shown))
}
