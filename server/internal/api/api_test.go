package api

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// SERVING.md says what every member of a proof's report means, and which parameters are refused.
func TestInterfaceIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../SERVING.md")
	require.NoError(t, err)
	r := reflect.TypeFor[proofReport]()
	for i := range r.NumField() {
		name, _, _ := strings.Cut(r.Field(i).Tag.Get("json"), ",")
		require.Contains(t, string(page), "`"+name+"`")
	}
	for name := range why {
		require.Contains(t, neutral, name)
	}
}

// A file of tokens is two words to a line; what is wrong with one is said without the token.
func TestAccess(t *testing.T) {
	for file, want := range map[string]string{
		"": "no token", "# ann x\n": "no token", "\nann\n": "line 2: want NAME TOKEN", "ann secretsecret\n": "line 1: the token of ann has 12 characters",
		"ann a b\n": "line 1: want NAME TOKEN", "everybody 01234567890123456789": "nobody may be called everybody",
		"ann 01234567890123456789\nbob 01234567890123456789 operator": "line 2: ann and bob have the same token",
	} {
		_, err := ParseAccess([]byte(file))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
	a, err := ParseAccess([]byte("ann 01234567890123456789\r\n\nbob 98765432109876543210"))
	require.NoError(t, err)
	require.Len(t, a.users, 2)
	require.NotContains(t, fmt.Sprintf("%+v", a), "01234567890123456789", "tokens are not kept")
}

// What is left of a request's members is refused unless it leaves the greedy answer as it is.
func TestNeutralParameters(t *testing.T) {
	for name, values := range neutral {
		for _, v := range append(values, "null") {
			require.NoError(t, params{name: []byte(" " + v)}.rest(), name)
		}
		if values != nil {
			require.Error(t, params{name: []byte(`"other"`)}.rest(), name)
		}
	}
	require.Error(t, params{"other": []byte("null")}.rest())
}
