package format_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/format"
)

// What was written is read, whatever the number of blocks and however much is asked for at a time; a byte that is another, and an end before
// the end, are told, also if nothing was read; who decoded has an error only where the file is not to blame.
func TestChecked(t *testing.T) {
	const block = 1 << 20
	own := errors.New("of whoever decodes")
	for _, n := range []int{0, 1, block - 1, block, 4*block + 7} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(i ^ i>>8 ^ i>>16)
		}
		var file bytes.Buffer
		out := format.NewSummed(&file)
		_, err := out.Write(want)
		require.NoError(t, err)
		require.NoError(t, out.Finish())
		data, size := file.Bytes(), int64(file.Len())

		in, got := format.ReadSummed(bytes.NewReader(data), size), []byte{}
		for piece := make([]byte, 300_001); ; {
			k, err := io.ReadFull(in, piece)
			if got = append(got, piece[:k]...); err != nil {
				break
			}
		}
		require.True(t, bytes.Equal(want, got), "%d bytes", n)
		require.NoError(t, in.Finish(nil))
		require.ErrorIs(t, format.ReadSummed(bytes.NewReader(data), size).Finish(own), own)
		if n > 0 {
			require.ErrorIs(t, format.ReadSummed(bytes.NewReader(data[:n/2]), size).Finish(own), io.ErrUnexpectedEOF)
			data[n-1] ^= 1
			require.ErrorIs(t, format.ReadSummed(bytes.NewReader(data), size).Finish(own), format.ErrDamaged)
		}
	}
}
