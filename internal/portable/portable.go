// Package portable computes elementary functions of real numbers bit for bit alike on every platform.
//
// What a compiler computes in floating point ends in the constants, scales and widths of a circuit, and so in its digest: the same model
// must give the same circuit everywhere. Sums, products, quotients and square roots are rounded as IEEE 754 says on every platform that
// Go has. Two things are not alike. The functions of package math are assembly on some platforms. And a compiler may fuse a product and a
// sum into one operation with one rounding where the processor has it, unless the product is converted explicitly, as in float64(x*y)+z.
// So there is no other way to write a product here and in whatever else leads to a circuit; a test of package compiler looks for them.
//
// Results lie within a few units in the last place of the true ones.
package portable

import (
	"math"
	"math/big"
	"sync"
)

// Int64 converts a number that has no fraction beyond what is cut off and lies within 64 bits; of others Go leaves the result to the
// platform.
func Int64(x float64) (v int64, ok bool) {
	if !(x >= -1<<63 && x < 1<<63) {
		return 0, false
	}
	return int64(x), true
}

// Clamp is Int64 with the nearest integer of 64 bits for what lies outside, 0 for what is not a number.
func Clamp(x float64) int64 {
	switch v, ok := Int64(x); {
	case ok:
		return v
	case x > 0:
		return math.MaxInt64
	case x < 0:
		return math.MinInt64
	}
	return 0
}

// Log2Floor is ⌊log2 x⌋ of a positive number; an infinite one counts as the largest.
func Log2Floor(x float64) int {
	_, e := math.Frexp(min(x, math.MaxFloat64))
	return e - 1
}

// Log2Ceil is ⌈log2 x⌉ of a positive number; an infinite one counts as the largest.
func Log2Ceil(x float64) int {
	f, e := math.Frexp(min(x, math.MaxFloat64))
	if f == 0.5 {
		return e - 1
	}
	return e
}

// polynomial evaluates c[0] + c[1]·x + …
func polynomial(x float64, c []float64) float64 {
	y := 0.0
	for i := len(c) - 1; i >= 0; i-- {
		y = float64(y*x) + c[i]
	}
	return y
}

// inverses returns 1/d(0), 1/d(1), …, n coefficients of a series: d(0) is first and d(k) = d(k−1)·step(k). All d are exact.
func inverses(n int, first float64, step func(k float64) float64) []float64 {
	c := make([]float64, n)
	for k := range c {
		c[k] = 1 / first
		first = float64(first * step(float64(k+1)))
	}
	return c
}

const (
	ln2   = 0.693147180559945309417232121458176568075500134360255254120680009493393621969694715605863326996418687
	ln2Hi = 2977044471.0 / (1 << 32) // its first 32 bits: products with exponents are exact
	ln2Lo = ln2 - ln2Hi
)

// expSeries are the coefficients of (exp r − 1 − r)/r², enough of them for |r| ≤ ½ln 2.
var expSeries = inverses(13, 2, func(k float64) float64 { return k + 2 })

// Exp is the exponential function.
func Exp(x float64) float64 {
	switch {
	case x != x || math.IsInf(x, 1):
		return x
	case x > 710:
		return math.Inf(1)
	case x < -746:
		return 0
	}
	k := math.RoundToEven(float64(x * (1 / ln2)))
	r := double{x - float64(k*ln2Hi), 0}.add(-float64(k * ln2Lo)) // the difference is exact
	return math.Ldexp(1+expm1(r), int(Clamp(k)))
}

// expm1 is exp r − 1 for |r| up to about ½ln 2.
func expm1(r double) float64 {
	square := float64(r.hi * r.hi)
	return r.hi + (float64(square*polynomial(r.hi, expSeries)) + r.lo)
}

// Sigmoid is 1/(1 + exp(−x)).
func Sigmoid(x float64) float64 { return 1 / (1 + Exp(-x)) }

// Softplus is log(1 + exp(x)).
func Softplus(x float64) float64 { return math.Max(x, 0) + Log(1+Exp(-math.Abs(x))) }

// Tanh is the hyperbolic tangent.
func Tanh(x float64) float64 {
	t := math.Abs(x)
	var e float64 // exp(2t) − 1
	switch {
	case t > 20:
		e = math.Inf(1)
	case t <= 0.17:
		e = expm1(double{float64(2 * t), 0})
	default:
		e = Exp(float64(2*t)) - 1
	}
	y := 1.0
	if !math.IsInf(e, 1) {
		y = e / (e + 2)
	}
	return math.Copysign(y, x)
}

