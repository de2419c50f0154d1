// Package integer is the integer tensors that circuits are about, as data: a shape and cells. It is a leaf: whoever computes with tensors,
// on the processor or elsewhere, says so in a package of its own.
package integer

// Tensor is a box of integers, row-major without padding. The values fit 63 bits with sign. They are V; where V is nil they are Short.
type Tensor struct {
	Shape []int
	V     []int64
	Short []int16
}

// Len is the number of values.
func (t *Tensor) Len() int { return max(len(t.V), len(t.Short)) }

// Cells returns the values from lo up to hi-1. They must not be changed.
func (t *Tensor) Cells(lo, hi int) []int64 {
	if t.V != nil {
		return t.V[lo:hi]
	}
	v := make([]int64, hi-lo)
	for i, x := range t.Short[lo:hi] {
		v[i] = int64(x)
	}
	return v
}

// Run returns the values from lo up to hi-1, without a copy and without a shape.
func (t *Tensor) Run(lo, hi int) Tensor {
	if t.V != nil {
		return Tensor{V: t.V[lo:hi]}
	}
	return Tensor{Short: t.Short[lo:hi]}
}

// All returns all values.
func (t *Tensor) All() []int64 { return t.Cells(0, t.Len()) }
