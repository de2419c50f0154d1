package backend

import "context"

type frugal struct{}

// BeFrugal asks runs that begin with the context to take less memory and more time, where they can: the same results.
func BeFrugal(ctx context.Context) context.Context {
	return context.WithValue(ctx, frugal{}, true)
}

// Frugal says whether a run is to take less memory.
func Frugal(ctx context.Context) bool { return ctx.Value(frugal{}) != nil }
