package frontend

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCalled: names for people have no parts that the compiler made.
func TestCalled(t *testing.T) {
	for name, want := range map[string]string{
		"Div 6/Round 7/Add 8//model/Where_1_output_0": "/model/Where_1_output_0",
		"/model/w/Mul 12": "/model/w",
		"w/Mul 12/y":      "w/y",
		"Div 6/Round 7":   "node",
		"layers.0/w 1.5":  "layers.0/w 1.5",
	} {
		require.Equal(t, want, (&val{name: name, by: "node"}).called(), name)
	}
}
