package parallel_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/parallel"
)

// Every task is run once, by a worker whose number is its own while it runs, whatever the numbers of threads and tasks.
func TestTasksAreRunOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		for _, n := range []int{0, 1, 2, 3, 100} {
			p := parallel.New(threads)
			require.Equal(t, threads, p.Threads())
			ran, busy := make([]atomic.Int32, n), make([]atomic.Bool, threads)
			p.Run(n, func(worker, i int) {
				if !busy[worker].CompareAndSwap(false, true) {
					t.Errorf("two tasks have the worker %d", worker)
				}
				ran[i].Add(1)
				busy[worker].Store(false)
			})
			for i := range ran {
				require.EqualValues(t, 1, ran[i].Load(), "task %d of %d on %d threads", i, n, threads)
			}
		}
	}
}

// Tasks that run tasks, and calls side by side on one pool, take no more goroutines than there are threads, and the caller's own.
func TestLimit(t *testing.T) {
	const threads, callers = 3, 4
	p := parallel.New(threads)
	var running, most atomic.Int64
	var sum atomic.Int64
	leaf := func(_, i int) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		sum.Add(int64(i))
		running.Add(-1)
	}
	for range 50 {
		p.Run(5, func(_, _ int) { p.Run(7, func(_, _ int) { p.Run(3, leaf) }) })
	}
	require.LessOrEqual(t, most.Load(), int64(threads))
	require.EqualValues(t, 50*5*7*3, sum.Load())

	most.Store(0)
	side := make(chan struct{})
	for range callers {
		go func() {
			for range 50 {
				p.Run(10, leaf)
			}
			side <- struct{}{}
		}()
	}
	for range callers {
		<-side
	}
	require.LessOrEqual(t, most.Load(), int64(threads-1+callers))
}

// Once its context has ended a pool begins no task. Whoever shares the threads goes on.
func TestUntil(t *testing.T) {
	all := parallel.New(2)
	ctx, cancel := context.WithCancel(t.Context())
	p := all.Until(ctx)
	var ran atomic.Int64
	p.Run(1000, func(_, i int) {
		if ran.Add(1) == 10 {
			cancel()
		}
	})
	require.LessOrEqual(t, ran.Load(), int64(11), "one task may have begun beside the tenth")
	p.Run(5, func(_, _ int) { t.Error("a task was begun") })
	n := 0
	all.Until(t.Context()).Chunks(10, 3, func(_, lo, hi int) {
		ran.Add(1)
		if hi == 10 {
			n = hi - lo
		}
	})
	require.Equal(t, 1, n, "the last chunk")
}

// Ranges are one for every thread, also where there are fewer things than threads. Nobody's pool is that of all processors; a job's is that
// of its context.
func TestSplit(t *testing.T) {
	for _, p := range []*parallel.Pool{nil, parallel.New(1), parallel.New(3)} {
		for _, n := range []int{0, 1, 2, 3, 10} {
			var ranges, covered atomic.Int64
			p.Split(n, func(lo, hi int) {
				ranges.Add(1)
				covered.Add(int64(hi - lo))
			})
			require.EqualValues(t, n, covered.Load())
			require.LessOrEqual(t, int(ranges.Load()), p.Threads())
		}
	}
	require.Equal(t, 2, parallel.New(3).Share(2).Threads())
	require.Equal(t, 1, parallel.New(1).Share(5).Threads())
	parallel.New(4).Share(4).Run(9, func(worker, _ int) {
		if worker != 0 {
			t.Errorf("worker %d of one", worker)
		}
	})
	require.Nil(t, parallel.Of(t.Context()))
	p := parallel.New(2)
	require.Equal(t, p, parallel.Of(parallel.With(t.Context(), p)))
	var none *parallel.Pool
	require.Equal(t, runtime.GOMAXPROCS(0), none.Until(t.Context()).Threads())
}

// A call that began when all goroutines were taken gets those that become free while it runs.
func TestLateHelp(t *testing.T) {
	p := parallel.New(2)
	begun, both := make(chan struct{}), make(chan struct{})
	var running atomic.Int64
	var met sync.Once
	p.Run(2, func(_, outer int) {
		if outer == 1 {
			<-begun // the other task has asked for help
			return
		}
		p.Run(1000, func(_, i int) {
			if i == 0 {
				close(begun)
			}
			if running.Add(1) == 2 {
				met.Do(func() { close(both) })
			}
			select {
			case <-both:
			case <-time.After(20 * time.Millisecond):
			}
			running.Add(-1)
		})
	})
	select {
	case <-both:
	default:
		t.Error("the goroutine that became free did not help")
	}
}
