package cpu

import "github.com/zkllmc/zkllmc/internal/parallel"

// pool is what a run shares its work out on.
type pool struct {
	*parallel.Pool
	threads int
}

func (p pool) run(n int, task func(worker, i int)) { p.Run(n, task) }

func (p pool) chunks(n, grain int, task func(worker, lo, hi int)) { p.Chunks(n, grain, task) }

// grouped runs items of different cost: neighbours share a task up to the limit.
func (p pool) grouped(n, limit int, cost func(i int) int, task func(worker, i int)) {
	var starts []int
	sum := limit
	for i := range n {
		c := cost(i)
		if sum += c; sum > limit {
			starts, sum = append(starts, i), c
		}
	}
	p.run(len(starts), func(w, g int) {
		end := n
		if g+1 < len(starts) {
			end = starts[g+1]
		}
		for i := starts[g]; i < end; i++ {
			task(w, i)
		}
	})
}
