// Package witness computes a prover's assignment: it runs the hints of a circuit in order, evaluates virtual tensors, counts the
// multiplicities of all lookups, and checks every lookup and zero-check on the way. What it does it asks of a backend, which holds the tensors.
//
// It carries no soundness. A check that fails is a bug of the compiler, a weight outside its declared range, or an input for which
// the program is not defined; the error names tensor, cell and value, so that no proof is attempted that cannot verify.
package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/host"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// PrivateInput is what a statement does not say: the elements of the private input ports, by the ports' numbers.
type PrivateInput map[int][]int64

// Place is where a witness is computed: a program of a backend's session, and what the session holds of the circuit: weights, and the columns
// of tables. Where it holds none these are nil.
type Place struct {
	Program backend.Program
	Weight  func(circuit.ID) backend.Tensor
	Table   func(number int) []backend.Tensor
}

// Here is this process' memory.
func Here() Place { return Place{Program: host.New(nil)} }

// Assignment holds every tensor of a circuit, where it was computed. Virtual tensors are computed when they are first asked for and kept.
// It is safe for concurrent use; the tensors must not be changed.
type Assignment struct {
	c    *circuit.Circuit
	at   Place
	mu   sync.Mutex
	vals []backend.Tensor

	read   []bool            // what proofs ask for, once somebody asks
	ranges []backend.Bounded // of the cells of all tensors, once they are asked for; T is not set
}

// Tensor returns the cells of a tensor of the circuit.
func (a *Assignment) Tensor(id circuit.ID) *integer.Tensor {
	t := a.Held(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at.Program.Cells(backend.Whole(t))
}

// Held returns a tensor of the circuit, where it was computed.
func (a *Assignment) Held(id circuit.ID) backend.Tensor {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.get(id)
	if err != nil {
		panic("witness: " + err.Error()) // Generate has assigned every tensor that is not virtual
	}
	return t
}

// Words are the tensors that a run asks about in the place of one, two of a wide one.
func (a *Assignment) Words(id circuit.ID) (lower, upper backend.Tensor) {
	t := a.Held(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at.Program.Words(t)
}

// Known returns a tensor that is computed, nil if it is not.
func (a *Assignment) Known(id circuit.ID) backend.Tensor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.vals[id]
}

// Nonzero is how many cells of a tensor are not zero, and of how many; none if it is not computed.
func (a *Assignment) Nonzero(id circuit.ID) (n, of int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.vals[id] == nil {
		return 0, 0
	}
	n, _ = a.at.Program.Nonzero(backend.Whole(a.vals[id]))
	return n, circuit.Size(a.c.Tensor(id).Shape)
}

// Close frees the tensors.
func (a *Assignment) Close() { a.at.Program.Close() }

// Settle keeps what a proof reads in as little memory as it takes: nothing is computed from the tensors any more. Cells are kept in 16 bits
// or 32 where they fit, and sums that no sumcheck reads are dropped, to be computed again should somebody ask. Values are the same.
func (a *Assignment) Settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	read := a.c.Read()
	var settled []backend.Bounded
	for i, v := range a.vals {
		switch t := &a.c.Tensors[i]; {
		case v == nil || t.Kind != circuit.Witness && t.Kind != circuit.Virtual && t.Kind != circuit.Public:
		case !read[i]:
			a.at.Program.Free(v)
			a.vals[i] = nil
		default:
			settled = append(settled, a.bounded(circuit.ID(i)))
		}
	}
	a.at.Program.Settle(settled...)
}

