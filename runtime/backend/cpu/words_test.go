package cpu

import (
	"testing"

	"github.com/zkllmc/zkllmc/runtime/backend/conformance"
	"github.com/zkllmc/zkllmc/runtime/backend/reference"
	"github.com/zkllmc/zkllmc/runtime/field"
)

// TestWithoutVectors runs the suite on the ways taken where the processor has no wide vectors.
func TestWithoutVectors(t *testing.T) {
	defer func(was bool) { wideVectors = was }(wideVectors)
	wideVectors = false
	conformance.Run(t, reference.New(), New())
}

// TestExtrapolate continues x³ − 2x + 1 from its values at 0 … 3.
func TestExtrapolate(t *testing.T) {
	f := func(x int64) int64 { return x*x*x - 2*x + 1 }
	vals := make(vec, 4)
	for i := range vals {
		vals[i].SetInt64(f(int64(i)))
	}
	for i, v := range extrapolate(vals, 9) {
		if want := field.FromInt64(f(int64(i))); v != want {
			t.Errorf("value at %d is %s, want %s", i, v.String(), want.String())
		}
	}
}
