package group

import (
	"math/big"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// Square roots of many coordinates at a time. The field's multiplicative group has a subgroup of order 2^28, so that the usual method
// (Tonelli and Shanks) takes up to 28²/2 products behind the exponentiation. Here the discrete logarithm in that subgroup, which is all
// that the method wants, is read off tables seven bits at a time (P. Sarkar, Computing square roots faster than the Tonelli-Shanks/Bernstein
// algorithm, 2020), and the exponentiation and the squarings are products of whole vectors.

const (
	twoAdicity = 28 // q − 1 = 2^28·t with t odd
	logBits    = 7  // bits of the logarithm that a table gives
	logWindows = twoAdicity / logBits
	rootsBatch = 256 // coordinates that share a run at most: all vectors of a run fit the second-level cache
	expBits    = 4   // an odd power below 2^4 is multiplied in at a time
)

// rootTables are the constants of square roots: with g a generator of the subgroup of order 2^28, top = g^(2^21).
type rootTables struct {
	steps []expStep                       // the exponent (t − 1)/2, highest bits first
	logs  map[uint64]uint8                // lowest word of top^j to j
	down  [logWindows][1 << logBits]coord // down[i][j] = g^(−j·2^(7i))
}

// expStep squares and then, where odd is not zero, multiplies by the odd-th power.
type expStep struct{ squarings, odd int }

var roots = sync.OnceValue(newRootTables)

// newRootTables computes the constants. 5 is no square, so that 5^t generates the subgroup.
func newRootTables() *rootTables {
	t := new(big.Int).Sub(fp.Modulus(), big.NewInt(1))
	t.Rsh(t, twoAdicity)
	r := &rootTables{steps: expSteps(new(big.Int).Rsh(t, 1)), logs: map[uint64]uint8{}}
	five := fp.NewElement(5)
	var g, inverse coord
	g.Exp(five, t)
	inverse.Inverse(&g)
	for i := range r.down {
		power := fp.One()
		for j := range r.down[i] {
			r.down[i][j] = power
			power.Mul(&power, &inverse)
		}
		inverse = power
	}
	last := r.down[logWindows-1][:]
	for j := range last { // top^j is top^−(128−j)
		r.logs[last[(len(last)-j)%len(last)][0]] = uint8(j)
	}
	if len(r.logs) != len(last) {
		panic("group: two powers of a root of unity share their lowest word")
	}
	return r
}

// expSteps cuts an exponent into odd windows.
func expSteps(e *big.Int) (steps []expStep) {
	squarings := 0
	for at := e.BitLen() - 1; at >= 0; {
		if e.Bit(at) == 0 {
			squarings++
			at--
			continue
		}
		low := max(0, at-expBits+1)
		for e.Bit(low) == 0 {
			low++
		}
		odd := 0
		for i := at; i >= low; i-- {
			odd = 2*odd + int(e.Bit(i))
		}
		steps = append(steps, expStep{squarings + at - low + 1, odd})
		squarings, at = 0, low-1
	}
	return append(steps, expStep{squarings, 0})
}

// rooter is the scratch of one run.
type rooter struct {
	*rootTables
	odd         [1 << (expBits - 1)]coords
	power, root coords
	shifted     [logWindows]coords
}

// newRooter makes scratch for up to n coordinates.
func newRooter(n int) *rooter {
	r := &rooter{rootTables: roots(), power: make(coords, n), root: make(coords, n)}
	for i := range r.odd {
		r.odd[i] = make(coords, n)
	}
	for i := range r.shifted {
		r.shifted[i] = make(coords, n)
	}
	return r
}

// sqrt replaces every u by one of its square roots and says where there is one. It takes as many coordinates as there is scratch for.
func (r *rooter) sqrt(u coords) (square []bool) {
	n := len(u)
	w, s, b := r.power[:n], r.root[:n], r.shifted[0][:n]
	r.raise(w, u)
	s.Mul(u, w) // s² = u·b
	b.Mul(s, w) // b = u^t, in the subgroup
	for i := 1; i < logWindows; i++ {
		next := r.shifted[i][:n]
		next.Mul(r.shifted[i-1][:n], r.shifted[i-1][:n])
		for range logBits - 1 {
			next.Mul(next, next)
		}
	}
	square = make([]bool, n)
	for i := range u {
		var e int
		if e, square[i] = r.log(i); square[i] {
			var check coord
			root := s[i]
			for k := range r.down {
				root.Mul(&root, &r.down[k][e>>(1+logBits*k)&(1<<logBits-1)])
			}
			if check.Square(&root); !check.Equal(&u[i]) {
				panic("group: a square root is none: this processor computes wrongly")
			}
			u[i] = root
		}
	}
	return square
}

// raise sets w = u^((t−1)/2).
func (r *rooter) raise(w, u coords) {
	n := len(u)
	copy(r.odd[0][:n], u)
	w.Mul(u, u)
	for i := 1; i < len(r.odd); i++ {
		next := r.odd[i][:n]
		next.Mul(r.odd[i-1][:n], w)
	}
	for i, step := range r.steps {
		if i == 0 {
			copy(w, r.odd[step.odd/2][:n])
			continue
		}
		for range step.squarings {
			w.Mul(w, w)
		}
		if step.odd != 0 {
			w.Mul(w, r.odd[step.odd/2][:n])
		}
	}
}

// log returns e with g^e = shifted[0][i]. An odd e belongs to no square: then the rest is not looked for.
func (r *rooter) log(i int) (e int, even bool) {
	for k := range logWindows {
		level := logWindows - 1 - k
		c := r.shifted[level][i] // g^(e·2^(7·level))
		for j := range k {       // the digits that are known
			c.Mul(&c, &r.down[level+j][e>>(logBits*j)&(1<<logBits-1)])
		}
		e |= int(r.logs[c[0]]) << (logBits * k)
		if e&1 != 0 {
			return e, false
		}
	}
	return e, true
}
