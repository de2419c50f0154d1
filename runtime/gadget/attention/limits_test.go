package attention_test

import (
	"math"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// Parameters and scores at their limits and one beyond.
func TestLimits(t *testing.T) {
	small := func(b *circuit.Builder) circuit.ID { return b.Weight("x", 4, 2, 2) }
	wide := func(coef, more int64) func(b *circuit.Builder) circuit.ID { // coef·x + more·y, cells of 16 and 2 bits
		return func(b *circuit.Builder) circuit.ID {
			x, y := b.Weight("x", 16, 2, 2), b.Weight("y", 2, 2, 2)
			return b.Virtual("s", []int{2, 2}, circuit.Scaled(b, coef, x), circuit.Scaled(b, more, y))
		}
	}
	for _, test := range []struct {
		name, want string
		p          attention.Params
		scores     func(b *circuit.Builder) circuit.ID
		mask       []int64
	}{
		{"as they are", "", attention.Params{Shift: 2, DBits: 4, EBits: 6, InvBits: 12, Unit: 0.25}, small, nil},
		{"the least", "", attention.Params{DBits: 1, Unit: 1}, small, nil},
		{"the largest", "", attention.Params{Shift: 50, DBits: 15, EBits: 30, InvBits: 61, Unit: 1}, small, nil},
		{"negative shift", "shift -1 is not in", attention.Params{Shift: -1, DBits: 4, Unit: 1}, small, nil},
		{"shift of 62", "shift 62 is not in", attention.Params{Shift: 62, DBits: 4, Unit: 1}, small, nil},
		{"no distance", "0 bits of distance", attention.Params{Unit: 1}, small, nil},
		{"distance of 16 bits", "16 bits of distance", attention.Params{DBits: 16, Unit: 1}, small, nil},
		{"negative exponential", "-1 bits of exponential", attention.Params{DBits: 4, EBits: -1, Unit: 1}, small, nil},
		{"exponential of 31 bits", "31 bits of exponential", attention.Params{DBits: 4, EBits: 31, InvBits: 40, Unit: 1}, small, nil},
		{"reciprocal below the exponential", "5 bits of reciprocal", attention.Params{DBits: 4, EBits: 6, InvBits: 5, Unit: 1}, small, nil},
		{"reciprocal of 62 bits", "62 bits of reciprocal", attention.Params{DBits: 4, EBits: 6, InvBits: 62, Unit: 1}, small, nil},
		{"no unit", "unit 0 is not", attention.Params{DBits: 4}, small, nil},
		{"the least unit", "", attention.Params{DBits: 4, Unit: 0x1p-1022}, small, nil},
		{"a unit with fewer bits", "unit 1.1125369292536007e-308 is not", attention.Params{DBits: 4, Unit: 0x1p-1023}, small, nil},
		{"a unit that is no number", "unit NaN is not", attention.Params{DBits: 4, Unit: math.NaN()}, small, nil},
		{"an infinite unit", "unit +Inf is not", attention.Params{DBits: 4, Unit: math.Inf(1)}, small, nil},
		{"negative mask", "want 0 and 1", attention.Params{DBits: 4, Unit: 1}, small, []int64{0, 0, -1, 0}},
		{"mask of 2", "want 0 and 1", attention.Params{DBits: 4, Unit: 1}, small, []int64{0, 0, 2, 0}},
		{"distances just within", "", attention.Params{DBits: 1, Unit: 1}, wide(2, 0), nil},                      // 2^17 − 2
		{"distances of 2^17", "need a table of more than", attention.Params{DBits: 1, Unit: 1}, wide(2, 1), nil}, // 2^17 + 1
		{"scores of 61 bits", "", attention.Params{Shift: 40, DBits: 15, Unit: 1}, wide(1<<45, 0), nil},
		{"scores of 62 bits", "leave 62 bits", attention.Params{Shift: 40, DBits: 15, Unit: 1}, wide(1<<45, 1<<58), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := witnesstest.Builder()
			mask := gadget.None
			if test.mask != nil {
				mask = b.Const("mask", test.mask, 2, 2)
			}
			attention.ZkAttn(b, "a", test.scores(b), mask, test.p)
			_, err := b.Finish()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// Values that are no mask.
func TestMasks(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []int64
		shape  []int
		ok     bool
	}{
		{"a mask", []int64{0, 1, 1, 0}, []int{2, 2}, true},
		{"no axes", []int64{0}, nil, false},
		{"too few values", []int64{0, 1, 0}, []int{2, 2}, false},
		{"too many values", []int64{0, 1, 0, 0, 0, 0}, []int{2, 2}, false},
		{"a two", []int64{0, 1, 2, 0}, []int{2, 2}, false},
		{"a minus one", []int64{0, 1, -1, 0}, []int{2, 2}, false},
		{"a row of ones", []int64{0, 1, 1, 1}, []int{2, 2}, false},
	} {
		b := circuit.NewBuilder(circuit.Config{Name: "mask", WeightBits: 4, WitnessBits: 4})
		attention.Mask(b, "mask", test.values, test.shape...)
		if err := b.Err(); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// The bound of a context leaves 62 bits, whatever the values are.
func TestContextBoundLimits(t *testing.T) {
	for _, bits := range []int{0, 20, 61} {
		p := attention.Params{InvBits: bits}
		limit := (circuit.MaxBound - 1) >> bits
		if lo, hi, err := p.ContextBound(-limit, limit); err != nil || lo <= -circuit.MaxBound || hi >= circuit.MaxBound {
			t.Errorf("%d bits: [%d, %d], %v", bits, lo, hi, err)
		}
		for _, c := range [][2]int64{{-limit - 1, 0}, {0, limit + 1}, {math.MinInt64 + 1, 0}, {0, math.MaxInt64}} {
			if _, _, err := p.ContextBound(c[0], c[1]); err == nil {
				t.Errorf("%d bits: values in %v are accepted", bits, c)
			}
		}
	}
}