// Log is the natural logarithm.
func Log(x float64) float64 {
	switch {
	case x != x || math.IsInf(x, 1):
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	return log(x).hi
}

// log is the natural logarithm of a finite positive number in double precision twice over: 2·artanh((m−1)/(m+1)) + e·ln 2 with x = m·2^e
// and m near 1.
func log(x float64) double {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = float64(2*m), e-1
	}
	s := double{m - 1, 0}.over(sum(m, 1))
	square := s.times(s)
	var y double
	for n := 41.0; n > 0; n -= 2 {
		y = y.times(square).plus(double{1, 0}.over(double{n, 0}))
	}
	y = y.times(s)
	k := float64(e)
	return double{float64(k * ln2Hi), 0}.plus(product(k, ln2Lo)).plus(double{float64(2 * y.hi), float64(2 * y.lo)})
}

// Pow is x^y, with the special cases of math.Pow.
func Pow(x, y float64) float64 {
	switch n := math.Abs(y); {
	case y == 0 || x == 1:
		return 1
	case x != x || y != y || x == 0 || math.IsInf(x, 0) || math.IsInf(y, 0):
		return math.Pow(x, y) // one of its special cases, which compute nothing
	case x < 0 && n != math.Trunc(n):
		return math.NaN()
	case n == 0.5:
		return inverseIf(y < 0, math.Sqrt(x))
	case n <= 64 && n == math.Trunc(n):
		if r := power(x, int(Clamp(n))); math.Abs(r) <= math.MaxFloat64 && r != 0 {
			return inverseIf(y < 0, r)
		}
	}
	l := log(math.Abs(x)).times(double{y, 0})
	r := Exp(l.hi)
	if r != 0 && !math.IsInf(r, 0) {
		r += float64(r * l.lo)
	}
	if x < 0 && math.Mod(y, 2) != 0 {
		return -r
	}
	return r
}

func inverseIf(yes bool, x float64) float64 {
	if yes {
		return 1 / x
	}
	return x
}

// power is x^n by squaring; it may be no number where it is too large.
func power(x float64, n int) float64 {
	y, z := double{1, 0}, double{x, 0}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			y = y.times(z)
		}
		if n > 1 {
			z = z.times(z)
		}
	}
	return y.hi
}

// Erf is the error function, by its expansion at the nearest of the points i/8.
func Erf(x float64) float64 {
	t := math.Abs(x)
	switch {
	case x != x:
		return x
	case t >= erfEnd:
		return math.Copysign(1, x)
	}
	i := math.RoundToEven(float64(t * erfSteps))
	c := &erfExpansions()[Clamp(i)]
	delta := t - i/erfSteps // exact
	return math.Copysign(c[0]+float64(delta*polynomial(delta, c[1:])), x)
}

const (
	erfSteps  = 8
	erfEnd    = 6  // 1 − erf 6 < 2^-55
	erfDegree = 16 // at a distance of 1/16 the next term is below 2^-60
)

// erfExpansions are the coefficients at i/8. With g_n those of the derivative 2/√π·exp(−x²): (n+1)·g_{n+1} = −2x·g_n − 2·g_{n−1}.
var erfExpansions = sync.OnceValue(func() *[erfEnd*erfSteps + 1][erfDegree + 1]float64 {
	out := new([erfEnd*erfSteps + 1][erfDegree + 1]float64)
	for i := range out {
		c, x := &out[i], float64(i)/erfSteps
		var g, before float64
		c[0], g = erf(x)
		for n := 1; n <= erfDegree; n++ {
			c[n] = g / float64(n)
			g, before = -2*(float64(x*g)+before)/float64(n), g
		}
	}
	return out
})

// erf is the error function and its derivative: 2/√π·exp(−x²)·Σ 2^n·x^(2n+1)/(1·3·…·(2n+1)), a sum of positive terms.
func erf(x float64) (y, derivative float64) {
	scale := double{0x1.20dd750429b6dp+0, 0x1.1ae3a914fed80p-56} // 2/√π
	square := product(x, x)
	term, total := double{x, 0}, double{}
	for n := 3.0; term.hi > float64(total.hi*0x1p-64); n += 2 {
		total = total.plus(term)
		term = term.times(double{float64(2 * square.hi), float64(2 * square.lo)}).over(double{n, 0})
	}
	e := Exp(-square.hi)
	derivative = float64(scale.hi * (e - float64(e*square.lo)))
	return min(float64(derivative*total.hi), 1), derivative
}

// arctangents are the coefficients of atan(x)/x in x².
var arctangents = func() []float64 {
	c := make([]float64, 13)
	for k := range c {
		c[k] = float64(1-2*(k&1)) / float64(2*k+1)
	}
	return c
}()

const pi = 3.14159265358979323846264338327950288419716939937510582097494459

// Atan is the arctangent, between −π/2 and π/2.
func Atan(x float64) float64 {
	t := math.Abs(x)
	if t > 1 {
		return math.Copysign(pi/2-Atan(1/t), x)
	}
	for range 2 { // half the angle: |t| ≤ tan(π/16)
		t /= 1 + math.Sqrt(1+float64(t*t))
	}
	return math.Copysign(float64(float64(4*t)*polynomial(float64(t*t), arctangents)), x)
}

