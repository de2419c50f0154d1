package prover

import (
	"context"
	"errors"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/passage"
)

// passage returns the inputs that a text makes, of the shortest circuit that holds it. mixed says that files with inputs were given, too.
func (a *app) passage(ctx context.Context, given console.Given, mixed bool) (*asked, error) {
	if err := given.Check(); err != nil {
		return nil, console.Usagef("%w", err)
	}
	name := given.Flag(console.TextFlag)
	if mixed {
		return nil, console.Usagef("--%s makes all inputs; leave --input out", name)
	}
	r, err := passage.NewReader(a.f, a.m.Vocab)
	switch {
	case errors.Is(err, passage.ErrNone):
		return nil, console.Askedf("--%s: %w", name, err)
	case err != nil:
		return nil, console.Unusable(err)
	}
	// What is left behind where the context ends goes on reading, into a map that nobody else has then.
	given, err = console.Interruptible(ctx, func() (console.Given, error) { return given, given.Read(a.stdin) })
	if err != nil {
		return nil, console.Unusable(err)
	}
	c, elements, err := fill(r, given[console.TextFlag])
	switch {
	case err != nil && r.Hidden() && !errors.Is(err, passage.ErrLong) && !errors.Is(err, passage.ErrShort):
		return nil, console.Askedf("--%s: it holds what is no token of the model; it is private and not shown", name)
	case err != nil:
		return nil, console.Askedf("--%s: %w", name, err)
	}
	return ask(c, elements), nil
}

// fill returns the shortest circuit that holds a text, and the elements of its inputs.
func fill(r *passage.Reader, text string) (*circuit.Circuit, map[int][]int64, error) {
	t, err := r.Read(text)
	if err != nil {
		return nil, nil, err
	}
	c, err := t.Shortest()
	if err != nil {
		return nil, nil, err
	}
	elements, err := t.Elements(c)
	return c, elements, err
}
