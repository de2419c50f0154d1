package attack

import (
	"context"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The honest prover commits to small integers only. A malicious one commits to any field elements: fractions and solutions of the
// equations mod p that are no integers. fieldCells plays him: wherever the processor meets a certain cell, it is worth delta more
// than the integer that stands there. Everything else is the honest prover.
type fieldCells struct {
	backend.Backend
	cells []fieldCell
	piece *int // of a setup, whose rows are the only ones with field cells; nil: those of a proof
	calls int
}

func (b *fieldCells) Open() (backend.Session, error) {
	return kit.Wrapped{Backend: b.Backend, Run: func(r backend.Run) backend.Run { return fieldRun{r, b} }}.Open()
}

type fieldRun struct {
	backend.Run
	*fieldCells
}

type fieldCell struct {
	key      *integer.Tensor
	like     []int64 // or all its cells, where the prover under attack makes the tensor itself
	shape    []int
	cell     int
	delta    field.Element
	row, col int // where it is committed; -1 for virtual tensors
}

func (c *fieldCell) in(t *integer.Tensor) bool {
	return c.key == t || c.like != nil && slices.Equal(c.like, t.All())
}

func (b fieldRun) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	out := b.Run.CommitRows(gens, rows)
	if b.calls++; b.piece != nil && b.calls != *b.piece+1 { // the rows of all pieces are committed before all others
		return out
	}
	for _, c := range b.cells {
		if c.row >= 0 {
			j := group.Mul(&gens[c.col], &c.delta)
			a := group.ToAffine(&j)
			out[c.row].Add(&out[c.row], &a)
		}
	}
	return out
}

func (b fieldRun) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	vecs := b.Run.FoldRows(sums, width)
	for k, sum := range sums {
		out := b.Values(vecs[k])
		for i, row := range sum.Rows {
			for _, box := range row {
				for _, c := range b.cells {
					if at := c.cell - box.From; c.in(memory(box.T)) && at >= 0 && at < circuit.Size(box.Shape) {
						col := box.Column + paddedIndex(box.Shape, at)
						out[col] = plus(out[col], mul(sum.Coefs[i], c.delta))
					}
				}
			}
		}
		vecs[k] = b.Vector(out)
	}
	return vecs
}

// memory is a tensor that the processor holds.
func memory(t backend.Tensor) *integer.Tensor { return t.(*integer.Tensor) }

// units calls f for the field cells of a tensor, each with the tensor that is one there and zero elsewhere.
func (b *fieldCells) units(t *integer.Tensor, f func(unit *integer.Tensor, delta field.Element)) {
	for _, c := range b.cells {
		if c.in(t) {
			unit := &integer.Tensor{Shape: c.shape, V: make([]int64, t.Len())}
			unit.V[c.cell] = 1
			f(unit, c.delta)
		}
	}
}

func (b fieldRun) EvalMany(evals []backend.Eval) []field.Element {
	out := b.Run.EvalMany(evals)
	for i := range evals {
		b.units(memory(evals[i].T), func(unit *integer.Tensor, delta field.Element) {
			v := b.Run.EvalMany([]backend.Eval{{T: unit, Point: evals[i].Point}})
			out[i] = plus(out[i], mul(v[0], delta))
		})
	}
	return out
}

func (b fieldRun) Partials(partials []backend.Partial) []backend.Vector {
	vecs := b.Run.Partials(partials)
	for k, p := range partials {
		b.units(memory(p.T), func(unit *integer.Tensor, delta field.Element) {
			p.T = unit
			one := field.One()
			vecs[k] = b.Combine([]backend.Vector{vecs[k], b.Run.Partials([]backend.Partial{p})[0]}, []field.Element{one, delta})
		})
	}
	return vecs
}

// Fractions replaces the leaves of field cells by blocks of one leaf, whose denominator is what the cell's is.
func (b fieldRun) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	for _, k := range blocks {
		changed := map[int]field.Element{}
		for j, col := range k.Cols {
			for _, c := range b.cells {
				if k.Mult == nil && c.in(memory(col)) {
					changed[c.cell] = plus(changed[c.cell], mul(k.Gamma[j], c.delta))
				}
			}
		}
		for cell, id := range changed {
			id = plus(id, k.ID)
			for j, col := range k.Cols {
				id = plus(id, mul(k.Gamma[j], field.FromInt64(memory(col).All()[cell])))
			}
			blocks = append(blocks, backend.Block{Offset: k.Offset + paddedIndex(k.Shape, cell), Shape: []int{1}, ID: id, Beta: k.Beta})
		}
	}
	return kit.Begin(context.Background(), reference.New()).Fractions(n, blocks)
}

