package spec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/second"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// The rule by which reals become integers (SPEC.md 6.6), in integers from the bits of a number; it is no part of verify.py, since
// statements hold integers.
const rounding = `
import sys
for line in sys.argv[1:]:
    raw, scale = map(int, line.split(':'))
    exponent, m = raw >> 52 & 0x7ff, raw & (1 << 52) - 1
    if exponent == 0x7ff:
        print('refused')
        continue
    m, e = (m | 1 << 52, exponent - 1075) if exponent else (m, -1074)
    f = e + scale
    if f >= 0:
        v = m << f
    else:
        n = -f
        v, rest = m >> n, m & (1 << n) - 1
        v += rest > 1 << n - 1 or rest == 1 << n - 1 and v % 2
    v = -v if raw >> 63 else v
    print(v if -2 ** 40 <= v <= 2 ** 40 else 'refused')
`

// Both sides of a half, the ends of the range, subnormal numbers, and those that are none.
func TestReals(t *testing.T) {
	second.Python(t)
	const end = 1 << 40
	rng := rand.New(rand.NewPCG(3, 4))
	p := circuit.Port{Name: "x", Kind: circuit.Reals, Shape: []int{1}, Lo: -end, Hi: end, Reveal: circuit.Values}
	var args, want []string
	add := func(x float64, scale int) {
		p.Scale = scale
		args = append(args, fmt.Sprintf("%d:%d", math.Float64bits(x), scale))
		v, err := function.Element(&p, x)
		if err != nil {
			want = append(want, "refused")
			return
		}
		want = append(want, strconv.FormatInt(v, 10))
	}
	for _, x := range []float64{0, math.Copysign(0, -1), 0.5, 1.5, 2.5, end, end + 0.5, end + 1, math.NaN(), math.Inf(1), math.MaxFloat64, math.SmallestNonzeroFloat64} {
		for _, scale := range []int{0, 1, -1, 120, -120} {
			add(x, scale)
			add(-x, scale)
		}
	}
	for range 500 {
		half := (float64(rng.Int64N(1<<20)) + 0.5) * math.Ldexp(1, -rng.IntN(60))
		scale := rng.IntN(241) - 120
		for _, x := range []float64{half, math.Nextafter(half, 0), math.Nextafter(half, end), math.Float64frombits(rng.Uint64())} {
			add(x, scale)
			add(math.Ldexp(half, -scale), scale)
		}
	}
	for len(args) > 0 { // a command line holds some thousands
		n := min(len(args), 1000)
		code, out := second.Run(t, append([]string{"-c", rounding}, args[:n]...)...)
		require.Zero(t, code, out)
		require.Equal(t, want[:n], strings.Fields(out))
		args, want = args[n:], want[n:]
	}
}
