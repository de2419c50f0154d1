package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

var errNoLogits = errors.New("the circuit is no generation: run it on its inputs")

// Decoding is a text that the model of a generation reads and continues. Each position is computed once, with what earlier positions left
// behind, and the proof begins with what all of them left behind; where positions cannot be computed by themselves, each call takes a whole
// pass. A text that outgrows its circuit is computed once more with the next one of the family that holds it. It is not safe for concurrent
// use.
type Decoding struct {
	k     *Key
	on    *model // whose session reads it; nil: this process' memory
	given *sync.Once
	reader
}

// reader is a text as one circuit reads it.
type reader struct {
	m      *member
	rows   *witness.Decoding // nil: whole passes
	whole  error             // why
	tokens []int64
	logits []int64             // after each of the tokens
	pass   *witness.Assignment // the last whole pass
}

// Decode begins a text that will have at least so many tokens, and that a backend computes; in this process' memory if there is none.
func (k *Key) Decode(tokens int, be backend.Backend) (d *Decoding, err error) {
	if k.f.Shortest().Generation == nil {
		return nil, errNoLogits
	}
	d = &Decoding{k: k, given: &sync.Once{}}
	if be != nil {
		if d.on, err = k.sessions.take(k, be); err != nil {
			return nil, err
		}
		runtime.AddCleanup(d, func(l lent) { _ = l.giveBack() }, d.lent())
	}
	if d.reader, err = d.newReader(k.holding(tokens)); err != nil {
		return nil, errors.Join(err, d.lent().giveBack())
	}
	return d, nil
}

// lent is the session of a decoding or of an execution, which nobody may end.
type lent struct {
	of    *sessions
	on    *model
	given *sync.Once
}

func (d *Decoding) lent() lent { return lent{d.k.sessions, d.on, d.given} }

// giveBack gives the session back, once.
func (l lent) giveBack() (err error) {
	if l.on != nil {
		l.given.Do(func() { err = l.of.give(l.on, false) })
	}
	return err
}

// holding returns the shortest circuit with as many positions; the longest if none has.
func (k *Key) holding(positions int) *member {
	c := k.f.Smallest(positions)
	return &k.members[slices.IndexFunc(k.members, func(m member) bool { return m.c == c })]
}

func (d *Decoding) newReader(m *member) (reader, error) {
	rows, err := d.on.place(m).NewDecoding(m.c, m.data)
	switch {
	case errors.Is(err, witness.ErrWhole):
		return reader{m: m, whole: err}, nil
	case err != nil:
		return reader{}, refuse(ErrUndefined, err)
	}
	return reader{m: m, rows: rows}, nil
}

// Circuit is the one that reads the text: the shortest of the family that holds all it ever had.
func (d *Decoding) Circuit() *circuit.Circuit { return d.m.c }

// Longest is the longest circuit that could read it.
func (d *Decoding) Longest() *circuit.Circuit { return d.k.f.Longest() }

// Close frees what was computed, and gives the session back. It may be called again, and after Prove.
func (d *Decoding) Close() error {
	d.close()
	return d.lent().giveBack()
}

// Whole says why every call takes a whole pass; nil if none does.
func (d *Decoding) Whole() error { return d.whole }

// Logits are those after each of the tokens, row by row, as Circuit has them.
func (d *Decoding) Logits() []int64 { return d.logits }

// Clamped lists the cells that were clamped at the positions of the text, or, where every call takes a whole pass, at all of the last one.
func (d *Decoding) Clamped() []Clamped {
	switch {
	case d.rows != nil:
		return clamped(d.m.c, d.rows.Nonzero)
	case d.pass != nil:
		return clamped(d.m.c, d.pass.Nonzero)
	}
	return nil
}

// Next appends tokens, private or not, to the text: Logits then has the rows after them. Where it moves on to a longer circuit, those after
// earlier tokens are computed anew; see that they still say what was taken from them.
func (d *Decoding) Next(ctx context.Context, tokens ...int64) error {
	all := len(d.tokens) + len(tokens)
	m := d.k.holding(all)
	if all <= d.m.c.Generation.Length || m == d.m {
		return d.next(ctx, tokens)
	}
	longer, err := d.newReader(m)
	if err != nil {
		return err
	}
	if err := longer.next(ctx, slices.Concat(d.tokens, tokens)); err != nil {
		return err
	}
	d.close()
	d.reader = longer
	return nil
}

