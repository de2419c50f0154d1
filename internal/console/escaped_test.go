package console

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names of others stand in errors: they must not move a terminal's cursor.
func TestErrorsMoveNoCursor(t *testing.T) {
	var out, stderr bytes.Buffer
	code := Report(t.Context(), "verifier", "", NewOutput(&out), &stderr, &Failure{Code: Unreadable, Err: errors.New("tensor a\x1b[3A\rb\u009b:\n\té 模")})
	require.Equal(t, Unreadable, code)
	require.Equal(t, "verifier: tensor a\\x1b[3A\\x0db\\x9b:\n\té 模\n", stderr.String())
}
