package engine

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// Execution is a function's integer program that was run on an input, whose statement has learned what to claim. What was computed serves
// a proof, too.
type Execution struct {
	k     *Key
	m     *member
	in    *Input
	run   *witness.Execution
	on    *model // nil: in this process' memory
	given *sync.Once
}

// Run is Compute on a backend, in this process' memory if there is none.
func (k *Key) Run(ctx context.Context, st *function.Statement, private witness.PrivateInput, be backend.Backend) (r *Execution, err error) {
	r = &Execution{k: k, in: &Input{Statement: st, Private: private}, given: &sync.Once{}}
	if r.m, err = k.fitting(r.in); err != nil {
		return nil, err
	}
	if be != nil {
		if r.on, err = k.sessions.take(k, be); err != nil {
			return nil, err
		}
		runtime.AddCleanup(r, func(l lent) { _ = l.giveBack() }, r.lent())
	}
	if r.run, err = r.on.place(r.m).Run(ctx, r.m.c, r.m.data, r.in.publics(r.m.c), private); err != nil {
		return nil, errors.Join(refuse(ErrUndefined, err), r.Close())
	}
	for i := range r.m.c.Ports {
		if p := &r.m.c.Ports[i]; p.Out {
			st.Fill(r.m.c, i, r.run.Tensor(p.T).All())
		}
	}
	return r, nil
}

// Clamped are the cells that were clamped.
func (r *Execution) Clamped() []Clamped { return clamped(r.m.c, r.run.Nonzero) }

func (r *Execution) lent() lent { return lent{r.k.sessions, r.on, r.given} }

// Close frees what was computed, and gives the session back. It may be called again.
func (r *Execution) Close() error {
	r.run.Close()
	return r.lent().giveBack()
}

// Prove is Key.Prove for the statement, of which nothing else has changed since. The execution ends.
func (r *Execution) Prove(ctx context.Context, o Options) (proof []byte, err error) {
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.in.claims(r.m.c); err != nil {
		return nil, err
	}
	finish := func() (*witness.Assignment, error) { return r.run.Finish(r.in.publics(r.m.c)) }
	return r.k.prove(ctx, r.m, r.in, o, &begun{on: r.on, finish: finish})
}
