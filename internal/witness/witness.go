// Package witness computes a prover's assignment: it runs the hints of a circuit in order, evaluates virtual tensors, counts the
// multiplicities of all lookups, and checks every lookup and zero-check on the way.
//
// It carries no soundness. A check that fails is a bug of the compiler, a weight outside its declared range, or an input for which
// the program is not defined; the error names tensor, cell and value, so that no proof is attempted that cannot verify.
package witness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/meter"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/tensor"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// PrivateInput is what a statement does not say: the elements of the private input ports, by the ports' numbers.
type PrivateInput map[int][]int64

// Assignment holds the cells of every tensor of a circuit. Virtual tensors are computed when they are first asked for and kept.
// It is safe for concurrent use; the tensors must not be changed.
type Assignment struct {
	c     *circuit.Circuit
	mu    sync.Mutex
	vals  []*integer.Tensor
	meter *meter.Meter // of products; nil: none
	pool  *parallel.Pool
}

// Tensor returns a tensor of the circuit.
func (a *Assignment) Tensor(id circuit.ID) *integer.Tensor {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.get(id)
	if err != nil {
		panic("witness: " + err.Error()) // Generate has assigned every tensor that is not virtual
	}
	return t
}

// Settle keeps what a proof reads in as little memory as it takes: nothing is computed from the tensors any more. Cells are kept in 16 bits
// or 32 where they fit, those that are looked up in no more than 16, and sums that no sumcheck reads are dropped, to be computed again should
// somebody ask. Values are the same.
func (a *Assignment) Settle(p *parallel.Pool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	read, columns := a.c.Read(), make([]bool, len(a.vals))
	for _, l := range a.c.Lookups {
		for _, id := range l.Cols {
			columns[id] = true
		}
	}
	p.Run(len(a.vals), func(_, i int) {
		if t := &a.c.Tensors[i]; !read[i] {
			a.vals[i] = nil
		} else if v := a.vals[i]; (t.Kind == circuit.Witness || t.Kind == circuit.Virtual) && v != nil && (short(t) || !columns[i]) {
			v.Shorten()
		}
	})
}

// short says whether the cells of a tensor fit 16 bits, unless a prover lies.
func short(t *circuit.Tensor) bool { return t.Lo >= math.MinInt16 && t.Hi <= math.MaxInt16 }

// Known returns a tensor that is computed, nil if it is not.
func (a *Assignment) Known(id circuit.ID) *integer.Tensor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.vals[id]
}

// get returns a tensor; a.mu is held.
func (a *Assignment) get(id circuit.ID) (*integer.Tensor, error) {
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
	defer a.meter.Products(tensor.Part{}.Products(t.Def, t.Shape))()
	all := tensor.Part{Pool: a.pool}
	eval := all.Eval
	if t.Wide() {
		eval = all.EvalWide
	}
	v := eval(t.Def, func(id circuit.ID) integer.Tensor { return *a.vals[id] }, t.Shape)
	a.vals[id] = &v
	return &v, nil
}

// Option changes what Generate does. Nothing but tests has a use for one, so that no program links those that there are.
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

// generator is a run of Generate.
type generator struct {
	*Assignment
	ctx       context.Context
	private   PrivateInput
	override  func(circuit.ID, *integer.Tensor)
	unchecked bool
	unclaimed []bool // tensors whose lookups are left out; nil: none
	counters  []counter
}

// counter counts the multiplicities of a table.
type counter struct {
	*finder
	lines []int64
}

// Generate computes the assignment of a circuit. weights holds the Weight tensors, publics yields the Public ones. private is
// needed where the circuit has a private input. The result depends on the arguments only.
func Generate(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, publics func(circuit.ID) integer.Tensor,
	private PrivateInput, opts ...Option) (*Assignment, error) {
	g := newGenerator(ctx, c, private)
	for _, o := range opts {
		o(g)
	}
	return g.run(func() error { return g.load(weights) }, func() error { return g.publics(publics) }, g.hints, g.lookups, g.zeros)
}

// Evaluate is Generate without what compares the statement's claims about outputs with the program: the zero-checks, and lookups of what is
// computed from the claims. It serves to learn what a statement could claim. Its assignment need not satisfy the circuit.
func Evaluate(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, publics func(circuit.ID) integer.Tensor,
	private PrivateInput) (*Assignment, error) {
	g := newGenerator(ctx, c, private)
	g.unclaimed = c.Claimed()
	return g.run(func() error { return g.load(weights) }, func() error { return g.publics(publics) }, g.hints, g.lookups)
}

func newGenerator(ctx context.Context, c *circuit.Circuit, private PrivateInput) *generator {
	a := &Assignment{c: c, vals: make([]*integer.Tensor, len(c.Tensors)), meter: meter.Of(ctx), pool: parallel.Of(ctx)}
	g := &generator{Assignment: a, ctx: ctx, private: private}
	g.counters = make([]counter, len(c.Tables))
	for i := range c.Tables {
		g.counters[i].lines = make([]int64, len(c.Tables[i].Cols[0]))
	}
	return g
}

