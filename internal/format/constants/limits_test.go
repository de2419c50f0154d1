package constants

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Files that end within a count or a width, and widths that are none.
func TestRefusesSizes(t *testing.T) {
	valid := Encode([][]int64{{1, 2, 300}, {}})
	for n := range valid {
		_, err := Decode(valid[:n], Sum(valid[:n]))
		require.Error(t, err, "%d bytes", n)
	}
	for w := range 256 {
		if w == 1 || w == 2 || w == 4 || w == 8 {
			continue
		}
		for _, cells := range []byte{0, 1} {
			bad := append([]byte("zkconst1\x01\x00\x00\x00"), cells, 0, 0, 0, byte(w))
			bad = append(bad, make([]byte, int(cells)*w)...)
			_, err := Decode(bad, Sum(bad))
			require.Error(t, err, "%d cells of %d bytes", cells, w)
		}
	}
}
