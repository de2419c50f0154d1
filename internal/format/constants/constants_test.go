package constants

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) {
	in := [][]int64{{0, 1, -1}, {-128, 127}, {128}, {-32769}, {1 << 40, -1 << 62}, {}}
	file := Encode(in)
	out, err := Decode(file, Sum(file))
	require.NoError(t, err)
	require.Equal(t, in, out)
}

func TestRefuses(t *testing.T) {
	file := Encode([][]int64{{1, 2, 300}})
	_, err := Decode(file[:len(file)-1], Sum(file))
	require.ErrorContains(t, err, "not the one")
	for name, bad := range map[string][]byte{
		"empty":     {},
		"truncated": file[:len(file)-1],
		"trailing":  append(append([]byte{}, file...), 0),
		"count":     []byte("zkconst1\xff\xff\xff\xff"),
		"cells":     []byte("zkconst1\x01\x00\x00\x00\xff\xff\xff\xff\x08"),
		"width":     []byte("zkconst1\x01\x00\x00\x00\x01\x00\x00\x00\x03abc"),
		"padded":    []byte("zkconst1\x01\x00\x00\x00\x01\x00\x00\x00\x02a\x00"),
	} {
		_, err := Decode(bad, Sum(bad))
		require.Error(t, err, name)
	}
}
