// Package cpu is the backend for all cores. It returns the same bytes as the reference backend; everything here is about
// doing less and doing it in long vectors.
//
// Field arithmetic runs over tiles of a few hundred elements that stay in the first-level cache, through the vector operations
// of the field package: where the processor has AVX-512 IFMA a vector multiplication costs 5.4 ns per element instead of 18, an
// inner product 2.4 ns. Data is therefore laid out so that both halves of a variable (index bit 0 and 1) are separate, contiguous
// arrays, and sums are rearranged from products of three into inner products wherever that is possible.
package cpu

import (
	"context"
	"runtime"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/host"
)

// processor holds the settings.
type processor struct{ threads int }

// Option adjusts a backend.
type Option func(*processor)

// Threads sets how many goroutines a run computes with at a time, unless its context has a pool; the default is GOMAXPROCS.
func Threads(n int) Option {
	return func(b *processor) { b.threads = max(1, n) }
}

// New returns a backend.
func New(opts ...Option) backend.Backend {
	b := &processor{}
	for _, o := range opts {
		o(b)
	}
	return b
}

// Open begins a session, which holds nothing: tensors stay where they are.
func (b *processor) Open() (backend.Session, error) { return session{b}, nil }

type session struct{ *processor }

func (session) Load(t *integer.Tensor) backend.Tensor { return t }

func (session) Close() error { return nil }

// Program begins a witness in this process' memory.
func (s session) Program() backend.Program { return host.New(parallel.New(s.threads)) }

func (s session) Begin(ctx context.Context) backend.Run {
	all := parallel.Of(ctx)
	if all == nil {
		all = parallel.New(s.threads)
	}
	return &run{pool: pool{all, all.Threads()}, ending: pool{all.Until(ctx), all.Threads()}, ctx: ctx, budget: backend.Budget(ctx)}
}

// run computes for one proof.
type run struct {
	pool
	ending pool // the same threads, for work that may be left half done when the context ends: what is not done stays zero
	ctx    context.Context
	err    error
	budget uint64 // of bytes, 0 for as many as it takes
}

func (r *run) Err() error {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	return r.err
}

// tight says whether so many bytes would not fit beside all that is in memory, with an eighth for garbage and what the system adds.
func (r *run) tight(bytes uint64) bool {
	if r.budget == 0 {
		return false
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	sum := m.HeapAlloc + bytes
	return sum+sum/8 > r.budget
}

// Close leaves everything to the collector.
func (*run) Close() {}

func (*run) Load(t *integer.Tensor) backend.Tensor { return t }

// vector is a backend.Vector: its elements, or how they are computed, see lazy.go.
type vector struct {
	vec
	from source
}

func (v *vector) Elements() int {
	if v.from != nil {
		return v.from.size()
	}
	return len(v.vec)
}

// held are the elements of a vector, which are written out if they were not yet.
func (r *run) held(v backend.Vector) vec {
	own := v.(*vector)
	if own.from == nil {
		return own.vec
	}
	own.vec = make(vec, own.from.size())
	scratch := make([]vec, r.threads)
	r.chunks(len(own.vec), lazyStep, func(w, lo, hi int) {
		if scratch[w] == nil {
			scratch[w] = make(vec, lazyStep)
		}
		own.from.read(own.vec[lo:hi], scratch[w], lo)
	})
	own.from = nil
	return own.vec
}

// ints is a tensor.
func ints(t backend.Tensor) *integer.Tensor { return t.(*integer.Tensor) }

func (*run) Vector(vals []field.Element) backend.Vector {
	return &vector{vec: append(vec(nil), vals...)}
}

func (r *run) Values(v backend.Vector) []field.Element { return append(vec(nil), r.held(v)...) }

// Free lets the collector have the vectors' memory.
func (*run) Free(vecs ...backend.Vector) {
	for _, v := range vecs {
		if v != nil {
			*v.(*vector) = vector{}
		}
	}
}
