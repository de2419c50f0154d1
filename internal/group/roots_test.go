package group

import (
	"crypto/sha512"
	"fmt"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	"github.com/stretchr/testify/require"
)

// TestRoots compares with the library's roots, of which one exists for half of all coordinates: also in runs that fill no vector, and at
// elements of the small subgroup, whose logarithms have every digit.
func TestRoots(t *testing.T) {
	r := newRooter(rootsBatch)
	var all coords
	for i := range 2*rootsBatch + 37 {
		var u coord
		h := sha512.Sum512(fmt.Append(nil, "roots/", i))
		u.SetBytes(h[:])
		all = append(all, u)
	}
	g := rootOfUnity()
	for i := range uint64(rootsBatch) {
		var u coord
		u.Exp(g, new(big.Int).SetUint64(i*0x9e3779b97f4a7c15>>(64-twoAdicity)))
		all = append(all, u)
	}
	all = append(all, fp.One(), g)
	squares := 0
	for lo := 0; lo < len(all); lo += rootsBatch {
		run := append(coords{}, all[lo:min(lo+rootsBatch, len(all))]...)
		for i, ok := range r.sqrt(run) {
			var root, square coord
			require.Equal(t, root.Sqrt(&all[lo+i]) != nil, ok, lo+i)
			if ok {
				squares++
				require.Equal(t, all[lo+i], *square.Square(&run[i]))
			}
		}
	}
	require.InDelta(t, len(all)/2, squares, float64(len(all)/8))
}

// rootOfUnity is the generator of the subgroup of order 2^28, got from the tables: its inverse is their second entry.
func rootOfUnity() (g coord) {
	g.Inverse(&roots().down[0][1])
	return g
}

// TestGeneratorByItsRule follows SPEC.md 2.1 with big integers and the library's root, one generator at a time.
func TestGeneratorByItsRule(t *testing.T) {
	for _, tag := range []string{"H", "row/32768", "vec/3"} {
		for i, p := range Generators(tag, 0, 20) {
			require.True(t, p.IsOnCurve())
			require.Equal(t, slowly(tag, i), p, "%s/%d", tag, i)
		}
	}
	far := Generators("vec/3", 700, 3)
	require.Equal(t, slowly("vec/3", 702), far[2])
}

func slowly(tag string, i int) Affine {
	for k := 0; ; k++ {
		h := sha512.Sum512(fmt.Appendf(nil, "zkllmc/v1/generators/%s/%d/%d", tag, i, k))
		x := new(big.Int).SetBytes(h[:48])
		y := new(big.Int).Exp(x, big.NewInt(3), nil)
		y.Sub(y, big.NewInt(17)).Mod(y, fp.Modulus())
		if y.ModSqrt(y, fp.Modulus()) == nil {
			continue
		}
		if y.Bit(0) != uint(h[63]&1) {
			y.Sub(fp.Modulus(), y)
		}
		var p Affine
		p.X.SetBigInt(x)
		p.Y.SetBigInt(y)
		return p
	}
}
