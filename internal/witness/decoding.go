package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Decoding computes the witness of a generation while the model continues a text: Next computes the rows of the positions that a few tokens
// take, in the integers of the whole pass, and Finish what is left. It is not safe for concurrent use.
type Decoding struct {
	g      *generator
	plan   *rowPlan
	tokens []int64
	logits []int64 // the rows of the output at their positions
	ended  error   // why it computes no more
}

var errFinished = errors.New("the text is finished")

// NewDecoding begins a text in this process' memory. The error is ErrWhole where the circuit's positions cannot be computed one after the other.
func NewDecoding(c *circuit.Circuit, weights map[circuit.ID]integer.Tensor) (*Decoding, error) {
	return Here().NewDecoding(c, weights)
}

// NewDecoding begins a text at a place.
func (p Place) NewDecoding(c *circuit.Circuit, weights map[circuit.ID]integer.Tensor) (*Decoding, error) {
	plan, err := planRows(c)
	if err != nil {
		return nil, err
	}
	d := &Decoding{g: newGenerator(context.Background(), p, c, nil), plan: plan}
	for i := range c.Tensors {
		if t := &c.Tensors[i]; plan.follow[i] >= 0 {
			d.g.vals[i] = p.Program.Zeros(t.Shape, t.Wide())
		}
	}
	if err := d.g.load(weights); err != nil {
		return nil, fmt.Errorf("witness of %s: %w", c.Name, err)
	}
	return d, nil
}

// Tokens are those whose positions are computed.
func (d *Decoding) Tokens() []int64 { return d.tokens }

// Logits are the rows of the output at the positions of the tokens.
func (d *Decoding) Logits() []int64 { return d.logits }

// Nonzero is how many cells of a tensor are not zero, as far as it is computed, and of how many; none where nothing of it is.
func (d *Decoding) Nonzero(id circuit.ID) (n, of int) { return d.g.Nonzero(id) }

// Close frees what was computed.
func (d *Decoding) Close() { d.g.Close() }

// Next appends tokens to the text. An input for which the program is not defined, or an end of the context, ends the decoding.
func (d *Decoding) Next(ctx context.Context, tokens []int64) error {
	_, err := d.Guess(ctx, tokens, nil, nil)
	return err
}

// Guess is Next, and computes the positions of guessed tokens together with those of the tokens before, which takes less than one by one.
// right is told the rows of the output at all of these positions, and says how many of the guesses, from the first on, belong to the text:
// these are appended. Whatever is computed of the others is taken back, so that what is left is what Next leaves of the same text.
func (d *Decoding) Guess(ctx context.Context, tokens, guesses []int64, right func(logits []int64) int) (n int, err error) {
	if err := d.takes(tokens, guesses); err != nil {
		return 0, err
	}
	d.g.ctx = ctx
	d.g.at.Program.Within(ctx)
	b := band{generator: d.g, plan: d.plan, from: len(d.tokens), to: len(d.tokens) + len(tokens) + len(guesses), tokens: slices.Concat(tokens, guesses)}
	if b.from == b.to {
		return 0, nil
	}
	if err = d.g.after(b.run()); err != nil && len(guesses) > 0 && d.g.err() == nil { // the program may not be defined for a wrong guess
		b.drop(b.from)
		return 0, d.Next(ctx, tokens)
	}
	var rows []int64
	if err == nil {
		rows = slices.Clone(d.rows(b.from, b.to))
		if len(guesses) > 0 {
			n = right(rows)
		}
		b.drop(b.from + len(tokens) + n)
		err = d.g.after(b.lookups())
	}
	d.tokens = append(d.tokens, b.tokens...)
	if err != nil {
		d.ended = fmt.Errorf("witness of %s: %w", d.g.c.Name, err)
		return 0, d.ended
	}
	d.logits = append(slices.Grow(d.logits, len(b.tokens)*d.g.c.Generation.Vocab), rows[:len(b.tokens)*d.g.c.Generation.Vocab]...)
	return n, nil
}

// takes says why the text takes no such tokens behind it.
func (d *Decoding) takes(tokens, guesses []int64) error {
	g, all := d.g.c.Generation, len(d.tokens)+len(tokens)+len(guesses)
	switch {
	case d.ended != nil:
		return d.ended
	case all > g.Length:
		return fmt.Errorf("witness of %s: %d tokens, the circuit takes %d", d.g.c.Name, all, g.Length)
	case len(guesses) > 0 && len(d.tokens) == 0:
		return fmt.Errorf("witness of %s: guesses about a text that has no beginning", d.g.c.Name)
	}
	for _, id := range slices.Concat(tokens, guesses) {
		if id < 0 || id >= int64(g.Vocab) {
			return fmt.Errorf("witness of %s: token %d of a vocabulary of %d", d.g.c.Name, id, g.Vocab)
		}
	}
	return nil
}

