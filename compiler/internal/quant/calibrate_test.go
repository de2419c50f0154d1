package quant

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/ir/eval"
)

// The default set of a language model is sequences of tokens, each followed by its continuations; every run is counted and told once. On
// one processor and on several it measures the same bits, for scales follow from them.
func TestDefaultCalibration(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	f := Prepare(models["llama"]())
	var first *Calibration
	for _, threads := range []int{1, 3} {
		runtime.GOMAXPROCS(threads)
		told := make(chan [2]int, 100)
		cal, err := Calibrate(nil, f, nil, func(done, all int) { told <- [2]int{done, all} })
		require.NoError(t, err)
		require.Len(t, cal.Samples, defaultChains*(1+continuations))
		close(told)
		seen := map[int]bool{}
		for d := range told {
			require.Equal(t, len(cal.Samples), d[1])
			seen[d[0]] = true
		}
		require.Len(t, seen, len(cal.Samples))
		if first == nil {
			first = cal
		}
		require.Equal(t, first, cal)
	}
	for c := 0; c < len(first.Samples); c += 1 + continuations {
		for r := c; r < c+continuations; r++ {
			vals, err := eval.Float(f, first.Samples[r]...)
			require.NoError(t, err)
			next := first.Samples[r+1][0]
			require.Equal(t, first.Samples[r][0][0], next[0])
			for i, best := range argmax(vals[f.Out()], f.Vocab())[:len(next)-1] {
				require.EqualValues(t, best, next[i+1])
			}
		}
	}
}

// What runs measure is the largest magnitude of each value over all of them, and of weights and constants that of their cells.
func TestMagnitudes(t *testing.T) {
	f := Prepare(models["gpt"]())
	samples := [][][]float64{{eval.Reals(randomIDs(f, 1))}, {eval.Reals(randomIDs(f, 2))}}
	cal, err := Calibrate(nil, f, samples, nil)
	require.NoError(t, err)
	want := make([]float64, len(f.Values))
	for _, in := range samples {
		vals, err := eval.Float(f, in...)
		require.NoError(t, err)
		for id, cells := range vals {
			for _, x := range cells {
				want[id] = max(want[id], x, -x)
			}
		}
	}
	require.Equal(t, want, cal.Max)
	require.Equal(t, samples, cal.Samples)
}