// get returns a tensor; a.mu is held.
func (a *Assignment) get(id circuit.ID) (backend.Tensor, error) {
	if t := a.vals[id]; t != nil {
		return t, nil
	}
	t := a.c.Tensor(id)
	if t.Kind != circuit.Virtual {
		return nil, fmt.Errorf("%s tensor %s is used before it is computed", t.Kind, t.Name)
	}
	for i := range t.Def {
		for _, f := range t.Def[i].Factors {
			if _, err := a.get(f.T); err != nil {
				return nil, err
			}
		}
	}
	v := a.at.Program.Zeros(t.Shape, t.Wide())
	a.at.Program.Einsum(backend.Whole(v), Terms(t.Def, func(id circuit.ID) backend.Tensor { return a.vals[id] }))
	a.vals[id] = v
	if a.kept(id) {
		a.written(id)
	}
	return v, nil
}

// Terms are the terms of a virtual tensor, of tensors that a backend holds.
func Terms(def []circuit.Term, held func(circuit.ID) backend.Tensor) []backend.Term {
	terms := make([]backend.Term, len(def))
	for i := range def {
		t := &def[i]
		terms[i] = backend.Term{Coef: t.Coef, Extents: t.Extents, Out: t.Out, Factors: make([]backend.Operand, len(t.Factors))}
		for k, f := range t.Factors {
			terms[i].Factors[k] = backend.Operand{T: held(f.T), Axes: f.Axes}
		}
	}
	return terms
}

// Option changes what Generate does.
type Option func(*generator)

// ErrPrivate says that a private input is missing.
var ErrPrivate = errors.New("a private input is missing")

// WithOverride calls f right after each witness tensor is computed; what f writes into its cells is what everything downstream is
// honestly computed from. A hint with several results computes each from those before it, overridden. It exists for tests that
// play a prover who lies in one place, and gives nothing that a malicious prover, who runs any code, does not have.
func WithOverride(f func(id circuit.ID, t *integer.Tensor)) Option {
	return func(g *generator) { g.override = f }
}

// WithoutChecks makes Generate return an assignment that violates lookups or zero-checks; cells that are in no line of their table
// are not counted. Whoever wants a model's logits calls Evaluate.
func WithoutChecks() Option {
	return func(g *generator) { g.unchecked = true }
}

// Rehearsed makes Generate take given tensors as they are, for whoever counts what computing a witness takes and has no weights.
func Rehearsed() Option {
	return func(g *generator) { g.rehearsed = true }
}

// generator is a run of Generate.
type generator struct {
	*Assignment
	ctx       context.Context
	private   PrivateInput
	override  func(circuit.ID, *integer.Tensor)
	unchecked bool
	rehearsed bool
	unclaimed []bool            // tensors whose lookups are left out; nil: none
	counters  []backend.Counter // by table, nil before the first lookup
	order     *schedule
	counted   []bool              // lookups
	checked   map[circuit.ID]bool // zero-checks
}

// Generate computes the assignment of a circuit. weights holds the Weight tensors, publics yields the Public ones. private is
// needed where the circuit has a private input. The result depends on the arguments only.
func Generate(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, publics func(circuit.ID) integer.Tensor,
	private PrivateInput, opts ...Option) (*Assignment, error) {
	return Here().Generate(ctx, c, weights, publics, private, opts...)
}

// Generate computes the assignment at a place.
func (p Place) Generate(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, publics func(circuit.ID) integer.Tensor,
	private PrivateInput, opts ...Option) (*Assignment, error) {
	g := newGenerator(ctx, p, c, private)
	for _, o := range opts {
		o(g)
	}
	return g.run(func() error { return g.load(weights) }, func() error { return g.publics(publics) }, g.hints, g.lookups, g.zeros)
}

// Evaluate is Generate without what compares the statement's claims about outputs with the program: the zero-checks, and lookups of what is
// computed from the claims. It serves to learn what a statement could claim. Its assignment need not satisfy the circuit.
func Evaluate(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, publics func(circuit.ID) integer.Tensor,
	private PrivateInput) (*Assignment, error) {
	r, err := Here().Run(ctx, c, weights, publics, private)
	if err != nil {
		return nil, err
	}
	return r.run(r.multiplicities)
}

// Execution is an assignment that lacks what is computed from a statement's claims about outputs.
type Execution struct{ *generator }