// Atan2 is the angle of the point (x, y), between −π and π.
func Atan2(y, x float64) float64 {
	switch {
	case x != x || y != y:
		return math.NaN()
	case math.IsInf(x, 0) && math.IsInf(y, 0):
		x, y = math.Copysign(1, x), math.Copysign(1, y)
	case y == 0 && !math.Signbit(x):
		return y
	case y == 0:
		return math.Copysign(pi, y)
	case x == 0:
		return math.Copysign(pi/2, y)
	}
	a := Atan(math.Abs(y / x))
	if x < 0 {
		a = pi - a
	}
	return math.Copysign(a, y)
}

// Acos is the angle between 0 and π whose cosine is x.
func Acos(x float64) float64 {
	if !(math.Abs(x) <= 1) {
		return math.NaN()
	}
	return Atan2(math.Sqrt(float64((1-x)*(1+x))), x)
}

// The coefficients of (sin r − r)/r³ and (cos r − 1 + r²/2)/r⁴ in r², enough of them for |r| ≤ π/4.
var (
	sineSeries   = inverses(9, -6, func(k float64) float64 { return -float64((float64(2*k) + 2) * (float64(2*k) + 3)) })
	cosineSeries = inverses(9, 24, func(k float64) float64 { return -float64((float64(2*k) + 3) * (float64(2*k) + 4)) })
)

// Sin is the sine of an angle in radians.
func Sin(x float64) float64 {
	quadrant, r := reduce(math.Abs(x))
	return float64(math.Copysign(1, x) * turned(quadrant, r))
}

// Cos is the cosine of an angle in radians.
func Cos(x float64) float64 {
	quadrant, r := reduce(math.Abs(x))
	return turned(quadrant+1, r)
}

// turned is sin(r + quadrant·π/2).
func turned(quadrant int, r double) float64 {
	square := float64(r.hi * r.hi)
	half := float64(square / 2)
	y := r.hi
	if quadrant&1 == 0 {
		y += float64(float64(square*r.hi)*polynomial(square, sineSeries)) + float64(r.lo*(1-half))
	} else {
		w := 1 - half
		y = w + (((1 - w) - half) + (float64(float64(square*square)*polynomial(square, cosineSeries)) - float64(r.hi*r.lo)))
	}
	if quadrant&2 != 0 {
		return -y
	}
	return y
}

// circleBits is the precision of 2/π: the largest exponent of a number, and three times the bits of a result.
const circleBits = 1024 + 192

// perQuarter is 2/π with circleBits fractional bits. π = 16·atan(1/5) − 4·atan(1/239).
var perQuarter = sync.OnceValue(func() *big.Int {
	const guard = 64
	one := new(big.Int).Lsh(big.NewInt(1), circleBits+guard)
	arctan := func(n int64) *big.Int {
		sum, power := new(big.Int), new(big.Int).Quo(one, big.NewInt(n))
		for k := int64(0); power.Sign() != 0; k++ {
			term := new(big.Int).Quo(power, big.NewInt((1-2*(k&1))*(2*k+1)))
			sum.Add(sum, term)
			power.Quo(power, big.NewInt(n*n))
		}
		return sum
	}
	circle := arctan(5)
	circle.Lsh(circle, 4).Sub(circle, new(big.Int).Lsh(arctan(239), 2))
	return circle.Quo(new(big.Int).Lsh(one, circleBits+1), circle)
})

// quarter is π/2.
var quarter = double{0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54}

// reduce returns the number of quarter turns nearest to an angle, modulo 4 at least, and what is left of it. x is not negative.
func reduce(x float64) (quadrant int, r double) {
	switch {
	case x <= pi/4:
		return 0, double{x, 0}
	case !(x <= math.MaxFloat64):
		return 0, double{math.NaN(), 0}
	}
	frac, e := math.Frexp(x)
	mantissa, _ := Int64(math.Ldexp(frac, 53))
	e -= 53
	// x·2/π = turns·2^-point. Of 2/π only as many bits as matter.
	drop := circleBits - 192 - max(e, 0)
	point := uint(circleBits - drop - e)
	turns := new(big.Int).Rsh(perQuarter(), uint(drop))
	turns.Mul(turns, big.NewInt(mantissa))
	whole := new(big.Int).Rsh(turns, point-1)
	whole.Rsh(whole.Add(whole, big.NewInt(1)), 1)
	turns.Sub(turns, new(big.Int).Lsh(whole, point))
	return int(whole.Bits()[0] & 3), fraction(turns, int(point)).times(quarter)
}

// fraction is v·2^-point.
func fraction(v *big.Int, point int) double {
	var out [2]float64
	rest := new(big.Int).Abs(v)
	for i := range out {
		shift := max(rest.BitLen()-53, 0)
		top := new(big.Int).Rsh(rest, uint(shift))
		out[i] = math.Ldexp(float64(top.Int64()), shift-point)
		rest.Sub(rest, top.Lsh(top, uint(shift)))
	}
	if v.Sign() < 0 {
		return double{-out[0], -out[1]}
	}
	return double{out[0], out[1]}
}
