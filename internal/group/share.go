package group

import (
	"sync"
	"sync/atomic"
)

// split calls f on ranges that cover [0, n), one for each thread.
func split(n, threads int, f func(lo, hi int)) {
	threads = max(1, min(threads, n))
	per := (n + threads - 1) / threads
	if threads == 1 && n > 0 {
		f(0, n)
		return
	}
	var wg sync.WaitGroup
	for lo := 0; lo < n; lo += per {
		wg.Go(func() { f(lo, min(lo+per, n)) })
	}
	wg.Wait()
}

// share calls f(worker, i) for every i < n, the next one as soon as a thread is free; worker < threads tells the goroutine, so
// that scratch memory can be kept per worker.
func share(n, threads int, f func(worker, i int)) {
	threads = max(1, min(threads, n))
	if threads == 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range threads {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(w, i)
			}
		})
	}
	wg.Wait()
}
