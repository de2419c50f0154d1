package circuit

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
)

// MaxBound is the exclusive limit of every bound but those of wide tensors: far below p/4, and such that witness arithmetic fits 64 bits.
const MaxBound = int64(1) << 62

// WideBits is the number of bits of the cells of wide tensors: far below p/4, too, and such that witness arithmetic fits 128.
const WideBits = 124

// Builder collects a circuit. Its methods record the first error, which Finish returns; after an error they do nothing useful.
type Builder struct {
	c      Circuit
	tables map[string]int
	wide   map[ID]interval.Interval // bounds of wide tensors
	single map[ID]interval.Single   // of tensors that both sides know, each looked at once
	prefix string
	err    error
}

// NewBuilder starts a circuit.
func NewBuilder(cfg Config) *Builder {
	b := &Builder{tables: map[string]int{}, wide: map[ID]interval.Interval{}, single: map[ID]interval.Single{}}
	b.c.Config = cfg
	b.check(cfg)
	return b
}

func (b *Builder) check(cfg Config) {
	if cfg.WeightBits < 4 || cfg.WeightBits > 24 || cfg.WitnessBits < 4 || cfg.WitnessBits > 24 {
		b.Fail("row widths 2^%d and 2^%d must be between 2^4 and 2^24", cfg.WeightBits, cfg.WitnessBits)
	}
}

// Error says why a circuit is refused.
type Error struct {
	Circuit string // its name
	Scope   string // the prefix of names where the error arose
	Tensor  ID     // where Finish found it; -1 while the circuit was built
	Text    string // "NAME: reason", where it is about one tensor or call
}

func (e *Error) Error() string { return "circuit " + e.Circuit + ": " + e.Scope + e.Text }

// Fail records an error unless there is one already.
func (b *Builder) Fail(format string, args ...any) {
	if b.err == nil {
		b.err = &Error{Circuit: b.c.Name, Scope: b.prefix, Tensor: -1, Text: fmt.Sprintf(format, args...)}
	}
}

// Err returns the first error so far.
func (b *Builder) Err() error { return b.err }

// Tensors is the number of tensors so far.
func (b *Builder) Tensors() int { return len(b.c.Tensors) }

// Scope sets the prefix of the names of all tensors that follow, "" for none.
func (b *Builder) Scope(prefix string) { b.prefix = prefix }

// Shape returns the shape of a tensor. The caller must not change it.
func (b *Builder) Shape(id ID) []int {
	if !b.has(id) {
		return nil
	}
	return b.c.Tensors[id].Shape
}

// Bounds returns the bounds of a tensor. It refuses a wide one, which whoever can take asks for its Interval.
func (b *Builder) Bounds(id ID) (lo, hi int64) {
	if !b.has(id) {
		return 0, 0
	}
	if t := &b.c.Tensors[id]; t.Wide() {
		b.Fail("tensor %s: its cells may reach %v, beyond 2^62; sums and rescales take it, and nothing else", t.Name, b.wide[id])
		return 0, 0
	}
	return b.c.Tensors[id].Lo, b.c.Tensors[id].Hi
}

// IsWide says whether a tensor is wide.
func (b *Builder) IsWide(id ID) bool { return b.has(id) && b.c.Tensors[id].Wide() }

// Interval returns the bounds of a tensor, wide or not.
func (b *Builder) Interval(id ID) interval.Interval {
	if !b.has(id) {
		return interval.Of(0, 0)
	}
	if v, ok := b.wide[id]; ok {
		return v
	}
	return interval.Of(b.c.Tensors[id].Lo, b.c.Tensors[id].Hi)
}

func (b *Builder) has(id ID) bool {
	if id < 0 || int(id) >= len(b.c.Tensors) {
		b.Fail("there is no tensor %d", id)
		return false
	}
	return true
}