// paddedIndex is a row-major cell's index when every axis is padded to a power of two.
func paddedIndex(shape []int, cell int) int {
	index, shift := 0, 0
	for a := len(shape) - 1; a >= 0; a-- {
		index |= cell % shape[a] << shift
		cell /= shape[a]
		shift += circuit.Bits(shape[a])
	}
	return index
}

// locate returns where the layout puts a witness cell.
func (u *subject) locate(t testing.TB, id circuit.ID, cell int) (row, col int) {
	t.Helper()
	return u.place(t, circuit.Witness, u.c.WitnessBits, id, cell)
}

// place returns where a layout puts a cell, by laying out tensors that are zero but for it.
func (u *subject) place(t testing.TB, kind circuit.Kind, bits int, id circuit.ID, cell int) (row, col int) {
	t.Helper()
	zero := map[circuit.ID]*integer.Tensor{}
	for i := range u.c.Tensors {
		zero[circuit.ID(i)] = &integer.Tensor{Shape: u.c.Tensors[i].Shape, V: make([]int64, circuit.Size(u.c.Tensors[i].Shape))}
	}
	zero[id].V[cell] = 1
	rows, err := kit.Cells(commit.NewLayout(u.c, kind, bits), u.c, func(id circuit.ID) *integer.Tensor { return zero[id] })
	require.NoError(t, err)
	for r := range rows {
		for c := range rows[r] {
			if rows[r][c] == 1 {
				return r, c
			}
		}
	}
	require.Fail(t, "the cell is not committed")
	return -1, -1
}

// foreign is a solution of all equations that is no integer somewhere.
type foreign struct {
	fields map[string]map[int]field.Element // by tensor and cell: what is added to the integer
	ints   map[string]map[int]int64         // by tensor and cell: new integers of virtual tensors
}

// lie returns the prover of a foreign solution. The multiplicities are those of the cells that still are lines.
func (f foreign) lie(t testing.TB, u *subject) lie {
	t.Helper()
	b := &fieldCells{Backend: host}
	return lie{processor: b, edit: func(a *witness.Assignment) {
		for name, cells := range f.ints {
			for i, x := range cells {
				a.Tensor(u.id(t, name)).V[i] = x
			}
		}
		for name, cells := range f.fields {
			id := u.id(t, name)
			for i, delta := range cells {
				c := fieldCell{key: a.Tensor(id), shape: u.c.Tensor(id).Shape, cell: i, delta: delta, row: -1}
				if u.c.Tensor(id).Kind == circuit.Witness {
					c.row, c.col = u.locate(t, id, i)
				}
				b.cells = append(b.cells, c)
			}
		}
		recount(u.c, a, func(id circuit.ID, cell int) bool {
			_, field := f.fields[u.c.Tensor(id).Name][cell]
			return field
		})
	}}
}

// refusedBy checks, by the slow definition, that a foreign solution violates these lookups only, and that the verifier rejects it. They are
// named after their first columns, in the circuit's order.
func (f foreign) refusedBy(t *testing.T, u *subject, lookups ...string) {
	t.Helper()
	a, err := u.generate(lie{})
	require.NoError(t, err)
	for name, cells := range f.ints {
		for i, x := range cells {
			a.Tensor(u.id(t, name)).V[i] = x
		}
	}
	values := func(id circuit.ID) []*big.Int {
		var v []*big.Int
		for i, x := range a.Tensor(id).All() {
			e := field.FromInt64(x)
			e = plus(e, f.fields[u.c.Tensor(id).Name][i])
			v = append(v, e.BigInt(new(big.Int)))
		}
		return v
	}
	require.ErrorContains(t, witness.CheckField(u.c, values), "lookup of "+lookups[0])
	without := *u.c // everything else is satisfied
	without.Lookups = nil
	for _, l := range u.c.Lookups {
		if !slices.Contains(lookups, u.c.Tensor(l.Cols[0]).Name) {
			without.Lookups = append(without.Lookups, l)
		}
	}
	require.NoError(t, witness.CheckField(&without, values))
	u.mustReject(t, f.lie(t, u))
}

func fraction(num, den int64) field.Element { return div(field.FromInt64(num), field.FromInt64(den)) }

// The control of the machinery: an integer that is one too small and a field cell that makes up for it is the honest witness.
func TestFieldCellsAreHonestAround(t *testing.T) {
	for name, cells := range map[string]map[string]int{"rescale": {"y": 1}, "rsqrt": {"r.limb0": 2}, "clamp": {"y": 0}, "attention": {"attn.dlo": 3}} {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			b := &fieldCells{Backend: host}
			u.accept(t, lie{processor: b, edit: func(a *witness.Assignment) {
				for tensor, cell := range cells {
					id := u.id(t, tensor)
					v := a.Tensor(id).All()
					v[cell]--
					c := fieldCell{key: a.Tensor(id), shape: u.c.Tensor(id).Shape, cell: cell, delta: one}
					c.row, c.col = u.locate(t, id, cell)
					b.cells = append(b.cells, c)
				}
			}})
		})
	}
}

