package proverapp

import (
	"context"
	"fmt"
	"runtime/debug"
)

// interruptible calls f and returns its result, or the context's error as soon as the context ends. f is then left behind: it writes
// no files, and the process ends soon. A proof looks at its context between steps only, which may be minutes apart.
func interruptible[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			done <- r
		}()
		r.v, r.err = f()
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
