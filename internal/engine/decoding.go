package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

var errNoLogits = errors.New("the circuit is no generation: run it on its inputs")

// Decoding is a text that the model of a generation reads and continues. Each position is computed once, with what earlier positions left
// behind, and the proof begins with what all of them left behind; where positions cannot be computed by themselves, each call takes a whole
// pass. It is not safe for concurrent use.
type Decoding struct {
	k      *Key
	rows   *witness.Decoding // nil: whole passes
	whole  error             // why
	tokens []int64
	logits []int64             // after each of the tokens
	pass   *witness.Assignment // the last whole pass
}

// Decode begins a text.
func (k *Key) Decode() (*Decoding, error) {
	if k.c.Generation == nil {
		return nil, errNoLogits
	}
	rows, err := witness.NewDecoding(k.c, k.data)
	switch {
	case errors.Is(err, witness.ErrWhole):
		return &Decoding{k: k, whole: err}, nil
	case err != nil:
		return nil, refuse(ErrUndefined, err)
	}
	return &Decoding{k: k, rows: rows}, nil
}

// Whole says why every call takes a whole pass; nil if none does.
func (d *Decoding) Whole() error { return d.whole }

// Logits are those after each of the tokens, row by row.
func (d *Decoding) Logits() []int64 { return d.logits }

// Clamped lists the cells that were clamped at the positions of the text, or, where every call takes a whole pass, at all of the last one.
func (d *Decoding) Clamped() []Clamped {
	switch {
	case d.rows != nil:
		return clamped(d.k.c, d.rows.Tensor)
	case d.pass != nil:
		return clamped(d.k.c, d.pass.Tensor)
	}
	return nil
}

// Next appends tokens, private or not, to the text: Logits then has the rows after them.
func (d *Decoding) Next(ctx context.Context, tokens ...int64) error {
	all := slices.Concat(d.tokens, tokens)
	text := generation.Statement{Tokens: all, Prompt: len(all), Next: generation.Unclaimed}
	in := &Input{Statement: text.Hide(d.k.c), Private: generation.PrivateInput(d.k.c, all)} // without logits: they count as zeros until they are known
	if err := in.Statement.CheckInput(d.k.c); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if d.rows == nil {
		a, err := d.k.Evaluate(ctx, in)
		if err != nil {
			return err
		}
		d.pass, d.tokens, d.logits = a, all, a.Tensor(d.k.c.Generation.Output).V[:len(all)*d.k.c.Generation.Vocab]
		return nil
	}
	if err := d.rows.Next(ctx, tokens); err != nil {
		return refuse(ErrUndefined, err)
	}
	d.tokens, d.logits = all, d.rows.Logits()
	return nil
}

// Prove is Key.Prove for a statement about the text, as it is before it is hidden, or about one that begins so. The decoding ends.
func (d *Decoding) Prove(ctx context.Context, st *generation.Statement, o Options) ([]byte, error) {
	in := &Input{Statement: st.Hide(d.k.c), Private: generation.PrivateInput(d.k.c, st.Tokens)}
	if d.rows == nil {
		return d.k.Prove(ctx, in, o)
	}
	return d.k.prove(ctx, in, o, func() (*witness.Assignment, error) {
		a, err := d.rows.Finish(ctx, st.Tokens, in.publics(d.k.c), in.Private)
		if err != nil {
			return nil, refuse(ErrFalse, err)
		}
		return a, nil
	})
}

// Logits runs the integer program of a generation on tokens, private or not, and returns the logits after each, row by row.
func (k *Key) Logits(ctx context.Context, tokens []int64) ([]int64, error) {
	d, err := k.Decode()
	if err != nil {
		return nil, err
	}
	if err := d.Next(ctx, tokens...); err != nil {
		return nil, err
	}
	return d.Logits(), nil
}