// Run is Evaluate at a place, for a statement that is told what to claim and proved: its assignment is complete once it is finished.
func (p Place) Run(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, publics func(circuit.ID) integer.Tensor,
	private PrivateInput) (*Execution, error) {
	g := newGenerator(ctx, p, c, private)
	g.unclaimed = c.Claimed()
	_, err := g.run(func() error { return g.load(weights) }, func() error { return g.publics(publics) }, g.hints, g.counts)
	return &Execution{g}, err
}

// Finish takes the public tensors of a statement that differs from the one that was run in what it claims of outputs alone, and returns the
// assignment: that of Generate, with the same errors.
func (r *Execution) Finish(publics func(circuit.ID) integer.Tensor) (*Assignment, error) {
	claimed := r.unclaimed
	for i, is := range claimed {
		if v := r.vals[i]; is && v != nil {
			r.at.Program.Free(v)
			r.vals[i] = nil
		}
	}
	r.unclaimed = nil
	return r.run(func() error { return r.publics(publics) }, r.hints, r.lookups, r.zeros)
}

func newGenerator(ctx context.Context, p Place, c *circuit.Circuit, private PrivateInput) *generator {
	p.Program.Within(ctx)
	a := &Assignment{c: c, at: p, vals: make([]backend.Tensor, len(c.Tensors))}
	return &generator{Assignment: a, ctx: ctx, private: private, counters: make([]backend.Counter, len(c.Tables)), counted: make([]bool, len(c.Lookups)), checked: map[circuit.ID]bool{}}
}

// ErrBackend says that the backend failed: what it computed means nothing, and says nothing about an input.
var ErrBackend = errors.New("the backend failed")

// err is why no more is computed, if so.
func (g *generator) err() error {
	if err := g.at.Program.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBackend, err)
	}
	return g.ctx.Err()
}

// after is the error of what was computed, but for that of a backend, from which the other follows.
func (g *generator) after(err error) error {
	if failed := g.err(); err == nil || errors.Is(failed, ErrBackend) {
		return failed
	}
	return err
}

func (g *generator) run(steps ...func() error) (*Assignment, error) {
	for _, step := range steps {
		if err := g.after(step()); err != nil {
			g.Close()
			return nil, fmt.Errorf("witness of %s: %w", g.c.Name, err)
		}
	}
	return g.Assignment, nil
}

// load takes the constants and the weights.
func (g *generator) load(weights map[circuit.ID]integer.Tensor) error {
	for i := range g.c.Tensors {
		switch t := &g.c.Tensors[i]; t.Kind {
		case circuit.Const, circuit.Affine:
			g.vals[i] = g.at.Program.Load(&integer.Tensor{Shape: t.Shape, V: t.KnownCells()})
		case circuit.Weight:
			var held backend.Tensor
			if g.at.Weight != nil {
				held = g.at.Weight(t.ID)
			}
			if err := g.take(t, weights[t.ID], held); err != nil {
				return err
			}
		}
	}
	return nil
}

// publics takes the public tensors that are not there.
func (g *generator) publics(of func(circuit.ID) integer.Tensor) error {
	for i := range g.c.Tensors {
		t := &g.c.Tensors[i]
		if t.Kind != circuit.Public || g.vals[i] != nil {
			continue
		}
		var v integer.Tensor
		if of != nil {
			v = of(t.ID)
		}
		if err := g.take(t, v, nil); err != nil {
			return err
		}
	}
	return nil
}

// take assigns a tensor that is given, and may be held already.
func (g *generator) take(t *circuit.Tensor, v integer.Tensor, held backend.Tensor) error {
	if v.Len() != circuit.Size(t.Shape) {
		return fmt.Errorf("%s tensor %s of shape %v has %d cells", t.Kind, t.Name, t.Shape, v.Len())
	}
	if err := g.inBounds(t, &v); err != nil {
		return err
	}
	if v.Shape = t.Shape; held == nil {
		held = g.at.Program.Load(&v)
	}
	g.vals[t.ID] = held
	return nil
}

