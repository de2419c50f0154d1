package circuit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An expression is read as what it says, and nothing else is.
func TestParseLinear(t *testing.T) {
	for text, want := range map[string][]int64{
		"i - j": {0, 1, -1}, "i-2j+3": {3, 1, -2}, "-j + 77": {77, 0, -1}, "0": {0, 0, 0}, "  -  4i  ": {0, -4, 0},
		"i + i - 3i + 1 - 2": {-1, -1, 0}, "1073741824j": {0, 0, 1 << 30},
	} {
		got, err := parseLinear(text, 2)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := parseLinear(Linear(got[0], got[1:]), 2)
		require.NoError(t, err, text)
		require.Equal(t, want, again, "written as %s", Linear(got[0], got[1:]))
	}
	for text, why := range map[string]string{
		"": "a term is a number", "i -": "a term is a number", "i j": "joined by + or -", "k": "a term is a number", "2*i": "joined by", "i - - j": "a term is a number",
		"1073741825i": "at most 2^30", "1073741824i + i": "at most 2^30", "-1073741824 - 1": "at most 2^30", "99999999999999999999": "at most 2^30", "i = j": "joined by",
	} {
		_, err := parseLinear(text, 2)
		require.ErrorContains(t, err, why, text)
	}
}
