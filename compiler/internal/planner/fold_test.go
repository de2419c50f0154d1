package planner

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/ir/plan"
)

// randomSteps are steps of two kinds, most of them in a random period, whose operands mostly lie a period's multiple or a little back.
func randomSteps(rng *rand.Rand) []lstep {
	var steps []lstep
	period, from := 1+rng.IntN(5), rng.IntN(4)
	for i := range 4 + rng.IntN(24) {
		s := lstep{Step: plan.Step{Op: plan.Virtual, Shape: []int{1}}}
		if kind := (i - from) % period; kind == 1 || rng.IntN(20) == 0 {
			s.Op = plan.Rescale
		}
		if back := 1 + (i%period+rng.IntN(20)/19)%3; i >= back {
			s.refs = []ref{{i - back, 0}}
		}
		steps = append(steps, s)
	}
	return steps
}

// TestSearch compares the search with one that leaves nothing out.
func TestSearch(t *testing.T) {
	folded := 0
	for seed := range uint64(3000) {
		f := &folder{p: &plan.Plan{}, steps: randomSteps(rand.New(rand.NewPCG(seed, 1)))}
		f.sign()
		var best repeat
		for start := range f.steps {
			for length := 1; start+2*length <= len(f.steps); length++ {
				r := repeat{start, length, f.copies(start, length)}
				for r.n >= 2 && !f.closed(r) {
					r.n--
				}
				if r.n >= 2 && f.better(r, best) {
					best = r
				}
			}
		}
		require.Equal(t, best, f.search(), "seed %d", seed)
		if best.n > 2 && best.length > 1 {
			folded++
		}
	}
	require.Greater(t, folded, 300)
}

// TestSearchEnds gives it a long chain of one class whose parts are nowhere alike.
func TestSearchEnds(t *testing.T) {
	f := &folder{p: &plan.Plan{}}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		s := lstep{Step: plan.Step{Op: plan.Virtual, Shape: []int{1}}}
		if i > 50 {
			s.refs = []ref{{i - 1, 0}}
			if i%5000 == 0 {
				s.refs = []ref{{i - 2 - rng.IntN(40), 0}}
			}
		} else {
			s.Shape = []int{i}
		}
		f.steps = append(f.steps, s)
	}
	f.sign()
	begin := time.Now()
	best := f.search()
	require.Less(t, time.Since(begin), 30*time.Second)
	require.Less(t, f.work, maxWork+4*len(f.steps), "it ends within one candidate")
	require.GreaterOrEqual(t, best.n, 2)
	t.Logf("%v of %d steps, looking at %d, in %v", best, len(f.steps), f.work, time.Since(begin).Round(time.Millisecond))
}
