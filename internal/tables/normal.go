package tables

import (
	"math/big"
	"math/bits"
	"sync"
)

// The normal distribution's upper tail Q(x) = 1 − Φ(x), from Taylor expansions at the multiples of 1/16 below 10; Q(10) < 2^-75.
const (
	gridBits  = 4
	gridEnd   = 10
	degree    = 15 // the next term is below 2^-64
	precision = 256
)

// normal returns Φ(x) with 62 fractional bits, where |x| = t.
func normal(t u128, neg bool) uint64 {
	q := tail(t)
	if neg {
		return q
	}
	return one62 - q
}

// tail returns Q(t) with 62 fractional bits.
func tail(t u128) uint64 {
	if t.hi >= gridEnd {
		return 0
	}
	a := &expansions()[t.hi<<gridBits|t.lo>>(64-gridBits)]
	delta := t.lo << gridBits >> gridBits
	acc := a[degree]
	for n := degree - 1; n >= 0; n-- {
		acc = a[n] + mulSigned(acc, delta)
	}
	return uint64(max(acc, 0))
}

// mulSigned returns a·f, truncated, where f has 64 fractional bits.
func mulSigned(a int64, f uint64) int64 {
	if a < 0 {
		hi, _ := bits.Mul64(uint64(-a), f)
		return -int64(hi)
	}
	hi, _ := bits.Mul64(uint64(a), f)
	return int64(hi)
}

// expansions returns the coefficients of Q at i/16 with 62 fractional bits.
var expansions = sync.OnceValue(func() *[gridEnd << gridBits][degree + 1]int64 {
	out := new([gridEnd << gridBits][degree + 1]int64)
	scale := invSqrt2Pi()
	for i := range out {
		density := mulBig(expBig(int64(i)*int64(i)), scale)
		expand(&out[i], int64(i), density)
	}
	return out
})

// expand computes the coefficients at x = i/16 from the density φ(x). With c_n the coefficients of φ, from φ′ = −x·φ:
// (n+1)·c_{n+1} = −x·c_n − c_{n−1}, and Q′ = −φ.
func expand(out *[degree + 1]int64, i int64, density *big.Int) {
	out[0] = round62(tailBig(i, density))
	prev, cur := new(big.Int), new(big.Int).Set(density)
	for n := int64(0); n < degree; n++ {
		q := new(big.Int).Quo(cur, big.NewInt(n+1))
		out[n+1] = -round62(q)
		next := new(big.Int).Mul(cur, big.NewInt(i))
		next.Quo(next, big.NewInt(1<<gridBits))
		next.Add(next, prev).Neg(next)
		next.Quo(next, big.NewInt(n+1))
		prev, cur = cur, next
	}
}

// tailBig returns Q(i/16) = 1/2 − φ(x)·Σ_n x^(2n+1) / (1·3·…·(2n+1)).
func tailBig(i int64, density *big.Int) *big.Int {
	term := new(big.Int).Lsh(big.NewInt(i), precision-gridBits)
	sum := new(big.Int)
	for n := int64(1); term.Sign() != 0; n++ {
		sum.Add(sum, term)
		term.Mul(term, big.NewInt(i*i))
		term.Quo(term, big.NewInt((2*n+1)<<(2*gridBits)))
	}
	half := new(big.Int).Lsh(big.NewInt(1), precision-1)
	return half.Sub(half, mulBig(sum, density))
}

// expBig returns exp(−k/512): the series at k/2^19, then ten squarings.
func expBig(k int64) *big.Int {
	const halvings = 10
	term := new(big.Int).Lsh(big.NewInt(1), precision)
	sum := new(big.Int)
	for n := int64(1); term.Sign() != 0; n++ {
		sum.Add(sum, term)
		term.Mul(term, big.NewInt(-k))
		term.Quo(term, big.NewInt(n<<(9+halvings)))
	}
	for range halvings {
		sum = mulBig(sum, sum)
	}
	return sum
}

// invSqrt2Pi returns 1/√(2π).
func invSqrt2Pi() *big.Int {
	// π with 240 fractional bits.
	pi, _ := new(big.Int).SetString("3243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e", 16)
	pi.Lsh(pi, 1+2*precision-240) // 2π with 2·precision fractional bits
	root := pi.Sqrt(pi)           // √(2π) with precision fractional bits
	one := new(big.Int).Lsh(big.NewInt(1), 2*precision)
	return one.Quo(one, root)
}

// mulBig multiplies numbers with precision fractional bits.
func mulBig(a, b *big.Int) *big.Int {
	p := new(big.Int).Mul(a, b)
	return p.Rsh(p, precision)
}

// round62 rounds to 62 fractional bits.
func round62(a *big.Int) int64 {
	r := new(big.Int).Rsh(a, precision-63)
	v := r.Int64() + 1
	return v >> 1
}
