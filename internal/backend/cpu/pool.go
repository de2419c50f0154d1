package cpu

import (
	"sync"
	"sync/atomic"
)

// pool runs tasks on a fixed number of goroutines.
type pool struct {
	threads int
}

// run calls task(worker, i) for every i < n; worker < threads tells the goroutine, so that scratch memory can be kept per
// worker. Tasks are handed out one by one, hence should be of some size: a goroutine costs about a microsecond to start.
func (p pool) run(n int, task func(worker, i int)) {
	workers := min(p.threads, n)
	if workers <= 1 {
		for i := range n {
			task(0, i)
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for w := range workers {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				task(w, i)
			}
		}()
	}
	done.Wait()
}

// chunks splits [0, n) into pieces of at most grain and runs them.
func (p pool) chunks(n, grain int, task func(worker, lo, hi int)) {
	p.run((n+grain-1)/grain, func(w, i int) { task(w, i*grain, min(n, (i+1)*grain)) })
}

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
