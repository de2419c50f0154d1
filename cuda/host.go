package cuda

import (
	"context"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/host"
)

// What the host still computes is here: witnesses. Their tensors are copied to the device when a run asks for them.

// program is a backend.Program in this process' memory.
type program struct {
	own     *host.Program
	session *session
	mu      sync.Mutex
	*memory
}

// Program begins a witness.
func (s *session) Program() backend.Program {
	return &program{own: host.New(parallel.New(1)), session: s, memory: newMemory(context.Background(), s.Device)}
}

// Err is that of the session: the host does not fail.
func (p *program) Err() error { return p.session.failed() }

func (p *program) Within(ctx context.Context) { p.own.Within(ctx) }

func (p *program) Close() {
	p.own.Close()
	_ = p.memory.close()
}

// hold makes a handle of a tensor of the host.
func (p *program) hold(t backend.Tensor, n int) backend.Tensor {
	return &tensor{n: n, host: t.(*integer.Tensor), late: p}
}

// hand copies a tensor to the device, once.
func (p *program) hand(t *tensor) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.at != 0 {
		return nil
	}
	if t.host.Len() < t.n { // no cell was ever written
		p.own.Cells(backend.Whole(t.host))
	}
	t.shape = t.host.Shape
	return t.send(p.memory)
}

// here is what the host has in a tensor's place.
func here(t backend.Tensor) backend.Tensor { return t.(*tensor).host }

func herePart(p backend.Part) backend.Part {
	if p.T != nil {
		p.T = here(p.T)
	}
	return p
}

// each is a list with something else in the place of every item.
func each[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}

func (p *program) Load(t *integer.Tensor) backend.Tensor { return p.hold(p.own.Load(t), t.Len()) }

func (p *program) Zeros(shape []int, wide bool) backend.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return p.hold(p.own.Zeros(shape, wide), n)
}

func (p *program) Words(t backend.Tensor) (lower, upper backend.Tensor) {
	l, u := p.own.Words(here(t))
	if u == nil {
		return t, nil
	}
	return p.hold(l, t.Len()), p.hold(u, t.Len())
}

func (p *program) Cells(part backend.Part) *integer.Tensor { return p.own.Cells(herePart(part)) }

func (p *program) Put(part backend.Part, cells *integer.Tensor) { p.own.Put(herePart(part), cells) }

// Free frees tensors in both places.
func (p *program) Free(tensors ...backend.Tensor) {
	for _, t := range tensors {
		if t == nil {
			continue
		}
		p.own.Free(here(t))
		if own := t.(*tensor); own.at != 0 {
			_ = p.memory.Free(own.at)
			own.at = 0
		}
	}
}

func (p *program) Settle(tensors ...backend.Tensor) { p.own.Settle(each(tensors, here)...) }

func (p *program) Einsum(to backend.Part, terms []backend.Term) {
	p.own.Einsum(herePart(to), each(terms, func(t backend.Term) backend.Term {
		t.Factors = each(t.Factors, func(f backend.Operand) backend.Operand {
			f.T = here(f.T)
			return f
		})
		return t
	}))
}

func (p *program) Hint(h *backend.Hint) (known, defined bool) {
	own := *h
	own.Table, own.In, own.Out = each(h.Table, here), each(h.In, herePart), each(h.Out, herePart)
	return p.own.Hint(&own)
}

func (p *program) Nonzero(part backend.Part) (n, first int) { return p.own.Nonzero(herePart(part)) }

// counter counts with the host's.
type counter struct {
	backend.Counter
	p *program
}

func (p *program) Counter(table []backend.Tensor) backend.Counter {
	return counter{p.own.Counter(each(table, here)), p}
}

func (c counter) Count(cols []backend.Part) (bad int) { return c.Counter.Count(each(cols, herePart)) }

func (c counter) Multiplicities() backend.Tensor {
	lines := c.Counter.Multiplicities()
	return c.p.hold(lines, lines.Len())
}