// rows are those of the output at some positions.
func (d *Decoding) rows(from, to int) []int64 {
	g := d.g.c.Generation
	out := backend.Part{T: d.g.vals[g.Output], Box: []backend.Range{{Lo: from, Hi: to}, {Hi: g.Vocab}}}
	return d.g.at.Program.Cells(out).All()
}

// Finish completes the text by the tokens of a statement, of which those that were decoded are the first, and by pads, and returns the
// assignment: that of Generate, with the same errors. The decoding ends.
func (d *Decoding) Finish(ctx context.Context, tokens []int64, publics func(circuit.ID) integer.Tensor, private PrivateInput) (*Assignment, error) {
	n := len(d.tokens)
	if len(tokens) < n || !slices.Equal(tokens[:n], d.tokens) {
		return nil, fmt.Errorf("witness of %s: the statement is about other tokens than were decoded", d.g.c.Name)
	}
	rest := slices.Clone(tokens[n:])
	for n+len(rest) < d.g.c.Generation.Length {
		rest = append(rest, d.g.c.Generation.Pad)
	}
	if err := d.Next(ctx, rest); err != nil {
		return nil, err
	}
	d.ended = errFinished
	d.g.at.Program.Settle()
	for i, v := range d.g.vals {
		if followed(d.plan.timeAxes(circuit.ID(i))) == undecided {
			d.g.at.Program.Free(v)
			d.g.vals[i] = nil
		}
	}
	d.g.private = private
	for _, i := range d.plan.lookups {
		d.g.counted[i] = true
	}
	return d.g.run(func() error { return d.same(publics) }, d.g.hints, d.g.lookups, d.g.zeros)
}

// same takes the public tensors, and compares the rows of the tokens, which the statement may tell or not, with those that were decoded.
func (d *Decoding) same(publics func(circuit.ID) integer.Tensor) error {
	g := d.g.c.Generation
	if given, ok := d.g.private[g.In]; g.Private && (!ok || !slices.Equal(given, d.tokens)) {
		if !ok {
			return fmt.Errorf("%w: port %q", ErrPrivate, d.g.c.Ports[g.In].Name)
		}
		return errors.New("the private tokens are others than were decoded")
	}
	for i := range d.g.c.Tensors {
		t := &d.g.c.Tensors[i]
		if t.Kind != circuit.Public || d.plan.follow[i] < 0 {
			continue
		}
		if v := publics(t.ID); !slices.Equal(v.All(), d.oneHot(t)) {
			return errors.New("the statement's tokens are others than were decoded")
		}
	}
	return d.g.publics(publics)
}

// oneHot is the rows of all tokens.
func (d *Decoding) oneHot(t *circuit.Tensor) []int64 {
	v := make([]int64, circuit.Size(t.Shape))
	for i, id := range d.tokens {
		v[i*t.Shape[1]+int(id)] = 1
	}
	return v
}

// band is the positions from from up to to, exclusive.
type band struct {
	*generator
	plan     *rowPlan
	from, to int
	tokens   []int64
	box      []backend.Range // of what is computed
	rule     *circuit.Hint   // the one whose rule runs
}

// part is what is computed of a tensor: all are of the same positions, but some results have no last axis, and masks not the first ones.
func (b *band) part(id circuit.ID) backend.Part {
	k := len(b.c.Tensor(id).Shape)
	if b.rule != nil && slices.Contains(b.rule.In, id) {
		return backend.Part{T: b.vals[id], Box: b.box[len(b.box)-k:]}
	}
	return backend.Part{T: b.vals[id], Box: b.box[:k]}
}

// upTo is the number of indices of an axis of positions that depend on the tokens before position n, or behind the last all.
func (b *band) upTo(extent, n int) int {
	if n == b.c.Generation.Length {
		return extent
	}
	return min(extent, n)
}

// reached are the cells of a tensor that depend on the tokens up to the band's end, or on none.
func (b *band) reached(id circuit.ID) []backend.Range {
	shape, axes := b.c.Tensor(id).Shape, b.plan.timeAxes(id)
	box := make([]backend.Range, len(shape))
	for a, d := range shape {
		box[a] = backend.Range{Hi: d}
		if axes[a] {
			box[a].Hi = b.upTo(d, b.to)
		}
	}
	return box
}

