package backend

import "context"

type budget struct{}

// WithBudget tells runs that begin with the context how many bytes of memory there are for all that the process, or the device, holds. A run
// that sees that something large would not fit takes less memory and more time for it, where it can: the results are the same.
func WithBudget(ctx context.Context, bytes uint64) context.Context {
	return context.WithValue(ctx, budget{}, bytes)
}

// Budget is a context's, 0 if it has none.
func Budget(ctx context.Context) uint64 {
	bytes, _ := ctx.Value(budget{}).(uint64)
	return bytes
}
