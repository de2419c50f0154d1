// Package parallel shares work out among a limited number of goroutines.
package parallel

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a limit: whatever is run on a pool at a time, also by tasks of its own, takes no more goroutines than it has threads. It has none
// while nothing runs. It is safe for concurrent use.
type Pool struct {
	threads int
	spare   *atomic.Int64 // how many goroutines may be started beside those that call
	done    <-chan struct{}
}

// New returns a pool of so many threads; of all processors, if it is not positive.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, spare: &atomic.Int64{}}
	p.spare.Store(int64(threads - 1))
	return p
}

// Threads is the limit.
func (p *Pool) Threads() int { return p.threads }

// Until returns the same pool, but for the tasks that are left when the context ends: they are not begun.
func (p *Pool) Until(ctx context.Context) *Pool {
	return &Pool{threads: p.threads, spare: p.spare, done: ctx.Done()}
}

// Run calls task(worker, i) for every i < n and returns when all are done. Tasks are handed out one by one, hence should be of some size:
// a goroutine costs about a microsecond to start. No two tasks of one call have the same worker at a time, a number less than Threads, so
// that scratch memory can be kept for it. The calling goroutine is worker 0.
func (p *Pool) Run(n int, task func(worker, i int)) {
	var next atomic.Int64
	work := func(worker int) {
		for i := int(next.Add(1)) - 1; i < n && !p.stopped(); i = int(next.Add(1)) - 1 {
			task(worker, i)
		}
	}
	var all sync.WaitGroup
	for worker := 1; worker < n && p.take(); worker++ {
		all.Go(func() {
			defer p.spare.Add(1)
			work(worker)
		})
	}
	work(0)
	all.Wait()
}

// Chunks cuts [0, n) into pieces of at most grain and runs them.
func (p *Pool) Chunks(n, grain int, task func(worker, lo, hi int)) {
	p.Run((n+grain-1)/grain, func(w, i int) { task(w, i*grain, min(n, (i+1)*grain)) })
}

func (p *Pool) stopped() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// take takes a goroutine, if one is left.
func (p *Pool) take() bool {
	for n := p.spare.Load(); n > 0; n = p.spare.Load() {
		if p.spare.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}