func (b *Builder) add(t Tensor) ID {
	t.ID = ID(len(b.c.Tensors))
	t.Name = b.prefix + t.Name
	if len(t.Shape) == 0 {
		b.Fail("tensor %s needs at least one axis", t.Name)
	}
	if _, ok := cells(t.Shape); !ok {
		b.Fail("tensor %s has an unusable shape %v", t.Name, t.Shape)
	}
	if t.Lo > t.Hi || (t.Lo <= -MaxBound || t.Hi >= MaxBound) && !t.Wide() {
		b.Fail("tensor %s has bounds [%d, %d]; they must lie strictly between -2^62 and 2^62", t.Name, t.Lo, t.Hi)
	}
	t.Shape = append([]int(nil), t.Shape...)
	b.c.Tensors = append(b.c.Tensors, t)
	return t.ID
}

// cells is the number of cells of a shape that a tensor can have: every extent positive, at most 2^31 − 1 cells, also where an int has
// more bits.
func cells(shape []int) (n int, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 1 || d > math.MaxInt32/n {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Weight declares a private tensor that is committed at setup, with cells in [-2^(bits-1), 2^(bits-1)).
func (b *Builder) Weight(name string, bits int, shape ...int) ID {
	if bits < 1 || bits > 16 {
		b.Fail("weight %s: %d bits, want 1 to 16", name, bits)
		bits = 1
	}
	return b.add(Tensor{Name: name, Kind: Weight, Shape: shape, Lo: -1 << (bits - 1), Hi: 1<<(bits-1) - 1})
}

// Witness declares a private tensor that is committed with the proof. It needs a lookup that keeps it in [lo, hi].
func (b *Builder) Witness(name string, lo, hi int64, shape ...int) ID {
	return b.add(Tensor{Name: name, Kind: Witness, Shape: shape, Lo: lo, Hi: hi})
}

// Const declares a tensor of the circuit with the given values, row-major.
func (b *Builder) Const(name string, values []int64, shape ...int) ID {
	if n, ok := cells(shape); !ok || len(values) != n {
		b.Fail("constant %s has %d values for shape %v", name, len(values), shape)
		return b.add(Tensor{Name: name, Kind: Const, Shape: shape})
	}
	lo, hi := values[0], values[0]
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	return b.add(Tensor{Name: name, Kind: Const, Shape: shape, Values: append([]int64(nil), values...), Lo: lo, Hi: hi})
}

// Virtual declares a tensor that is the sum of the given terms; its bounds come from interval arithmetic. One whose cells may reach 2^62
// is wide.
func (b *Builder) Virtual(name string, shape []int, terms ...Term) ID {
	sum, ok := b.sumInterval(name, shape, terms)
	t := Tensor{Name: name, Kind: Virtual, Shape: shape, Def: cloneTerms(terms)}
	switch {
	case !ok:
	case sum.In(1-MaxBound, MaxBound-1):
		t.Lo, t.Hi = sum.Lo.Int64(), sum.Hi.Int64()
	case sum.BitLen() <= WideBits:
		t.Lo, t.Hi = -MaxBound, MaxBound
		b.wide[ID(len(b.c.Tensors))] = sum
	default:
		b.Fail("tensor %s: cells may reach [%v, %v], beyond 2^%d; use coarser scales", name, sum.Lo, sum.Hi, WideBits)
	}
	return b.add(t)
}

// VirtualBound is Virtual with bounds that follow from an argument which interval arithmetic does not see. The argument is
// part of the circuit's text.
func (b *Builder) VirtualBound(name string, shape []int, lo, hi int64, why string, terms ...Term) ID {
	if why == "" {
		b.Fail("virtual tensor %s: a bound needs its argument", name)
	}
	if lo <= -MaxBound || hi >= MaxBound {
		b.Fail("virtual tensor %s has bounds [%d, %d]; an argument's must lie strictly between -2^62 and 2^62", name, lo, hi)
	}
	if !b.fits(name, shape, terms) {
		return b.add(Tensor{Name: name, Kind: Virtual, Shape: shape})
	}
	return b.add(Tensor{Name: name, Kind: Virtual, Shape: shape, Def: cloneTerms(terms), Lo: lo, Hi: hi, Why: why})
}

// cloneTerms copies terms, so that nobody changes a tensor's definition behind the builder's back.
func cloneTerms(terms []Term) []Term {
	axes := func(list [][]int) [][]int {
		out := make([][]int, len(list))
		for i, labels := range list {
			out[i] = append([]int{}, labels...)
		}
		return out
	}
	out := make([]Term, len(terms))
	for i, t := range terms {
		out[i] = Term{Coef: t.Coef, Extents: append([]int{}, t.Extents...), Out: axes(t.Out)}
		for _, f := range t.Factors {
			out[i].Factors = append(out[i].Factors, Factor{T: f.T, Axes: axes(f.Axes)})
		}
	}
	return out
}

// TableOf returns the table with the given name and makes it on first use, of copies of the columns: those of functions are shared by
// all circuits of a process (package tables).
func (b *Builder) TableOf(name string, cols func() [][]int64) int {
	if t, ok := b.tables[name]; ok {
		return t
	}
	cs := cols()
	if len(cs) == 0 || len(cs[0]) == 0 {
		b.Fail("table %s is empty", name)
		return 0
	}
	for _, c := range cs {
		if len(c) != len(cs[0]) {
			b.Fail("table %s has columns of different lengths", name)
			return 0
		}
	}
	saved := b.prefix
	b.prefix = ""
	mult := b.add(Tensor{Name: "multiplicities " + name, Kind: Witness, Shape: []int{len(cs[0])}, Hi: math.MaxInt32, Mult: true})
	b.prefix = saved
	table := Table{Name: name, Mult: mult}
	for _, c := range cs {
		table.Cols = append(table.Cols, slices.Clone(c))
	}
	b.c.Tables = append(b.c.Tables, table)
	b.tables[name] = len(b.c.Tables) - 1
	return len(b.c.Tables) - 1
}

// Lookup adds a lookup of the tensors, all of one shape, into a table with as many columns.
func (b *Builder) Lookup(table int, cols ...ID) {
	if table < 0 || table >= len(b.c.Tables) || len(cols) != len(b.c.Tables[table].Cols) {
		b.Fail("lookup of %d columns into table %d", len(cols), table)
		return
	}
	for _, c := range cols {
		if b.has(c) && b.c.Tensors[c].Mult {
			b.Fail("multiplicities are no column of a lookup: nothing bounds them")
		}
		if !b.has(c) || !equalShape(b.c.Tensors[c].Shape, b.c.Tensors[cols[0]].Shape) {
			b.Fail("lookup columns of different shapes")
			return
		}
	}
	b.c.Lookups = append(b.c.Lookups, Lookup{Table: table, Cols: slices.Clone(cols)})
}

// Zero adds the check that a tensor is zero everywhere.
func (b *Builder) Zero(id ID) {
	if b.has(id) {
		b.c.Zeros = append(b.c.Zeros, id)
	}
}

// Hint adds a rule of the witness generator.
func (b *Builder) Hint(h Hint) {
	h.In, h.Out, h.Params = slices.Clone(h.In), slices.Clone(h.Out), slices.Clone(h.Params)
	b.c.Hints = append(b.c.Hints, h)
}

// Finish checks the description and derives the schedule. The builder must not be used afterwards.
func (b *Builder) Finish() (*Circuit, error) {
	if b.err != nil {
		return nil, b.err
	}
	c := &b.c
	if len(c.Lookups) == 0 {
		return nil, fmt.Errorf("circuit %s: %w", c.Name, ErrNoLookup)
	}
	if err := c.checkCovered(); err != nil {
		return nil, err
	}
	if err := c.checkHints(); err != nil {
		return nil, err
	}
	if err := c.finishPorts(); err != nil {
		return nil, err
	}
	if err := c.checkWide(); err != nil {
		return nil, err
	}
	proven, err := c.proveBounds()
	if err != nil {
		return nil, err
	}
	if err := c.checkCausal(proven); err != nil {
		return nil, err
	}
	c.schedule()
	c.findClasses()
	if err := c.countRequests(); err != nil {
		return nil, err
	}
	c.digest = c.computeDigest()
	return c, nil
}

// checkCovered refuses a witness tensor whose cells no lookup covers, and a lookup whose table does not imply the bounds that
// interval arithmetic used.
func (c *Circuit) checkCovered() error {
	covered := make([]bool, len(c.Tensors))
	ranges := c.tableRanges()
	for _, l := range c.Lookups {
		for i, id := range l.Cols {
			t := &c.Tensors[id]
			if t.Kind != Witness {
				continue
			}
			r := ranges[l.Table][i]
			for _, v := range []int64{r.Lo.Int64(), r.Hi.Int64()} {
				if v < t.Lo || v > t.Hi {
					return fmt.Errorf("circuit %s: tensor %s is declared in [%d, %d] but table %s holds %d", c.Name, t.Name, t.Lo, t.Hi, c.Tables[l.Table].Name, v)
				}
			}
			covered[id] = true
		}
	}
	for i := range c.Tensors {
		if t := &c.Tensors[i]; t.Kind == Witness && !t.Mult && !covered[i] {
			return fmt.Errorf("circuit %s: no lookup covers the witness tensor %s", c.Name, t.Name)
		}
	}
	return nil
}

// checkWide refuses a wide tensor where cells of 64 bits are expected: what the prover looks up, finds zero or tells, and what hints take but
// those that divide and round. Of other tensors terms make what they may be.
func (c *Circuit) checkWide() error {
	refuse := func(id ID, what string) error {
		if id < 0 || !c.Tensors[id].Wide() {
			return nil
		}
		return &Error{Circuit: c.Name, Tensor: id, Text: fmt.Sprintf("tensor %s: it is %s, and its cells may reach 2^62", c.Tensors[id].Name, what)}
	}
	for _, l := range c.Lookups {
		for _, id := range l.Cols {
			if err := refuse(id, "looked up"); err != nil {
				return err
			}
		}
	}
	for _, id := range c.Zeros {
		if err := refuse(id, "zero-checked"); err != nil {
			return err
		}
	}
	for i := range c.Hints {
		h := &c.Hints[i]
		if h.Kind == HintRescale || h.Kind == HintClamp || h.Kind == HintWide {
			continue
		}
		for _, id := range h.In {
			if err := refuse(id, fmt.Sprintf("an input of hint %d, which takes 64 bits", i)); err != nil {
				return err
			}
		}
	}
	for i := range c.Ports {
		if err := refuse(c.Ports[i].T, "a port's"); err != nil {
			return err
		}
	}
	return nil
}

// checkHints refuses hints of tensors that there are not, and results that are no witness.
func (c *Circuit) checkHints() error {
	for i, h := range c.Hints {
		if len(h.Out) == 0 || len(h.In) == 0 && h.Kind != HintInput {
			return fmt.Errorf("circuit %s: hint %d has %d inputs and %d results", c.Name, i, len(h.In), len(h.Out))
		}
		if h.Kind == HintInput && !c.carries(&h) {
			return fmt.Errorf("circuit %s: hint %d is of no private input", c.Name, i)
		}
		for k, id := range h.In {
			if none := h.Kind == HintAttn && k == 1 && id == -1; int(id) >= len(c.Tensors) || id < 0 && !none { // a mask there need not be
				return fmt.Errorf("circuit %s: input %d of hint %d is no tensor", c.Name, k, i)
			}
		}
		for k, id := range h.Out {
			if id < 0 || int(id) >= len(c.Tensors) || c.Tensors[id].Kind != Witness || c.Tensors[id].Mult {
				return fmt.Errorf("circuit %s: result %d of hint %d is no witness tensor", c.Name, k, i)
			}
		}
		if err := c.checkParams(&h); err != nil {
			return fmt.Errorf("circuit %s: hint %d: %w", c.Name, i, err)
		}
	}
	return nil
}

// carries says whether a HintInput yields the tensor of a private input port.
func (c *Circuit) carries(h *Hint) bool {
	if len(h.In) != 0 || len(h.Out) != 1 || len(h.Params) != 1 || h.Params[0] < 0 || h.Params[0] >= int64(len(c.Ports)) {
		return false
	}
	p := &c.Ports[h.Params[0]]
	return !p.Out && !p.Public() && p.T == h.Out[0]
}

func equalShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