// Guess is Next, and computes positions of guessed tokens with those of the tokens before: together they take less than one by one. Those
// of them, from the first on, that the model continues with belong to the text, and n is how many these are. Where every call takes a whole
// pass, or the text moves on to a longer circuit, none is looked at.
func (d *Decoding) Guess(ctx context.Context, tokens, guesses []int64) (n int, err error) {
	g := d.m.c.Generation
	if d.rows == nil || len(guesses) == 0 || len(tokens) == 0 || len(d.tokens) == 0 || len(d.tokens)+len(tokens)+len(guesses) > g.Length {
		return 0, d.Next(ctx, tokens...)
	}
	n, err = d.rows.Guess(ctx, tokens, guesses, func(logits []int64) int {
		for n, id := range guesses {
			if at := len(tokens) - 1 + n; statement.Argmax(logits[at*g.Vocab:(at+1)*g.Vocab]) != id {
				return n
			}
		}
		return len(guesses)
	})
	if err != nil {
		return 0, refuse(ErrUndefined, err)
	}
	d.tokens, d.logits = slices.Concat(d.tokens, tokens, guesses[:n]), d.rows.Logits()
	return n, nil
}

// Cut drops all tokens but the first n, at least one, and computes these anew.
func (d *Decoding) Cut(ctx context.Context, n int) error {
	r, err := d.newReader(d.m)
	if err != nil {
		return err
	}
	if err := r.next(ctx, d.tokens[:n]); err != nil {
		return err
	}
	d.close()
	d.reader = r
	return nil
}

// close frees what was computed.
func (r *reader) close() {
	if r.rows != nil {
		r.rows.Close()
	}
}

func (r *reader) next(ctx context.Context, tokens []int64) error {
	c, all := r.m.c, slices.Concat(r.tokens, tokens)
	text := generation.Statement{Tokens: all, Prompt: len(all), Next: generation.Unclaimed}
	in := &Input{Statement: text.Hide(c), Private: generation.PrivateInput(c, all)} // without logits: they count as zeros until they are known
	if err := in.Statement.CheckInput(c); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if r.rows == nil {
		a, err := r.m.evaluate(ctx, in)
		if err != nil {
			return err
		}
		r.pass, r.tokens, r.logits = a, all, a.Tensor(c.Generation.Output).Cells(0, len(all)*c.Generation.Vocab)
		return nil
	}
	if err := r.rows.Next(ctx, tokens); err != nil {
		return refuse(ErrUndefined, err)
	}
	r.tokens, r.logits = all, r.rows.Logits()
	return nil
}

// Prove is Key.Prove for a statement about the text, as it is before it is hidden, or about one that begins so, with the circuit that reads
// the text: what another one says of it nobody has asked. The decoding ends.
func (d *Decoding) Prove(ctx context.Context, st *generation.Statement, o Options) ([]byte, error) {
	c := d.m.c
	in := &Input{Statement: st.Hide(c), Private: generation.PrivateInput(c, st.Tokens)}
	if err := in.claims(c); err != nil {
		return nil, err
	}
	var has *begun
	if d.rows != nil {
		has = &begun{on: d.on, finish: func() (*witness.Assignment, error) { return d.rows.Finish(ctx, st.Tokens, in.publics(c), in.Private) }}
	}
	proof, err := d.k.prove(ctx, d.m, in, o, has)
	d.close()
	return proof, errors.Join(err, d.lent().giveBack())
}

// Logits runs the integer program of a generation on tokens, private or not, and returns the logits after each, row by row.
func (k *Key) Logits(ctx context.Context, tokens []int64) ([]int64, error) {
	d, err := k.Decode(len(tokens), nil)
	if err != nil {
		return nil, err
	}
	if err := d.Next(ctx, tokens...); err != nil {
		return nil, err
	}
	return d.Logits(), nil
}
