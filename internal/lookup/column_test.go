package lookup

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
)

func randomPoint(seed string, n int) []field.Element {
	return newRandomness(seed).Uniform("", n)
}

func TestColumnsEvaluateAsMLEs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	noise := func(n int, limit int64) []int64 {
		v := make([]int64, n)
		for i := range v {
			v[i] = rnd.Int64N(limit) - limit/2
		}
		return v
	}
	for name, values := range map[string][]int64{
		"one line":        {-7},
		"two lines":       {3, 9},
		"range":           interval(-100, 27),
		"odd range":       interval(0, 1000),
		"falling":         {9, 6, 3, 0, -3},
		"constant":        {4, 4, 4, 4, 4, 4, 4},
		"glued":           append(append([]int64{0}, interval(0, 4095)...), interval(-4095, 0)...),
		"noise":           noise(777, 1<<30),
		"wide noise":      noise(64, math.MaxInt64),
		"extreme":         {-math.MaxInt64, math.MaxInt64, 0, -1, math.MaxInt64},
		"beyond the runs": {-1 << 62, 0, 1 << 62},
	} {
		t.Run(name, func(t *testing.T) {
			point := randomPoint(name, circuit.Bits(len(values)))
			c := newColumn(values)
			var want field.Element
			for i, e := range poly.Eq(point)[:len(values)] {
				v := field.FromInt64(values[i])
				want.Add(&want, v.Mul(&v, &e))
			}
			if c.runs != nil {
				if got := c.runsAt(point); got != want {
					t.Error("the closed form differs")
				}
			}
			if got := c.at(point); got != want {
				t.Error("the evaluation differs")
			}
		})
	}
}

func TestRangesHaveClosedForms(t *testing.T) {
	for _, c := range []struct {
		values []int64
		runs   int
	}{
		{interval(-4, 3), 1},
		{interval(0, 65535), 1},
		{append(append([]int64{0}, interval(0, 65535)...), interval(-65535, 0)...), 3},
		{[]int64{1, 4, 9, 16, 25}, 0},
	} {
		if got := len(newColumn(c.values).runs); got != c.runs {
			t.Errorf("%d lines: %d runs, want %d", len(c.values), got, c.runs)
		}
	}
}

func TestBelow(t *testing.T) {
	for n := 0; n < 5; n++ {
		point := randomPoint("below", n)
		eq := poly.Eq(point)
		var count, index field.Element
		for d := 0; d <= 1<<n; d++ {
			if c, i := below(d, point); c != count || i != index {
				t.Errorf("%d of 2^%d", d, n)
			}
			if d < 1<<n {
				v := field.FromInt64(int64(d))
				count.Add(&count, &eq[d])
				index.Add(&index, v.Mul(&v, &eq[d]))
			}
		}
	}
}

// The plan is made anew for every proof: finding closed forms must cost little, also where there are none.
func BenchmarkPlanColumn(b *testing.B) {
	ranged, noise := interval(0, 1<<16-1), make([]int64, 1<<16)
	for i := range noise {
		noise[i] = int64(i*i) % 65537
	}
	for b.Loop() {
		newColumn(ranged)
		newColumn(noise)
	}
}

func BenchmarkTable(b *testing.B) {
	values := make([]int64, 1<<16)
	for i := range values {
		values[i] = int64(i*i) % 65537
	}
	p := &Plan{tables: [][]column{{newColumn(values), newColumn(values)}}}
	point := randomPoint("bench", 16)
	for b.Loop() {
		p.tableAt(0, point, point[0])
	}
}
