// Package parallel shares work out among a limited number of goroutines.
package parallel

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a limit: whatever is run on a pool at a time, also by tasks of its own, takes no more goroutines than it has threads. It has none
// while nothing runs. It is safe for concurrent use. A nil one stands for all processors, and limits nothing but what is run at once.
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
func (p *Pool) Threads() int {
	if p == nil {
		return runtime.GOMAXPROCS(0)
	}
	return p.threads
}

type key struct{}

// With returns a context of a job that takes no more goroutines than the pool has threads.
func With(ctx context.Context, p *Pool) context.Context { return context.WithValue(ctx, key{}, p) }

// Of is the pool of a job, nil if nobody limits it.
func Of(ctx context.Context) *Pool {
	p, _ := ctx.Value(key{}).(*Pool)
	return p
}

// Until returns the same pool, but for the tasks that are left when the context ends: they are not begun.
func (p *Pool) Until(ctx context.Context) *Pool {
	if p == nil {
		p = New(0)
	}
	return &Pool{threads: p.threads, spare: p.spare, done: ctx.Done()}
}

// Share returns the same pool for one of n things that are computed at the same time: it has its share of the threads.
func (p *Pool) Share(n int) *Pool {
	if p == nil {
		p = New(0)
	}
	return &Pool{threads: (p.threads + n - 1) / n, spare: p.spare, done: p.done}
}

// Run calls task(worker, i) for every i < n and returns when all are done. Tasks are handed out one by one, hence should be of some size:
// a goroutine costs about a microsecond to start. No two tasks of one call have the same worker at a time, a number less than Threads, so
// that scratch memory can be kept for it. The calling goroutine is worker 0.
func (p *Pool) Run(n int, task func(worker, i int)) {
	if p == nil {
		p = New(0)
	}
	r := &running{pool: p, n: n, limit: int64(min(n, p.threads)), task: task}
	r.workers.Store(1)
	r.work(0)
	r.all.Wait()
}

// running is a call of Run.
type running struct {
	pool    *Pool
	n       int
	limit   int64 // of workers
	task    func(worker, i int)
	next    atomic.Int64
	workers atomic.Int64 // that were there so far: none goes before the last task is begun
	all     sync.WaitGroup
}

// work does tasks as long as there are any. Before each it looks for another goroutine: one may have become free since the call began.
func (r *running) work(worker int) {
	for i := int(r.next.Add(1)) - 1; i < r.n && !r.pool.stopped(); i = int(r.next.Add(1)) - 1 {
		if i+1 < r.n {
			r.recruit()
		}
		r.task(worker, i)
	}
}

// recruit takes a goroutine of the pool, if one is left and wanted.
func (r *running) recruit() {
	if r.workers.Load() >= r.limit || !r.pool.take() {
		return
	}
	worker := r.workers.Add(1) - 1
	if worker >= r.limit { // somebody else was faster
		r.workers.Add(-1)
		r.pool.spare.Add(1)
		return
	}
	r.all.Go(func() {
		defer r.pool.spare.Add(1)
		r.work(int(worker))
	})
}

// Chunks cuts [0, n) into pieces of at most grain and runs them.
func (p *Pool) Chunks(n, grain int, task func(worker, lo, hi int)) {
	p.Run((n+grain-1)/grain, func(w, i int) { task(w, i*grain, min(n, (i+1)*grain)) })
}

// Split cuts [0, n) into one range for every thread and runs them.
func (p *Pool) Split(n int, task func(lo, hi int)) {
	if n > 0 {
		p.Chunks(n, (n+p.Threads()-1)/p.Threads(), func(_, lo, hi int) { task(lo, hi) })
	}
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
