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

// Running is a function's integer program that was run on an input, whose statement has learned what to claim. What was computed serves
// a proof, too.
type Running struct {
	k     *Key
	m     *member
	in    *Input
	run   *witness.Running
	on    *model // nil: in this process' memory
	given *sync.Once
}

// Run is Compute on a backend, in this process' memory if there is none.
func (k *Key) Run(ctx context.Context, st *function.Statement, private witness.PrivateInput, be backend.Backend) (r *Running, err error) {
	r = &Running{k: k, in: &Input{Statement: st, Private: private}, given: &sync.Once{}}
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
		r.run.Close()
		return nil, errors.Join(refuse(ErrUndefined, err), r.lent().giveBack())
	}
	for i := range r.m.c.Ports {
		if p := &r.m.c.Ports[i]; p.Out {
			st.Fill(r.m.c, i, r.run.Tensor(p.T).All())
		}
	}
	return r, nil
}

// Clamped are the cells that were clamped.
func (r *Running) Clamped() []Clamped { return clamped(r.m.c, r.run.Nonzero) }

func (r *Running) lent() lent { return lent{r.k.sessions, r.on, r.given} }

// Prove is Key.Prove for the statement, of which nothing else has changed since. The running ends.
func (r *Running) Prove(ctx context.Context, o Options) ([]byte, error) {
	c := r.m.c
	if err := r.in.claims(c); err != nil {
		return nil, err
	}
	on, err := r.k.take(ctx, &o)
	if err != nil {
		return nil, err
	}
	proof, err := r.k.prove(ctx, on, r.m, r.in, o, func() (*witness.Assignment, *model, error) {
		a, err := r.run.Finish(r.in.publics(c))
		if err != nil {
			return nil, nil, refuse(ErrFalse, err)
		}
		return a, r.on, nil
	})
	r.run.Close()
	return proof, errors.Join(err, r.lent().giveBack())
}