// inBounds checks cells against the declared range.
func (g *generator) inBounds(t *circuit.Tensor, v *integer.Tensor) error {
	if g.unchecked || g.rehearsed {
		return nil
	}
	const some = 1 << 18
	first := make([]int, (v.Len()+some-1)/some)
	parallel.Of(g.ctx).Run(len(first), func(_, k int) {
		part := v.Run(k*some, min((k+1)*some, v.Len()))
		if first[k] = part.Outside(t.Lo, t.Hi); first[k] >= 0 {
			first[k] += k * some
		}
	})
	k := slices.IndexFunc(first, func(i int) bool { return i >= 0 })
	if k < 0 {
		return nil
	}
	i := first[k]
	return fmt.Errorf("%s tensor %s: cell %v is %d, outside its declared range [%d, %d]",
		t.Kind, t.Name, rule.Cell(t.Shape, i), v.Cells(i, i+1)[0], t.Lo, t.Hi)
}

// emit assigns a witness tensor whose cells come from here, as overridden.
func (g *generator) emit(id circuit.ID, v []int64) {
	t := &integer.Tensor{Shape: g.c.Tensor(id).Shape, V: v}
	if g.override != nil {
		g.override(id, t)
	}
	g.vals[id] = g.at.Program.Load(t)
}

// hints runs the hints in order, but for those whose results are computed, and checks that they leave no witness tensor out.
func (g *generator) hints() error {
	for i := range g.c.Hints {
		if err := g.err(); err != nil {
			return err
		}
		h := &g.c.Hints[i]
		if slices.ContainsFunc(h.Out, func(id circuit.ID) bool { return g.vals[id] == nil }) {
			if err := g.hint(h); err != nil {
				return err
			}
		}
		if err := g.early(i); err != nil {
			return err
		}
	}
	for i := range g.c.Tensors {
		if t := &g.c.Tensors[i]; t.Kind == circuit.Witness && !t.Mult && g.vals[i] == nil {
			return fmt.Errorf("no hint computes the witness tensor %s", t.Name)
		}
	}
	return nil
}

// lookups checks every lookup and computes the multiplicities of the tables.
func (g *generator) lookups() error {
	if err := g.counts(); err != nil {
		return err
	}
	return g.multiplicities()
}

// counts checks and counts lookups that were not.
func (g *generator) counts() error {
	for i := range g.c.Lookups {
		if err := g.err(); err != nil {
			return err
		}
		if err := g.lookup(i); err != nil {
			return err
		}
	}
	return nil
}

// lookup checks and counts a lookup, unless that was done, or what it is of is not known yet.
func (g *generator) lookup(i int) error {
	l := &g.c.Lookups[i]
	if g.counted[i] || g.unclaimed != nil && slices.ContainsFunc(l.Cols, func(id circuit.ID) bool { return g.unclaimed[id] }) {
		return nil
	}
	g.counted[i] = true
	for _, id := range l.Cols {
		if _, err := g.get(id); err != nil {
			return err
		}
	}
	return g.count([]counting{{l, g.columns(l, g.whole)}})
}

// multiplicities are what was counted.
func (g *generator) multiplicities() error {
	for i := range g.c.Tables {
		mult := g.counter(i).Multiplicities()
		if g.vals[g.c.Tables[i].Mult] = mult; g.override != nil {
			g.emit(g.c.Tables[i].Mult, slices.Clone(g.at.Program.Cells(backend.Whole(mult)).All()))
		}
	}
	return nil
}

// whole is a tensor, all of it.
func (g *generator) whole(id circuit.ID) backend.Part { return backend.Whole(g.vals[id]) }

// counter counts a table's lines.
func (g *generator) counter(table int) backend.Counter {
	if g.counters[table] == nil {
		g.counters[table] = g.at.Program.Counter(g.table(table))
	}
	return g.counters[table]
}

