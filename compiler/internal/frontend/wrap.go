package frontend

import (
	"math/big"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// Integers that their type does not hold keep their low bits, as in every runtime.

// widths are the bits of the types that integers wrap around in.
var widths = map[onnx.DType]uint{onnx.Int8: 8, onnx.Uint8: 8, onnx.Int16: 16, onnx.Uint16: 16, onnx.Int32: 32, onnx.Uint32: 32}

// maxTurns bounds how often integers may turn around: each is a comparison.
const maxTurns = 64

// wrapped is an activation of integers in i as a type holds it: less as many times 2^bits as it has from the least of the type on. It is nil
// where the type is too wide, or there are too many turns to tell apart.
func (c *call) wrapped(v *val, i interval.Interval, to onnx.DType) *val {
	bits, ok := widths[to]
	if !ok {
		return nil
	}
	low, high, _ := limits(to)
	least := big.NewInt(low)
	turns := func(x *big.Int) int64 { // ⌊(x − least)/turn⌋
		return new(big.Int).Rsh(new(big.Int).Sub(x, least), bits).Int64()
	}
	first, last := turns(i.Lo), turns(i.Hi)
	if last-first > maxTurns {
		return nil
	}
	at := func(k int64) float64 { return float64(k << bits) } // below 2^38
	if first == 0 && last == 0 {
		y := *v
		y.dtype = to
		return &y
	}
	terms := []ir.Term{product(v.shape, 1, only(v)), product(v.shape, -at(first))}
	for k := first + 1; k <= last; k++ {
		bound := factor{coef: float64(low+k<<bits) - 1, id: none}
		terms = append(terms, product(v.shape, -at(1), only(c.greater(v.shape, only(v), bound))))
	}
	y := c.einsum(v.shape, terms...)
	y.name, y.dtype = v.name, to
	return c.assert(y, low, high)
}
