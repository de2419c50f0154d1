package constants

import (
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What Decode may allocate: eight bytes for a cell of one, headers for tensors without cells, which take five bytes each, twice that
// while slices grow, and what the runtime allocates meanwhile.
const (
	slackBytes = 64 << 10
	perByte    = 32
)

// FuzzDecode changes a valid file: a byte at a place, its end, what follows it. A cut of its whole length makes more the file. What is
// accepted encodes to the same bytes, and memory follows the file, not its counts.
func FuzzDecode(f *testing.F) {
	valid := Encode([][]int64{{1, 2, 300}, {-5}, {}, {1 << 40, -1 << 62}})
	for at := range valid {
		f.Add(uint8(at), byte(0xff), uint8(0), []byte{})
	}
	f.Add(uint8(0), byte(0), uint8(2), []byte{1, 0, 0, 0, 8})
	f.Add(uint8(0), byte(0), uint8(len(valid)), []byte("zkconst1\x00\x00\x00\x00"))
	f.Add(uint8(0), byte(0), uint8(len(valid)), Encode([][]int64{{1, 2, 300}, {-5}}))
	f.Fuzz(func(t *testing.T, at uint8, with byte, cut uint8, more []byte) {
		d := append(slices.Clone(valid[:len(valid)-int(cut)%(len(valid)+1)]), more...)
		if len(d) > 0 {
			d[int(at)%len(d)] ^= with
		}
		sum := Sum(d) // whoever can change the file cannot change the code that holds its sum; the fuzzer goes further
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := Decode(d, sum)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > slackBytes+perByte*uint64(len(d)) {
			t.Fatalf("%d bytes allocated for a file of %d bytes", n, len(d))
		}
		if err == nil {
			require.Equal(t, d, Encode(out))
		}
	})
}