// table is the columns of a table.
func (g *generator) table(number int) (cols []backend.Tensor) {
	if g.at.Table != nil {
		return g.at.Table(number)
	}
	for _, col := range g.c.Tables[number].Cols {
		cols = append(cols, g.at.Program.Load(&integer.Tensor{Shape: []int{len(col)}, V: col}))
	}
	return cols
}

// counting is a lookup whose columns are to be counted, or parts of them.
type counting struct {
	*circuit.Lookup
	cols []backend.Part
}

// columns are what is to be counted of a lookup.
func (g *generator) columns(l *circuit.Lookup, part func(circuit.ID) backend.Part) []backend.Part {
	cols := make([]backend.Part, len(l.Cols))
	for j, id := range l.Cols {
		cols[j] = part(id)
	}
	return cols
}

// count adds the multiplicities of what is computed of some lookups, table by table. The error is that of the first one that has one.
func (g *generator) count(all []counting) error {
	byTable := make([][]int, len(g.c.Tables))
	for i, l := range all {
		byTable[l.Table] = append(byTable[l.Table], i)
	}
	first, at := len(all), 0
	for table, of := range byTable {
		if len(of) == 0 {
			continue
		}
		asked := make([][]backend.Part, len(of))
		for k, i := range of {
			asked[k] = all[i].cols
		}
		if lookup, cell := g.counter(table).Count(asked); lookup >= 0 && of[lookup] < first {
			first, at = of[lookup], cell
		}
	}
	if first == len(all) || g.unchecked {
		return nil
	}
	return g.noLine(all[first], at)
}

// noLine is the error of a cell of a lookup that is no line of its table.
func (g *generator) noLine(l counting, bad int) error {
	values := make([]int64, len(l.cols))
	names := make([]string, len(l.cols))
	var cell []int
	for j, id := range l.Cols {
		cell = cellOf(g.c.Tensor(id), l.cols[j].Box, bad)
		values[j], names[j] = g.at.Program.Cells(single(l.cols[j].T, cell)).All()[0], g.c.Tensor(id).Name
	}
	return fmt.Errorf("lookup of %v: cell %v holds %v, which is no line of table %q", names, cell, values, g.c.Tables[l.Table].Name)
}

// cellOf is where cell i of a part stands in the whole tensor.
func cellOf(t *circuit.Tensor, box []backend.Range, i int) []int {
	if box == nil {
		return rule.Cell(t.Shape, i)
	}
	cell := rule.Cell(extents(box), i)
	for a, r := range box {
		cell[a] += r.Lo
	}
	return cell
}

// extents is the shape of a box.
func extents(box []backend.Range) []int {
	shape := make([]int, len(box))
	for a, r := range box {
		shape[a] = r.Hi - r.Lo
	}
	return shape
}

// single is a part of one cell.
func single(t backend.Tensor, cell []int) backend.Part {
	box := make([]backend.Range, len(cell))
	for a, x := range cell {
		box[a] = backend.Range{Lo: x, Hi: x + 1}
	}
	return backend.Part{T: t, Box: box}
}

// zeros checks the zero-checks.
func (g *generator) zeros() error {
	for _, id := range g.c.Zeros {
		if err := g.err(); err != nil {
			return err
		}
		if err := g.zero(id); err != nil {
			return err
		}
	}
	return nil
}

// zero checks that a tensor is zero, unless that was done.
func (g *generator) zero(id circuit.ID) error {
	if g.unchecked || g.checked[id] {
		return nil
	}
	g.checked[id] = true
	v, err := g.get(id)
	if err != nil {
		return err
	}
	if n, first := g.at.Program.Nonzero(backend.Whole(v)); n > 0 {
		t := g.c.Tensor(id)
		cell := rule.Cell(t.Shape, first)
		return fmt.Errorf("zero-check of %s: cell %v is %d", t.Name, cell, g.at.Program.Cells(single(v, cell)).All()[0])
	}
	return nil
}
