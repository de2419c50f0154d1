package function

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// Why a value is no element of a port.
var (
	ErrNotFinite = errors.New("it is no finite number")
	ErrRange     = errors.New("it is outside the port's range")
	ErrInteger   = errors.New("it is no integer")
)

// Element is the integer that stands for a number at a port. Of reals that is x·2^Scale rounded to the nearest integer, a half to the even
// one, computed from the bits of the float (SPEC.md 6.6); other ports take integers alone. What is outside the port's range is an error.
func Element(p *circuit.Port, x float64) (int64, error) {
	scale := 0
	if p.Kind == circuit.Reals {
		scale = p.Scale
	}
	v, exact, err := round(x, scale)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%v: %w", x, err)
	case p.Kind != circuit.Reals && !exact:
		return 0, fmt.Errorf("%v: %w", x, ErrInteger)
	case v < p.Lo || v > p.Hi:
		return 0, fmt.Errorf("%v: %w of %v to %v", x, ErrRange, Number(p, p.Lo), Number(p, p.Hi))
	}
	return v, nil
}

// Number is what an element of a port stands for; exact for elements of up to 53 bits.
func Number(p *circuit.Port, v int64) float64 {
	if p.Kind != circuit.Reals {
		return float64(v)
	}
	return math.Ldexp(float64(v), -p.Scale)
}

// round is x·2^scale, rounded half to even. A result of 2^62 or more in magnitude is an error: no port has it.
func round(x float64, scale int) (v int64, exact bool, err error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, false, ErrNotFinite
	}
	raw := math.Float64bits(x)
	mantissa, exponent := raw&(1<<52-1), int(raw>>52&0x7ff)
	if exponent == 0 {
		exponent = 1 // subnormal
	} else {
		mantissa |= 1 << 52
	}
	shift := exponent - 1075 + scale // |x|·2^scale = mantissa·2^shift
	exact = true
	switch {
	case mantissa == 0:
	case shift >= 0:
		if bits.Len64(mantissa)+shift > 62 {
			return 0, false, ErrRange
		}
		mantissa <<= shift
	case shift < -54: // below a half
		mantissa, exact = 0, false
	default:
		n := uint(-shift)
		rest, half := mantissa&(1<<n-1), uint64(1)<<(n-1)
		mantissa >>= n
		exact = rest == 0
		if rest > half || rest == half && mantissa&1 == 1 {
			mantissa++
		}
	}
	if raw>>63 == 1 {
		return -int64(mantissa), exact, nil
	}
	return int64(mantissa), exact, nil
}
