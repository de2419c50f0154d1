package group

import (
	"errors"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/grumpkin"
	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"

	"github.com/zkllmc/zkllmc/internal/parallel"
)

// Bytes is the length of an encoded point.
const Bytes = grumpkin.SizeOfG1AffineCompressed

// The two highest bits of an encoding: 01 is the neutral element's, 10 and 11 say which of the two points with an abscissa is meant, the
// one with the smaller ordinate or the one with the larger.
const (
	flags   = 0b11 << 6
	smaller = 0b10 << 6
	larger  = 0b11 << 6
)

// ErrEncoding is returned for bytes that are not the canonical encoding of a point.
var ErrEncoding = errors.New("group: not a canonical 32-byte point")

// Encode appends the 32 bytes of p to dst.
func Encode(dst []byte, p *Affine) []byte {
	b := p.Bytes()
	return append(dst, b[:]...)
}

// Decode reads a point from exactly 32 bytes. It refuses every encoding that Encode does not produce.
func Decode(b []byte) (Affine, error) {
	if len(b) != Bytes {
		return Affine{}, ErrEncoding
	}
	if b[0]>>6 == 0 { // gnark-crypto's flag of the 64-byte form
		return Affine{}, ErrEncoding
	}
	var p Affine
	if n, err := p.SetBytes(b); err != nil || n != Bytes {
		return Affine{}, ErrEncoding
	}
	// The decoder is the library's; that its accepted set is exactly the image of Encode is checked here rather than assumed.
	if p.Bytes() != [Bytes]byte(b) {
		return Affine{}, ErrEncoding
	}
	return p, nil
}

// decodeMany is the number of points from which on they are decoded together.
const decodeMany = 4

// DecodeMany reads len(out) points from as many times 32 bytes, on all processors, exactly as Decode does. What takes the time is a square
// root for each, and roots of many take a quarter of the time of single ones. After an error what out has means nothing.
func DecodeMany(out []Affine, b []byte) error {
	if len(b) != Bytes*len(out) {
		return ErrEncoding
	}
	good := make([]bool, len(out))
	(*parallel.Pool)(nil).Run((len(out)+rootsBatch-1)/rootsBatch, func(_, c int) {
		lo := c * rootsBatch
		hi := min(lo+rootsBatch, len(out))
		decode(out[lo:hi], good[lo:hi], b[Bytes*lo:Bytes*hi])
	})
	if slices.Contains(good, false) {
		return ErrEncoding
	}
	return nil
}

// decode reads at most rootsBatch points and says of each whether its encoding is one.
func decode(out []Affine, good []bool, b []byte) {
	if len(out) < decodeMany {
		for i := range out {
			var err error
			out[i], err = Decode(b[Bytes*i : Bytes*(i+1)])
			good[i] = err == nil
		}
		return
	}
	x, y := make(coords, len(out)), make(coords, len(out))
	seventeen := fp.NewElement(17)
	for i := range out {
		abscissa := [Bytes]byte(b[Bytes*i:])
		abscissa[0] &^= flags
		_ = x[i].SetBytesCanonical(abscissa[:]) // one that is not reduced stays 0, and is encoded otherwise
	}
	y.Mul(x, x)
	y.Mul(y, x)
	for i := range y {
		y[i].Sub(&y[i], &seventeen)
	}
	square := newRooter(len(out)).sqrt(y)
	for i := range out {
		encoded := [Bytes]byte(b[Bytes*i:])
		out[i] = Affine{}
		if flag := encoded[0] & flags; square[i] && flag >= smaller {
			if y[i].LexicographicallyLargest() != (flag == larger) {
				y[i].Neg(&y[i])
			}
			out[i] = Affine{X: x[i], Y: y[i]}
		}
		good[i] = out[i].Bytes() == encoded // so that what is accepted is what Encode produces, whatever was read
	}
}
