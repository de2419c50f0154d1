package console

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\n": "a\tb\n", "Grüße, 世界 🙂 \u00a0": "Grüße, 世界 🙂 \u00a0", "": "",
		"\x1b]0;x\x07\x1b[2Ja\rb": `\u001b]0;x\u0007\u001b[2Ja\u000db`, "a\u202eb\u2066c\u200f": `a\u202eb\u2066c\u200f`, "\u009b2J": `\u009b2J`, "\U000e0041": `\udb40\udc41`, "\x00\x7f": `\u0000\u007f`,
		"a\xffb": "a\xffb", "\ufffd": "\ufffd",
	} {
		var out bytes.Buffer
		n, err := Plain(&out).Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
		require.Equal(t, want, out.String())
	}
	r, w := io.Pipe()
	lost := errors.New("lost")
	require.NoError(t, r.CloseWithError(lost))
	_, err := Plain(w).Write([]byte("a"))
	require.ErrorIs(t, err, lost)
}