// rem is valid and y = (v + 2^(s−1) − rem)/2^s mod p: only the range of y refuses it.
func rejectQuotientOutOfRange(t *testing.T) {
	u := stage(t, "rescale")
	a, err := u.generate(lie{})
	require.NoError(t, err)
	rem := a.Tensor(u.id(t, "y.rem")).All()[2]
	for wrong := range int64(8) {
		if wrong != rem {
			foreign{
				fields: map[string]map[int]field.Element{"y": {2: fraction(rem-wrong, 8)}},
				ints:   map[string]map[int]int64{"y.rem": {2: wrong}},
			}.refusedBy(t, u, "y")
		}
	}
}

// M − 1/4 moves all remainders of the row by one, within their range: only the range of M refuses it.
func rejectFractionalRowMax(t *testing.T) {
	u := stage(t, "attention")
	a, err := u.generate(lie{})
	require.NoError(t, err)
	rem := a.Tensor(u.id(t, "attn.rem")).All()
	for row := range 3 {
		moved := map[int]int64{}
		for i := 3 * row; i < 3*row+3; i++ {
			require.Less(t, rem[i], int64(3))
			moved[i] = rem[i] + 1
		}
		foreign{
			fields: map[string]map[int]field.Element{"attn.max.limb0": {row: fraction(-1, 4)}},
			ints:   map[string]map[int]int64{"attn.rem": moved},
		}.refusedBy(t, u, "attn.max.limb0")
	}
}

// r = 9/2 for num = 101 and S = 4 leaves the slacks 20 and 19: only the range of r refuses it.
func rejectRsqrtThatIsNoInteger(t *testing.T) {
	u := newSubject(t, spec{cfg: config("rsqrt 101"), build: func(b *circuit.Builder) {
		x := b.Weight("x", 4, 1)
		gadget.Rsqrt(b, "r", b.Virtual("s", []int{1}, circuit.Product(b, 1, x, x)), 101, 3)
	}, weights: map[string][]int64{"x": {1}}})
	half := map[int]field.Element{0: fraction(-1, 2)} // ⌊√(101/4)⌋ = 5
	foreign{
		fields: map[string]map[int]field.Element{"r.limb0": half, "r": half},
		ints:   map[string]map[int]int64{"r.below": {0: 20}, "r.above": {0: 19}},
	}.refusedBy(t, u, "r.limb0")
}

// r·s = num − low mod p with another low in [0, s): r wraps around, and only its range refuses it.
func rejectReciprocalThatWrapsAround(t *testing.T) {
	u := stage(t, "reciprocal")
	a, err := u.generate(lie{})
	require.NoError(t, err)
	s, low := a.Tensor(u.id(t, "s")).All()[1], a.Tensor(u.id(t, "r.below")).All()[1]
	for wrong := range s {
		if wrong == low {
			continue
		}
		delta := map[int]field.Element{1: fraction(low-wrong, s)}
		foreign{
			fields: map[string]map[int]field.Element{"r.limb0": delta, "r": delta},
			ints:   map[string]map[int]int64{"r.below": {1: wrong}, "r.above": {1: s - 1 - wrong}},
		}.refusedBy(t, u, "r.limb0")
	}
}

// Two fractions whose sum is the right one: the einsum holds, and only the range of the summed cells refuses it.
func rejectFractionsInASum(t *testing.T) {
	u := newSubject(t, spec{cfg: config("sum"), build: func(b *circuit.Builder) {
		y := b.Witness("y", -8, 7, 2, 3)
		b.Hint(circuit.Hint{Kind: circuit.HintRescale, In: []circuit.ID{b.Weight("x", 4, 2, 3)}, Out: []circuit.ID{y}, Params: []int64{1}})
		b.Lookup(gadget.Range(b, -8, 7), y)
		gadget.Rescale(b, "sum", b.Virtual("s", []int{2}, b.Times(1, "ij->i i=2 j=3", y)), 2, -8, 8)
	}})
	for _, d := range []field.Element{fraction(1, 2), fraction(-5, 3), fraction(1<<40, 1)} {
		foreign{fields: map[string]map[int]field.Element{"y": {3: d, 5: neg(d)}}}.refusedBy(t, u, "y")
	}
}
