package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/meter"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/tensor"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// Decoding computes the witness of a generation while the model continues a text: Next computes the rows of the positions that a few tokens
// take, in the integers of the whole pass, and Finish what is left. It is not safe for concurrent use.
type Decoding struct {
	g      *generator
	plan   *rowPlan
	packs  *tensor.Packs
	tokens []int64
	ended  error // why it computes no more
}

var errFinished = errors.New("the text is finished")

// NewDecoding begins a text. The error is ErrWhole where the circuit's positions cannot be computed one after the other.
func NewDecoding(c *circuit.Circuit, weights map[circuit.ID]integer.Tensor) (*Decoding, error) {
	plan, err := planRows(c)
	if err != nil {
		return nil, err
	}
	d := &Decoding{g: newGenerator(context.Background(), c, nil), plan: plan}
	d.packs = tensor.NewPacks(func(id circuit.ID) bool { return c.Tensor(id).Kind == circuit.Weight })
	for i := range c.Tensors {
		if t := &c.Tensors[i]; plan.follow[i] >= 0 {
			d.g.vals[i] = &integer.Tensor{Shape: t.Shape, V: make([]int64, circuit.Size(t.Shape))}
			if t.Wide() {
				*d.g.vals[i] = tensor.NewWide(t.Shape)
			}
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
func (d *Decoding) Logits() []int64 {
	g := d.g.c.Generation
	return d.g.vals[g.Output].V[:len(d.tokens)*g.Vocab]
}

// Tensor returns a tensor as far as it is computed: zero at later positions; nil where nothing of it is.
func (d *Decoding) Tensor(id circuit.ID) *integer.Tensor { return d.g.vals[id] }

// Next appends tokens to the text. An input for which the program is not defined, or an end of the context, ends the decoding.
func (d *Decoding) Next(ctx context.Context, tokens []int64) error {
	g := d.g.c.Generation
	if d.ended != nil {
		return d.ended
	}
	if len(d.tokens)+len(tokens) > g.Length {
		return fmt.Errorf("witness of %s: %d tokens, the circuit takes %d", d.g.c.Name, len(d.tokens)+len(tokens), g.Length)
	}
	for _, id := range tokens {
		if id < 0 || id >= int64(g.Vocab) {
			return fmt.Errorf("witness of %s: token %d of a vocabulary of %d", d.g.c.Name, id, g.Vocab)
		}
	}
	d.g.ctx, d.g.meter, d.g.pool = ctx, meter.Of(ctx), parallel.Of(ctx)
	b := band{generator: d.g, plan: d.plan, packs: d.packs, from: len(d.tokens), to: len(d.tokens) + len(tokens), tokens: tokens}
	if b.from == b.to {
		return nil
	}
	d.tokens = append(d.tokens, tokens...)
	if err := b.run(); err != nil {
		d.ended = fmt.Errorf("witness of %s: %w", d.g.c.Name, err)
	}
	return d.ended
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
	d.ended, d.packs = errFinished, nil
	for i := range d.g.vals {
		if followed(d.plan.timeAxes(circuit.ID(i))) == undecided {
			d.g.vals[i] = nil
		}
	}
	d.g.private = private
	return d.g.run(func() error { return d.same(publics) }, d.g.hints, func() error { return d.g.lookupsBut(d.plan.lookups) }, d.g.zeros)
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
	if err := d.g.publics(publics); err != nil {
		return err
	}
	for i := range d.g.c.Tensors {
		t := &d.g.c.Tensors[i]
		if t.Kind == circuit.Public && d.plan.follow[i] >= 0 && !slices.Equal(d.g.vals[i].All(), d.oneHot(t)) {
			return errors.New("the statement's tokens are others than were decoded")
		}
	}
	return nil
}

// oneHot is the rows of all tokens.
func (d *Decoding) oneHot(t *circuit.Tensor) []int64 {
	v := make([]int64, circuit.Size(t.Shape))
	for i, id := range d.tokens {
		v[i*t.Shape[1]+int(id)] = 1
	}
	return v
}

// band is the positions from from up to to, exclusive, as rules see them.
type band struct {
	*generator
	plan     *rowPlan
	packs    *tensor.Packs
	from, to int
	tokens   []int64
	box      []tensor.Range         // of what is computed
	rule     *circuit.Hint          // the one whose rule runs
	emitted  map[circuit.ID][]int64 // by it
}

func (b *band) Emit(id circuit.ID, v []int64) []int64 {
	scatter(b.vals[id].V, b.vals[id].Shape, b.part(id), v)
	b.emitted[id] = v
	return v
}

func (b *band) Cells(id circuit.ID) []int64 {
	if v, ok := b.emitted[id]; ok {
		return v
	}
	t, part := b.vals[id], b.part(id)
	if t.High != nil {
		return slices.Concat(gather(t.V, t.Shape, part), gather(t.High, t.Shape, part))
	}
	return gather(t.All(), t.Shape, part)
}

func (b *band) Circuit() *circuit.Circuit { return b.c }
func (b *band) Checked() bool             { return true }
func (b *band) Pool() *parallel.Pool      { return b.pool }

func (b *band) Shape(id circuit.ID) []int {
	var shape []int
	for _, r := range b.part(id) {
		shape = append(shape, r.Hi-r.Lo)
	}
	return shape
}

func (b *band) Cell(id circuit.ID, i int) []int {
	cell := rule.Cell(b.Shape(id), i)
	for a, r := range b.part(id) {
		cell[a] += r.Lo
	}
	return cell
}

// part is what is computed of a tensor: all are of the same positions, but some results have no last axis, and masks not the first ones.
func (b *band) part(id circuit.ID) []tensor.Range {
	k := len(b.c.Tensor(id).Shape)
	if b.rule != nil && slices.Contains(b.rule.In, id) {
		return b.box[len(b.box)-k:]
	}
	return b.box[:k]
}

// upTo is the number of indices of an axis of positions that depend on the tokens before position n, or behind the last all.
func (b *band) upTo(extent, n int) int {
	if n == b.c.Generation.Length {
		return extent
	}
	return min(extent, n)
}

// boxOf is the band of a tensor; nil if it is empty.
func (b *band) boxOf(id circuit.ID) []tensor.Range {
	shape, axes := b.c.Tensor(id).Shape, b.plan.timeAxes(id)
	box := make([]tensor.Range, len(shape))
	for a, d := range shape {
		box[a] = tensor.Range{Hi: d}
		if axes[a] {
			box[a].Hi = b.upTo(d, b.to)
		}
		if a == b.plan.follow[id] {
			box[a].Lo = b.upTo(d, b.from)
		}
		if box[a].Hi <= box[a].Lo {
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
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := b.step(&b.plan.steps[i]); err != nil {
			return err
		}
	}
	for _, i := range b.plan.lookups {
		if err := b.lookup(&b.c.Lookups[i]); err != nil {
			return err
		}
	}
	return nil
}

// write writes the rows of the tokens, of which there may be several tensors.
func (b *band) write() {
	for i := range b.c.Tensors {
		t := &b.c.Tensors[i]
		if b.plan.follow[i] < 0 || t.Kind != circuit.Public && (t.Kind != circuit.Witness || b.c.Hints[b.plan.yields[t.ID]].Kind != circuit.HintInput) {
			continue
		}
		for k, id := range b.tokens {
			b.vals[i].V[(b.from+k)*t.Shape[1]+int(id)] = 1
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
		part := tensor.Part{Box: box, Known: b.known, Packs: b.packs, Pool: b.pool}
		defer b.meter.Products(part.Products(b.c.Tensor(s.virtual).Def, b.c.Tensor(s.virtual).Shape))()
		part.Add(*b.vals[s.virtual], b.c.Tensor(s.virtual).Def, func(id circuit.ID) integer.Tensor { return *b.vals[id] })
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
	b.rule, b.emitted = h, map[circuit.ID][]int64{}
	in := make([][]int64, len(h.In))
	for i, id := range h.In {
		if id >= 0 {
			in[i] = b.Cells(id)
		}
	}
	return rules[h.Kind](b, h, in)
}

// lookup counts what the band has of a lookup: with the first position, what depends on none.
func (b *band) lookup(l *circuit.Lookup) error {
	b.rule, b.emitted = nil, nil
	at := l.Cols[0]
	for _, id := range l.Cols {
		if b.plan.follow[id] >= 0 {
			at = id
		}
	}
	if b.plan.follow[at] < 0 && b.from > 0 {
		return nil
	}
	if b.box = b.boxOf(at); b.box == nil {
		return nil
	}
	return b.count(l, b)
}

// runs calls f for the runs of neighbouring cells of a part of a tensor, in order.
func runs(shape []int, part []tensor.Range, f func(at, n int)) {
	width, last := 1, len(shape)-1 // of an index of axis last
	for ; last > 0 && part[last] == (tensor.Range{Hi: shape[last]}); last-- {
		width *= shape[last]
	}
	if len(shape) == 0 {
		f(0, 1)
		return
	}
	lines := 1
	for _, r := range part[:last] {
		lines *= r.Hi - r.Lo
	}
	for line := range lines {
		at, stride, rest := part[last].Lo*width, shape[last]*width, line
		for a := last - 1; a >= 0; a-- {
			n := part[a].Hi - part[a].Lo
			at += (part[a].Lo + rest%n) * stride
			rest /= n
			stride *= shape[a]
		}
		f(at, (part[last].Hi-part[last].Lo)*width)
	}
}

// gather returns the cells of a part, in place where they are neighbours.
func gather(v []int64, shape []int, part []tensor.Range) []int64 {
	cells := 1
	for _, r := range part {
		cells *= r.Hi - r.Lo
	}
	var out []int64
	runs(shape, part, func(at, n int) {
		if n == cells {
			out = v[at : at+n]
			return
		}
		if out == nil {
			out = make([]int64, 0, cells)
		}
		out = append(out, v[at:at+n]...)
	})
	return out
}

// scatter writes the cells of a part.
func scatter(v []int64, shape []int, part []tensor.Range, cells []int64) {
	runs(shape, part, func(at, n int) {
		copy(v[at:at+n], cells[:n])
		cells = cells[n:]
	})
}
