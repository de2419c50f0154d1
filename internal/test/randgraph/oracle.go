package randgraph

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// The definitions of the gadgets, in big integers and without a look at how they are proved.

// shifted is ⌊(v + 2^(s-1)) / 2^s⌋; nothing is added for s = 0.
func shifted(x *big.Int, s int) *big.Int {
	if s > 0 {
		x.Add(x, new(big.Int).Lsh(big.NewInt(1), uint(s-1)))
	}
	return x.Rsh(x, uint(s)) // rounds down, also below zero
}

func rescaled(v []int64, s int, lo, hi int64) []int64 {
	return clamped(len(v), lo, hi, func(i int) *big.Int { return shifted(big.NewInt(v[i]), s) })
}

// rescaledWide is rescaled of values whose lower words come first, with sign, and then the upper ones.
func rescaledWide(v []int64, s int, lo, hi int64) []int64 {
	n := len(v) / 2
	return clamped(n, lo, hi, func(i int) *big.Int {
		x := new(big.Int).Lsh(big.NewInt(v[n+i]), 64)
		return shifted(x.Add(x, big.NewInt(v[i])), s)
	})
}

func clamped(n int, lo, hi int64, quotient func(i int) *big.Int) []int64 {
	out := make([]int64, n)
	for i := range out {
		q := quotient(i)
		switch {
		case q.Cmp(big.NewInt(lo)) < 0:
			out[i] = lo
		case q.Cmp(big.NewInt(hi)) > 0:
			out[i] = hi
		default:
			out[i] = q.Int64()
		}
	}
	return out
}

// tabulated evaluates the function at each cell alone, so that the line a table has for it does not matter.
func tabulated(fn string, in, out int, v []int64) []int64 {
	y := make([]int64, len(v))
	for i, x := range v {
		line, err := tables.Eval(fn, x, x, in, out)
		if err != nil {
			panic(err) // the circuit was built with this function
		}
		y[i] = line[0]
	}
	return y
}

// interpolated is tabulated between multiples of 2^low: each cell's piece is evaluated alone.
func interpolated(fn string, low, in, out int, v []int64) []int64 {
	y := make([]int64, len(v))
	for i, x := range v {
		offset := ((x % (1 << low)) + 1<<low) % (1 << low)
		piece := (x - offset) / (1 << low)
		value, slope, err := tables.Pieces(fn, piece, piece, in, low, out)
		if err != nil {
			panic(err) // the circuit was built with this function
		}
		y[i] = value[0] + slope[0]*offset
	}
	return y
}

// roots searches the largest r with r²·(s+eps) ≤ num by bisection.
func roots(s []int64, num, eps int64) []int64 {
	out := make([]int64, len(s))
	for i := range s {
		den := new(big.Int).Add(big.NewInt(s[i]), big.NewInt(eps))
		lo, hi := int64(0), int64(1)<<31
		for lo+1 < hi {
			r := (lo + hi) / 2
			v := new(big.Int).Mul(big.NewInt(r), big.NewInt(r))
			if v.Mul(v, den).Cmp(big.NewInt(num)) <= 0 {
				lo = r
			} else {
				hi = r
			}
		}
		out[i] = lo
	}
	return out
}

func reciprocals(s []int64, num int64) []int64 {
	out := make([]int64, len(s))
	for i, x := range s {
		out[i] = num / x
	}
	return out
}

// digits are the upper limbs of values of n bits that are cut into limbs+1 limbs of equal width.
func digits(v []int64, n, limbs int) [][]int64 {
	if limbs == 0 {
		return nil
	}
	width := 0
	for width*(limbs+1) < n {
		width++
	}
	if width > gadget.LimbBits {
		panic("too few limbs")
	}
	out := make([][]int64, limbs)
	for l := range out {
		for _, x := range v {
			out[l] = append(out[l], x>>(width*(l+1))&(1<<width-1))
		}
	}
	return out
}

// attended is the definition of package attention, row by row. A mask lies over the last axes.
func attended(s, mask []int64, width int, p attention.Params) [][]int64 {
	exp, err := tables.Exp(p.DBits, p.EBits, p.Unit)
	if err != nil {
		panic(err) // the circuit was built with this table
	}
	e, inv := make([]int64, len(s)), make([]int64, len(s)/width)
	hidden := func(i int) bool { return mask != nil && mask[i%len(mask)] == 1 }
	for r := range inv {
		var top *big.Int
		for i := r * width; i < (r+1)*width; i++ {
			if q := shifted(big.NewInt(s[i]), p.Shift); !hidden(i) && (top == nil || q.Cmp(top) > 0) {
				top = q
			}
		}
		var sum int64
		for i := r * width; i < (r+1)*width; i++ {
			d := new(big.Int).Sub(top, shifted(big.NewInt(s[i]), p.Shift))
			if !hidden(i) && d.Cmp(big.NewInt(int64(len(exp)))) < 0 {
				e[i] = exp[d.Int64()]
			}
			sum += e[i]
		}
		inv[r] = int64(1) << p.InvBits / sum
	}
	return [][]int64{e, inv}
}