// boxOf is the band of a tensor; nil if it is empty.
func (b *band) boxOf(id circuit.ID) []backend.Range {
	box := b.reached(id)
	if a := b.plan.follow[id]; a >= 0 {
		box[a].Lo = b.upTo(b.c.Tensor(id).Shape[a], b.from)
	}
	for _, r := range box {
		if r.Hi <= r.Lo {
			return nil
		}
	}
	return box
}

// known is how far a tensor counts.
func (b *band) known(id circuit.ID) []int {
	shape, axes := slices.Clone(b.c.Tensor(id).Shape), b.plan.timeAxes(id)
	for a, is := range axes {
		if is {
			shape[a] = b.upTo(shape[a], b.to)
		}
	}
	return shape
}

func (b *band) run() error {
	b.write()
	for i := range b.plan.steps {
		if err := b.err(); err != nil {
			return err
		}
		if err := b.step(&b.plan.steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// drop takes back what is computed of the positions from one on: all cells that depend on their tokens are 0 again, as sums begin with.
func (b *band) drop(from int) {
	if from == b.to {
		return
	}
	for i := range b.c.Tensors {
		t := &b.c.Tensors[i]
		for a, is := range b.plan.timeAxes(t.ID) {
			if !is || b.plan.follow[i] < 0 {
				continue
			}
			box := b.reached(t.ID)
			box[a].Lo = b.upTo(t.Shape[a], from)
			if cells := circuit.Size(extents(box)); box[a].Lo < box[a].Hi && cells > 0 {
				none := &integer.Tensor{Shape: extents(box), V: make([]int64, cells)}
				if t.Wide() {
					none.High = make([]int64, cells)
				}
				b.at.Program.Put(backend.Part{T: b.vals[i], Box: box}, none)
			}
		}
	}
	b.tokens, b.to = b.tokens[:from-b.from], from
}

// write writes the rows of the tokens, of which there may be several tensors.
func (b *band) write() {
	for i := range b.c.Tensors {
		t := &b.c.Tensors[i]
		if b.plan.follow[i] < 0 || t.Kind != circuit.Public && (t.Kind != circuit.Witness || b.c.Hints[b.plan.yields[t.ID]].Kind != circuit.HintInput) {
			continue
		}
		for k, id := range b.tokens {
			b.at.Program.Put(single(b.vals[i], []int{b.from + k, int(id)}), &integer.Tensor{Shape: []int{1, 1}, V: []int64{1}})
		}
	}
}

func (b *band) step(s *rowStep) error {
	if s.once {
		if b.from > 0 {
			return nil
		}
		if s.hint >= 0 {
			return b.hint(&b.c.Hints[s.hint])
		}
		_, err := b.get(s.virtual)
		return err
	}
	if s.hint >= 0 {
		return b.results(s.hint)
	}
	if box := b.boxOf(s.virtual); box != nil {
		def := b.c.Tensor(s.virtual).Def
		terms := Terms(def, func(id circuit.ID) backend.Tensor { return b.vals[id] })
		for i := range terms {
			for k := range terms[i].Factors {
				id := def[i].Factors[k].T
				terms[i].Factors[k].Known, terms[i].Factors[k].Fixed = b.known(id), b.c.Tensor(id).Kind == circuit.Weight
			}
		}
		b.at.Program.Einsum(backend.Part{T: b.vals[s.virtual], Box: box}, terms)
	}
	return nil
}

// results runs the rule of a hint on the band.
func (b *band) results(hint int) error {
	h := &b.c.Hints[hint]
	if h.Kind == circuit.HintInput {
		return nil
	}
	if b.box = b.boxOf(b.plan.boxOf[hint]); b.box == nil {
		return nil
	}
	b.rule = h
	return b.apply(h, b.part)
}

// lookups counts what the band has of lookups: with the first position, what depends on none.
func (b *band) lookups() error {
	b.rule = nil
	all := make([]counting, 0, len(b.plan.lookups))
	for _, i := range b.plan.lookups {
		l := &b.c.Lookups[i]
		at := l.Cols[0]
		for _, id := range l.Cols {
			if b.plan.follow[id] >= 0 {
				at = id
			}
		}
		if b.plan.follow[at] < 0 && b.from > 0 {
			continue
		}
		if b.box = b.boxOf(at); b.box != nil {
			all = append(all, counting{l, b.columns(l, b.part)})
		}
	}
	return b.count(all)
}