func (g *generator) run(steps ...func() error) (*Assignment, error) {
	for _, step := range steps {
		if err := step(); err != nil {
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
			g.vals[i] = &integer.Tensor{Shape: t.Shape, V: t.KnownCells()}
		case circuit.Weight:
			if err := g.take(t, weights[t.ID]); err != nil {
				return err
			}
		}
	}
	return nil
}

// publics takes the public tensors.
func (g *generator) publics(of func(circuit.ID) integer.Tensor) error {
	for i := range g.c.Tensors {
		t := &g.c.Tensors[i]
		if t.Kind != circuit.Public {
			continue
		}
		var v integer.Tensor
		if of != nil {
			v = of(t.ID)
		}
		if err := g.take(t, v); err != nil {
			return err
		}
		if short(t) {
			g.vals[i].Shorten()
		}
	}
	return nil
}

// take assigns a tensor that is given.
func (g *generator) take(t *circuit.Tensor, v integer.Tensor) error {
	if v.Len() != circuit.Size(t.Shape) {
		return fmt.Errorf("%s tensor %s of shape %v has %d cells", t.Kind, t.Name, t.Shape, v.Len())
	}
	v.Shape = t.Shape
	g.vals[t.ID] = &v
	return g.inBounds(t, &v)
}

// inBounds checks cells against the declared range.
func (g *generator) inBounds(t *circuit.Tensor, v *integer.Tensor) error {
	if g.unchecked {
		return nil
	}
	i := v.Outside(t.Lo, t.Hi)
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%s tensor %s: cell %v is %d, outside its declared range [%d, %d]",
		t.Kind, t.Name, rule.Cell(t.Shape, i), v.Cells(i, i+1)[0], t.Lo, t.Hi)
}

// emit assigns a witness tensor, as overridden, and returns its cells.
func (g *generator) emit(id circuit.ID, v []int64) []int64 {
	t := &integer.Tensor{Shape: g.c.Tensor(id).Shape, V: v}
	if g.override != nil {
		g.override(id, t)
	}
	g.vals[id] = t
	return t.V
}

// hints runs the hints in order, but for those whose results are computed, and checks that they leave no witness tensor out.
func (g *generator) hints() error {
	for i := range g.c.Hints {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		h := &g.c.Hints[i]
		if !slices.ContainsFunc(h.Out, func(id circuit.ID) bool { return g.vals[id] == nil }) {
			continue
		}
		if err := g.hint(h); err != nil {
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
func (g *generator) lookups() error { return g.lookupsBut(nil) }

// lookupsBut is lookups after some were counted.
func (g *generator) lookupsBut(counted []int) error {
	for i := range g.c.Lookups {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		l := &g.c.Lookups[i]
		if slices.Contains(counted, i) || g.unclaimed != nil && slices.ContainsFunc(l.Cols, func(id circuit.ID) bool { return g.unclaimed[id] }) {
			continue
		}
		for _, id := range l.Cols {
			if _, err := g.get(id); err != nil {
				return err
			}
		}
		if err := g.count(l, run{g}); err != nil {
			return err
		}
	}
	for i := range g.counters {
		g.emit(g.c.Tables[i].Mult, g.counters[i].lines)
	}
	return nil
}

// count adds the multiplicities of what is computed of one lookup.
func (g *generator) count(l *circuit.Lookup, r rule.Run) error {
	counter := &g.counters[l.Table]
	if counter.finder == nil {
		counter.finder = newFinder(g.c.Tables[l.Table].Cols)
	}
	var bad int
	var value func(col int) int64                                                       // of the bad cell
	if t := g.vals[l.Cols[0]]; len(l.Cols) == 1 && t.Short != nil && counter.direct() { // a weight, of which nothing is computed in parts
		bad = countColumn(counter.finder, g.pool, t.Short, counter.lines)
		value = func(int) int64 { return int64(t.Short[bad]) }
	} else {
		cols := make([][]int64, len(l.Cols))
		for j, id := range l.Cols {
			cols[j] = r.Cells(id)
		}
		bad = counter.count(g.pool, cols, counter.lines)
		value = func(j int) int64 { return cols[j][bad] }
	}
	if bad < 0 || g.unchecked {
		return nil
	}
	values := make([]int64, len(l.Cols))
	names := make([]string, len(l.Cols))
	for j, id := range l.Cols {
		values[j], names[j] = value(j), g.c.Tensor(id).Name
	}
	return fmt.Errorf("lookup of %v: cell %v holds %v, which is no line of table %q", names, r.Cell(l.Cols[0], bad), values, g.c.Tables[l.Table].Name)
}

// zeros checks the zero-checks.
func (g *generator) zeros() error {
	if g.unchecked {
		return nil
	}
	for _, id := range g.c.Zeros {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		v, err := g.get(id)
		if err != nil {
			return err
		}
		t := g.c.Tensor(id)
		cells := v.All()
		if err := rule.EachCell(run{g}, len(cells), func(i int) error {
			if cells[i] != 0 {
				return fmt.Errorf("zero-check of %s: cell %v is %d", t.Name, rule.Cell(t.Shape, i), cells[i])
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
