package format_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
)

// slackBytes is what decoding may allocate beyond the size of the file: the 8 cells of the circuit's weights, error texts, and what the
// runtime allocates meanwhile, which is the larger part.
const slackBytes = 64 << 10

// FuzzDecodeWeights changes a valid file: a 32-bit word anywhere (counts, name lengths, axes and extents are such words), its end, what
// follows it; a cut of its whole length makes more the file. It is read with the checksum that it then has and with a right one. Memory follows the circuit, not the words.
func FuzzDecodeWeights(f *testing.F) {
	c, w := weighted(f, "c")
	valid, err := format.EncodeWeights(circuit.Single(c), w)
	require.NoError(f, err)
	for at := range valid {
		f.Add(uint16(at), uint32(0xffffffff), uint16(0), []byte{})
	}
	f.Add(uint16(0), uint32(0), uint16(3), []byte{})
	f.Add(uint16(0), uint32(0), uint16(0), []byte{1, 2, 3, 4})
	f.Add(uint16(0), uint32(0), uint16(len(valid)), valid[:header])
	f.Fuzz(func(t *testing.T, at uint16, with uint32, cut uint16, more []byte) {
		d := append(slices.Clone(valid[:len(valid)-int(cut)%(len(valid)+1)]), more...)
		for k := range 4 {
			if i := int(at) + k; i < len(d) {
				d[i] ^= byte(with >> (24 - 8*k))
			}
		}
		for _, d := range [][]byte{d, summed(d)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := format.DecodeWeights(circuit.Single(c), d)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > slackBytes+uint64(len(d)) {
				t.Fatalf("%d bytes allocated for a file of %d bytes", n, len(d))
			}
			if err != nil {
				continue
			}
			again, err := format.EncodeWeights(circuit.Single(c), got)
			require.NoError(t, err)
			require.Equal(t, d, again, "one encoding per content")
		}
	})
}
