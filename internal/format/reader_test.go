package format_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
)

// A reader that was asked for more than there is, or for less than nothing, says so from then on.
func TestReaderKeepsItsError(t *testing.T) {
	for _, n := range []int{33, -1} {
		w := format.NewWriter(format.MagicProof, [32]byte{})
		w.Raw(make([]byte, 32))
		r, err := format.NewReader(w.Bytes(), format.MagicProof, [32]byte{})
		require.NoError(t, err)
		require.NoError(t, r.Err())
		require.Nil(t, r.Raw(n), "%d bytes of 32", n)
		require.ErrorIs(t, r.Err(), format.ErrTruncated)
		require.Nil(t, r.Raw(1))
		_, err = r.Scalar()
		require.ErrorIs(t, err, format.ErrTruncated)
		require.ErrorIs(t, r.Points(make([]group.Affine, 1)), format.ErrTruncated)
		require.ErrorIs(t, r.Points(nil), format.ErrTruncated)
		require.ErrorIs(t, r.Close(), format.ErrTruncated)
	}
}

// The header of what is about a member says which one, of this family.
func TestMemberReader(t *testing.T) {
	a, _ := weighted(t, "a")
	f := circuit.Single(a)
	file := format.NewWriter(format.MagicStatement, a.Digest())
	file.Uint32(7)
	data := file.Bytes()
	r, c, err := format.NewMemberReader(data, format.MagicStatement, f)
	require.NoError(t, err)
	require.Same(t, a, c)
	require.Equal(t, uint32(7), r.Uint32())
	require.NoError(t, r.Close())
	for n := range format.HeaderSize {
		_, _, err := format.NewMemberReader(data[:n], format.MagicStatement, f)
		require.ErrorIs(t, err, format.ErrTruncated, "%d bytes", n)
		want := format.ErrMagic
		if n >= 12 {
			want = format.ErrCircuit
		} else if n >= 8 {
			want = format.ErrVersion
		}
		changed := bytes.Clone(data)
		changed[n] ^= 1
		_, _, err = format.NewMemberReader(changed, format.MagicStatement, f)
		require.ErrorIs(t, err, want, "byte %d", n)
	}
}

// A file of ours that is of another kind is called what it is; any other is not called anything.
func TestReaderNamesKinds(t *testing.T) {
	statement := format.NewWriter(format.MagicStatement, [32]byte{}).Bytes()
	_, err := format.NewReader(statement, format.MagicProof, [32]byte{})
	require.ErrorIs(t, err, format.ErrMagic)
	require.ErrorContains(t, err, "it is a statement, not a proof")
	statement[0] ^= 1
	_, err = format.NewReader(statement, format.MagicProof, [32]byte{})
	require.ErrorIs(t, err, format.ErrMagic)
	require.ErrorContains(t, err, "it is not a proof")
}

// A file that ends within its header is none, and an element that is not canonical is not given out without an error.
func TestReaderRefuses(t *testing.T) {
	w := format.NewWriter(format.MagicProof, [32]byte{7})
	head := w.Bytes()
	for n := range head {
		_, err := format.NewReader(head[:n], format.MagicProof, [32]byte{7})
		require.ErrorIs(t, err, format.ErrTruncated, "%d bytes", n)
	}
	w.Raw(bytes.Repeat([]byte{0xff}, 64))
	for _, read := range []func(r *format.Reader) error{
		func(r *format.Reader) error { return r.Points(make([]group.Affine, 1)) },
		func(r *format.Reader) error { _, err := r.Scalar(); return err },
	} {
		r, err := format.NewReader(w.Bytes(), format.MagicProof, [32]byte{7})
		require.NoError(t, err)
		require.ErrorIs(t, read(r), format.ErrEncoding)
		require.Nil(t, r.Raw(1))
	}
}

// What messages show of two digests tells them apart.
func TestBrief(t *testing.T) {
	var a, b [32]byte
	require.Equal(t, "0000000000000000…", format.Brief(a))
	b[0] = 0x10
	require.Equal(t, "0000000000000000…", format.Brief(a, b))
	b[0], b[9] = 0, 0x20
	require.Equal(t, "0000000000000000000…", format.Brief(a, b))
	require.Equal(t, "0000000000000000002…", format.Brief(b, a))
	b[9], b[31] = 0, 1
	require.Equal(t, strings.Repeat("0", 63)+"1", format.Brief(b, a))
	require.Equal(t, strings.Repeat("0", 64), format.Brief(a, [32]byte{1}, b))
	require.Equal(t, "none", format.BriefText("none", strings.Repeat("0", 64)))
	_, err := format.NewReader(append([]byte(format.MagicProof+"\x00\x00\x00\x01"), a[:]...), format.MagicProof, b)
	require.ErrorContains(t, err, strings.Repeat("0", 64)+", want "+strings.Repeat("0", 63)+"1")
}
