package planner

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// fill makes the indicator of a condition.
func fill(shape []int, one func(x []int) bool) []int64 {
	e := &solver{shape: shape}
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := make([]int64, n)
	for i := range out {
		if one(e.index(i)) {
			out[i] = 1
		}
	}
	return out
}

// What is a map of indices becomes its equation; what only looks like one does not.
func TestEquation(t *testing.T) {
	for name, c := range map[string]struct {
		shape []int
		one   func(x []int) bool
		want  string // empty: none
	}{
		"the first columns":            {[]int{96, 32}, func(x []int) bool { return x[0] == x[1] }, "i - j"},
		"columns from 32 on":           {[]int{96, 32}, func(x []int) bool { return x[0] == x[1]+32 }, "i - j - 32"},
		"the other way round":          {[]int{32, 96}, func(x []int) bool { return x[1] == x[0]+32 }, "i - j + 32"},
		"every third":                  {[]int{96, 32}, func(x []int) bool { return x[0] == 3*x[1]+1 }, "i - 3j - 1"},
		"backwards":                    {[]int{64, 64}, func(x []int) bool { return x[0]+x[1] == 63 }, "-i - j + 63"},
		"the token before":             {[]int{40, 40}, func(x []int) bool { return x[0] == x[1]+1 }, "i - j - 1"},
		"a window":                     {[]int{32, 16, 5}, func(x []int) bool { return x[0] == 2*x[1]+x[2]-1 }, "i - 2j - k + 1"},
		"one of many":                  {[]int{1, 200}, func(x []int) bool { return x[1] == 77 }, "-j + 77"},
		"two thirds":                   {[]int{90, 60}, func(x []int) bool { return 2*x[0] == 3*x[1] }, "2i - 3j"},
		"a hole":                       {[]int{64, 64}, func(x []int) bool { return x[0] == x[1] && x[0] != 9 }, ""},
		"one more":                     {[]int{64, 64}, func(x []int) bool { return x[0] == x[1] || x[0] == 9 && x[1] == 3 }, ""},
		"half of it":                   {[]int{64, 64}, func(x []int) bool { return x[0] == x[1] && x[0] < 32 }, ""},
		"one cell":                     {[]int{64, 64}, func(x []int) bool { return x[0] == 3 && x[1] == 4 }, ""},
		"nothing":                      {[]int{64, 64}, func(x []int) bool { return false }, ""},
		"everything":                   {[]int{64, 64}, func(x []int) bool { return true }, ""},
		"small enough to be looked at": {[]int{3, 3}, func(x []int) bool { return x[0] == x[1] }, ""},
	} {
		got, ok := equation(fill(c.shape, c.one), c.shape)
		require.Equal(t, c.want != "", ok, name)
		if ok {
			require.Equal(t, c.want, circuit.Linear(got.Offset, got.Strides), name)
		}
	}
	_, ok := equation([]int64{2, 0, 0, 2}, []int{2, 2})
	require.False(t, ok, "a cell of 2")
}

// Of random equations the found one has the same cells.
func TestEquationIsThatOfTheCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 400 {
		shape := []int{20 + rng.IntN(60), 20 + rng.IntN(60)}
		strides := []int64{rng.Int64N(9) - 4, rng.Int64N(9) - 4}
		offset := rng.Int64N(40) - 20
		cells := poly.AffineCells(offset, strides, shape)
		e := &solver{shape: shape}
		for i, v := range cells {
			if v == 1 && !e.add(e.index(i)) {
				break
			}
		}
		if o, s, ok := e.solve(); ok {
			require.Equal(t, cells, poly.AffineCells(o, s, shape), "%d %v: %d %v", offset, strides, o, s)
			found++
		}
	}
	require.Greater(t, found, 100)
}
