package quant

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/ir/eval"
)

// The default set of a language model is sequences of tokens, each followed by its continuations; every run is counted and told once. On
// one processor and on several it measures the same bits, for scales follow from them.
func TestDefaultCalibration(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	f := prepared(models["llama"]())
	var first *Calibration
	for _, threads := range []int{1, 3} {
		runtime.GOMAXPROCS(threads)
		var told []int
		cal, err := Calibrate(nil, f, nil, func(done, all int) {
			require.Equal(t, defaultChains*(1+continuations), all)
			told = append(told, done)
		})
		require.NoError(t, err)
		require.Len(t, cal.Samples, defaultChains*(1+continuations))
		require.Equal(t, []int{6, 12, 18}, told)
		if first == nil {
			first = cal
		}
		require.Equal(t, first, cal)
	}
	for c := 0; c < len(first.Samples); c += 1 + continuations {
		for r := c; r < c+continuations; r++ {
			vals, err := eval.Float(f, first.Samples[r].Elements...)
			require.NoError(t, err)
			next := first.Samples[r+1].Elements[0]
			require.Equal(t, first.Samples[r].Elements[0][0], next[0])
			for i, best := range argmax(vals[f.Out()], f.Vocab())[:len(next)-1] {
				require.EqualValues(t, best, next[i+1])
			}
		}
	}
}

// What runs measure is the largest magnitude of each value over all of them, and of weights and constants that of their cells.
func TestMagnitudes(t *testing.T) {
	f := prepared(models["gpt"]())
	samples := []Input{{Elements: [][]float64{eval.Reals(randomIDs(f, 1))}}, {Elements: [][]float64{eval.Reals(randomIDs(f, 2))}}}
	cal, err := Calibrate(nil, f, samples, nil)
	require.NoError(t, err)
	want := make([]float64, len(f.Values))
	for _, in := range samples {
		vals, err := eval.Float(f, in.Elements...)
		require.NoError(t, err)
		for id, cells := range vals {
			for _, x := range cells {
				want[id] = max(want[id], x, -x)
			}
		}
	}
	require.Equal(t, want, cal.Max)
	require.Equal(t, elementsOf(samples), elementsOf(cal.Samples))
}

// A check on samples takes the float model's outputs from calibration, and says what it says of inputs that nothing is known of.
func TestCheckRemembers(t *testing.T) {
	f := prepared(models["gpt"]())
	var samples []Input
	for i, positions := range []int{0, 2, 1} {
		samples = append(samples, Input{Elements: [][]float64{eval.Reals(randomIDs(f, uint64(i)))}, Positions: positions})
	}
	cal, err := Calibrate(nil, f, samples, nil)
	require.NoError(t, err)
	p, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	want, err := Check(nil, p, nil, samples, CheckOptions{})
	require.NoError(t, err)
	given := slices.Clone(samples)
	Recall(given, cal.Samples)
	got, err := Check(nil, p, nil, given, CheckOptions{})
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Len(t, given[1].outputs[0], 2*f.Vocab())

	given[1].outputs = [][]float64{make([]float64, 2*f.Vocab())}
	wrong, err := Check(nil, p, nil, given, CheckOptions{})
	require.NoError(t, err)
	require.Greater(t, wrong.MaxError, 2*got.MaxError)
	placed, err := Check(nil, p, nil, given, CheckOptions{Places: true})
	require.NoError(t, err)
	require.Equal(t, got.Comparison, placed.Comparison, "places need all values")
	other := []Input{{Elements: samples[1].Elements, Positions: samples[1].Positions}, {Elements: samples[1].Elements, Positions: 3}}
	Recall(other, cal.Samples)
	require.Nil(t, other[0].of)
	require.Nil(t, other[1].of)
}

// Of a sample's padding the magnitudes count, since a proof may say that nothing was clamped at any position; how far roundings move what
// is said of it does not.
func TestPaddingOfSamples(t *testing.T) {
	f := prepared(models["gpt"]())
	ids := eval.Reals(randomIDs(f, 1))
	measured := func(positions int) *Calibration {
		cal, err := Calibrate(nil, f, []Input{{Elements: [][]float64{ids}, Positions: positions}}, nil)
		require.NoError(t, err)
		require.NoError(t, cal.sense(nil, f))
		return cal
	}
	n := len(ids)
	all, some := measured(0), measured(n-2)
	require.Equal(t, all.Max, some.Max)
	require.Equal(t, all.moves, measured(n).moves)
	require.NotEqual(t, all.moves, some.moves)

	probe := some.probe(f, len(f.Outputs), some.Samples[0], rand.New(rand.NewPCG(1, 1)))[0]
	require.Len(t, probe, n*f.Vocab())
	shown := probe[:(n-2)*f.Vocab()]
	require.NotContains(t, shown, 0.0)
	require.InEpsilon(t, 1, float64(len(shown))*math.Pow(shown[0]*some.Max[f.Out()], 2), 1e-9, "of the length of an error of one part of the largest magnitude")
	for _, x := range probe[len(shown):] {
		require.Zero(t, x)
	}
}
